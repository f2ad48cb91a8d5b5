# SPDX-License-Identifier: Apache-2.0
"""The production test of a line card: a fixture, the card's own meter and codec, and limits from the simulation.

`limits` is written by the simulation, `rows` makes limits of it, `meterlink` is the meter's port, `sound` the codec's
tones, `fixture` what stands in for lines, `walk` the steps in their order, and `report` what remains of them.
"""
