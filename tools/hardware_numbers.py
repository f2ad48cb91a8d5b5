#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of a simulation of the drawing: the table in hardware/README.md, what a multimeter should say in
commissioning.md, and what the simulated unit goes by in board/frontend.py. It takes half a minute.

Run it as `.venv/bin/python tools/hardware_numbers.py` when hardware/circuit/ changes; tests hold all of them together.
With `--wrong R122=22` it writes nothing: it says which figures one part of another value breaks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

HARDWARE = Path(__file__).resolve().parent.parent / "hardware"
sys.path.insert(0, str(HARDWARE))

from linetap_core.errors import BadInput, Refusal  # noqa: E402
from simulation import bench_steps  # noqa: E402
from simulation.finding import Finding  # noqa: E402
from simulation.netlist import Netlist  # noqa: E402
from simulation.rows import ROWS  # noqa: E402

DOCUMENT, COMMISSIONING = HARDWARE / "README.md", HARDWARE / "commissioning.md"
FRONTEND = HARDWARE.parent / "firmware" / "unit" / "linetap" / "board" / "frontend.py"
FIGURES = {
    "CAPTURED_DB": "Captured level, against the line's",
    "ECHO_DB": "Notice in what is captured, against as it is played",
    "RINGING_DBM0": "Ringing of 75 V at 20 Hz in what is captured, before it is cut off",
    "NEIGHBOUR_DB": "A notice in the neighbour's RX, below its own (model only)",
}  # fmt: skip
BEGIN, END = "<!-- tools/hardware_numbers.py begins -->", "<!-- tools/hardware_numbers.py ends -->"


def table(findings: Iterable[Finding]) -> str:
    rows = [f"| {each.what} | {each.limit()} | {each.result()} |" for each in findings]
    return "\n".join(["| Figure | asked | worst found |", "|---|---|---|", *rows, ""])


def frontend(findings: Iterable[Finding]) -> str:
    """board/frontend.py. KeyError for a figure that no row finds any more."""
    found = {each.what: each for each in findings}
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        '"""The front end\'s figures, from its simulation. Written by tools/hardware_numbers.py, never by hand."""',
        "",
        "from math import inf",
        "from typing import NamedTuple",
        "",
        "",
        "class Figure(NamedTuple):",
        '    """The simulated extremes, `low` to `high`, and the required range, `least` to `most`."""',
        "",
        *(f"    {name}: float" for name in ("low", "high", "least", "most")),
        "",
        "",
    ]
    for name, what in FIGURES.items():
        each = found[what]
        values = ", ".join(f"{value:.3g}" for value in (each.low, each.high, each.least, each.most))
        lines.append(f"{name} = Figure({values})  # {what}")
    return "\n".join([*lines, ""])


def with_table(document: str, rows: str) -> str:
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{rows}\n{END}{after}"


def wrong_part(given: str, netlist: Netlist) -> Netlist:
    """BadInput when there is no such part, or no such value."""
    reference, _, value = given.partition("=")
    if reference not in netlist.elements or netlist.elements[reference].subcircuit:
        raise BadInput(f"{given}: no resistor or capacitor of line 1 or the references; R122=22 expected")
    changed = netlist.replaced(reference, value)
    if changed.elements[reference].value <= 0:
        raise BadInput(f"{given}: a value of nothing")
    return changed


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wrong", metavar="REF=VALUE", help="writes nothing, and says what this part breaks")
    wrong = parser.parse_args(words).wrong
    netlist = Netlist.read().line()
    try:
        netlist = wrong_part(wrong, netlist) if wrong else netlist
        findings = [each for row in ROWS.values() for each in row(netlist)]
    except (BadInput, Refusal) as error:
        print(error, file=sys.stderr)
        return 2
    if not wrong:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(), table(findings)))
        COMMISSIONING.write_text(with_table(COMMISSIONING.read_text(), bench_steps.table(findings)))
        FRONTEND.write_text(frontend(findings))
        print(table(findings))
    broken = [str(each) for each in findings if not each.holds]
    print("\n".join(broken) or f"{len(findings)} figures, all within what is asked")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
