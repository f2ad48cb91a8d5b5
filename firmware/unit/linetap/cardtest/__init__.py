# SPDX-License-Identifier: Apache-2.0
"""The production test of a line card: a fixture, the card's own meter and codec, and limits from the simulation.

`limits` has the simulation's figures, `rows` the limits and the report, `meterlink` the meter's port, `sound` the
codec's tones, `fixture` the fixture in place of lines, and `walk` the steps in their order.
"""
