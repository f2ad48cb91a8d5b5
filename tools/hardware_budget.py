#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the worst-case load of each rail, the temperature of the parts and the duration of the hold-up, and writes
them into hardware/README.md.

Run it as `.venv/bin/python tools/hardware_budget.py` when hardware/circuit/ changes.
"""

from __future__ import annotations

import sys
from pathlib import Path

HARDWARE = Path(__file__).resolve().parent.parent / "hardware"
sys.path.insert(0, str(HARDWARE))

from drawing.project import Circuit  # noqa: E402
from simulation.budget import rails  # noqa: E402
from simulation.inrush import inrush  # noqa: E402
from simulation.power_table import summary, table  # noqa: E402
from simulation.warmth import warm  # noqa: E402

DOCUMENT = HARDWARE / "README.md"
BEGIN, END = "<!-- tools/hardware_budget.py begins -->", "<!-- tools/hardware_budget.py ends -->"


def main() -> int:
    circuit = Circuit()
    text, said = DOCUMENT.read_text(), table(circuit)
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{said}\n{END}{after}")
    print(said)
    print(summary(circuit))
    holds = [
        *(rail.holds() for rail in rails(circuit)),
        *(part.holds() for part in warm(circuit)),
        inrush(circuit).holds(),
    ]
    return 0 if all(holds) else 1


if __name__ == "__main__":
    sys.exit(main())
