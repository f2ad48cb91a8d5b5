#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the table of figures in hardware/README.md from a simulation of the drawing; it takes a minute.

Run it as `.venv/bin/python tools/hardware_numbers.py` when hardware/circuit/ changes; a test holds the two together.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

HARDWARE = Path(__file__).resolve().parent.parent / "hardware"
sys.path.insert(0, str(HARDWARE))

from simulation.finding import Finding  # noqa: E402
from simulation.netlist import Netlist  # noqa: E402
from simulation.rows import ROWS  # noqa: E402

DOCUMENT = HARDWARE / "README.md"
BEGIN, END = "<!-- tools/hardware_numbers.py begins -->", "<!-- tools/hardware_numbers.py ends -->"


def table(findings: Iterable[Finding]) -> str:
    rows = [f"| {each.what} | {each.limit()} | {each.result()} |" for each in findings]
    return "\n".join(["| Figure | asked | worst found |", "|---|---|---|", *rows, ""])


def with_table(document: str, findings: Iterable[Finding]) -> str:
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(findings)}\n{END}{after}"


def main() -> int:
    netlist = Netlist.read().line()
    findings = [each for row in ROWS.values() for each in row(netlist)]
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(), findings))
    broken = [str(each) for each in findings if not each.holds]
    print("\n".join(broken) or f"{len(findings)} figures, all within what is asked")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
