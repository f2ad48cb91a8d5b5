# SPDX-License-Identifier: Apache-2.0
"""Connects the pins of the meter's program and linetap's edges to a line's circuit, as wired on the card.

`wires` finds the net of each pin on the drawn card, and the times at which the coils have current; `driven` applies
both in ngspice.
"""
