# SPDX-License-Identifier: Apache-2.0
"""What the meter's program and linetap drive, as the card has it wired: from pins and edges to a line's circuit.

`wires` says which net of the drawn card a pin is on, and when the coils have current; `driven` puts both into ngspice.
"""
