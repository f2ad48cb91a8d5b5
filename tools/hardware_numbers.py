#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of a simulation of the drawing: the table in hardware/README.md, what a multimeter should say in
commissioning.md, what the simulated unit goes by in board/frontend.py, and the limits of the production test in
cardtest/limits.py. It takes half a minute.

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
UNIT = HARDWARE.parent / "firmware" / "unit" / "linetap"
FRONTEND, CARD_LIMITS = UNIT / "board" / "frontend.py", UNIT / "cardtest" / "limits.py"
FIGURES = {
    "CAPTURED_DB": "Captured level, against the line's",
    "ECHO_DB": "Notice in what is captured, against as it is played",
    "RINGING_DBM0": "Ringing of 75 V at 20 Hz in what is captured, before it is cut off",
    "NEIGHBOUR_DB": "A notice in the neighbour's RX, below its own (model only)",
}  # fmt: skip
LIMITS = {
    "METER_ERROR_V": "Meter: error from -56 to 56 V, nothing learned",
    "ABSENT_V": "Meter: a line that is not there reads",
    "ECHO_DB": "Notice in what is captured, against as it is played",
    "ECHO_100_DB": "Production: echo at 100 Hz, against 1 kHz",
    "ECHO_300_DB": "Production: echo at 300 Hz, against 1 kHz",
    "ECHO_3400_DB": "Production: echo at 3400 Hz, against 1 kHz",
    "ECHO_15000_DB": "Production: echo at 15000 Hz, against 1 kHz",
    "METER_TONE_DB": "Production: 1.1 kHz in the meter's reading, in dB of a volt",
    "SILENT_DB": "Production: echo at 3400 Hz, the relay open",
    "NEIGHBOUR_DB": "A notice in the neighbour's RX, below its own (model only)",
    "OPENS_MS": "Contact: open after the first edge",
    "OPEN_S": "Contact: open under a command without end for",
    "SPARK_V": "Production: a thyristor at a milliampere, the contact open",
    "PAIR_MOHM": "On-hook resistance, tip to ring, 100 V",
    "EARTH_MOHM": "On-hook resistance, a lead to earth, 100 and 200 V",
}
BEGIN, END = "<!-- tools/hardware_numbers.py begins -->", "<!-- tools/hardware_numbers.py ends -->"


def table(findings: Iterable[Finding]) -> str:
    rows = [f"| {each.what} | {each.limit()} | {each.result()} |" for each in findings]
    return "\n".join(["| Figure | asked | worst found |", "|---|---|---|", *rows, ""])


def frontend(findings: Iterable[Finding]) -> str:
    """The text of board/frontend.py. KeyError for a figure without a row."""
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
    return "\n".join([*lines, *_figures(FIGURES, found), ""])


def card_limits(findings: Iterable[Finding]) -> str:
    """The text of cardtest/limits.py. KeyError for a figure without a row."""
    found = {each.what: each for each in findings}
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        '"""The figures of a sound card, from its simulation. Written by tools/hardware_numbers.py, never by hand."""',
        "",
        "from math import inf",
        "",
        "from linetap.board.frontend import Figure",
        "",
    ]
    return "\n".join([*lines, *_figures(LIMITS, found), ""])


def _figures(names: dict[str, str], found: dict[str, Finding]) -> list[str]:
    lines = []
    for name, what in names.items():
        each = found[what]
        values = ", ".join(f"{value:.3g}" for value in (each.low, each.high, each.least, each.most))
        lines.append(f"{name} = Figure({values})  # {what}")
    return lines


def with_table(document: str, rows: str) -> str:
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{rows}\n{END}{after}"


def wrong_part(given: str, netlist: Netlist) -> Netlist:
    """The netlist with one part's value replaced. BadInput if there is no such part or value."""
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
        CARD_LIMITS.write_text(card_limits(findings))
        print(table(findings))
    broken = [str(each) for each in findings if not each.holds]
    print("\n".join(broken) or f"{len(findings)} figures, all within what is asked")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
