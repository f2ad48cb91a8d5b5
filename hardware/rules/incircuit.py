# SPDX-License-Identifier: Apache-2.0
"""Lists the single faults of a line that the production test cannot detect, and the test that can, if any.

An in-circuit test (a flying probe on the parts' own pads, without power) measures each part by itself; the factory
makes its program from IPC-D-356 and the parts list. tests/hardware/test_production.py compares this list with the
simulation.
"""

from __future__ import annotations

import re

IN_CIRCUIT = "in-circuit: "
ELSEWHERE: tuple[tuple[str, str], ...] = (
    (r"C109 open|C11[359] open", IN_CIRCUIT + "its capacitance: radio and noise are nothing that this fixture applies"),
    (r"C111 shorted", IN_CIRCUIT + "its capacitance: what then flows is the offset of two amplifiers"),
    (r"D10[23] open", IN_CIRCUIT + "a diode drop from sp and sn to either rail"),
    (r"D10[56] open", IN_CIRCUIT + "a diode drop across the burden, 5 mA"),
    (r"D107 open", IN_CIRCUIT + "6.4 V across the winding's pins, 1 mA"),
    (r"D108 open|D110 open", IN_CIRCUIT + "a diode drop from the coil's low end to COIL"),
    (r"R1(28|31|35|45) shorted", IN_CIRCUIT + "51 ohm and 1 kohm; the level moves by 0.3 dB, less than the parts may"),
    (r"R134 open", IN_CIRCUIT + "10 kohm from RELAY to ground, the meter in reset"),
    (r"R134 shorted", "the production test on a real card: no echo. The simulated pin has no resistance"),
    (r"F10[123] shorted", "nobody: a bridged fuse measures as a good one. Inspection by eye, the fuse's own lot test"),
)


def elsewhere(fault: str) -> str | None:
    return next((why for pattern, why in ELSEWHERE if re.fullmatch(pattern, fault)), None)
