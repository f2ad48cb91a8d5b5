#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the production test's own program on simulated cards: ngspice's answers of the drawn net, or of one with a
fault.

`.venv/bin/python tools/card_test.py` tests a card as drawn and prints each row; `--fault "U111 open"` one whose line 1
has that fault; `--faults` every fault that a running unit cannot detect, one a line, with its detection. It ends with 1
if a sound card fails, or if an undetected fault is missing in hardware/rules/incircuit.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "hardware"), str(ROOT / "tests/rigs")]

from card_on_bench import BenchCard, failed, report_on, sound_line  # noqa: E402
from linetap_core.errors import BadInput  # noqa: E402
from rules.faults import UNTOLD, faults, said  # noqa: E402
from rules.incircuit import elsewhere  # noqa: E402
from simulation.netlist import Netlist  # noqa: E402
from simulation.production import answers  # noqa: E402
from simulation.spice import each  # noqa: E402

LINES, ALIKE = 8, 7


def one(fault: str | None, known: dict[str, Netlist]) -> int:
    """Prints every row of a card whose line 1 has the fault."""
    if fault and fault not in known:
        raise BadInput(f"{fault}: no such fault; tools/card_rules.py --faults names all")
    first = answers(known[fault]) if fault else sound_line()
    report = report_on(BenchCard([first, *[sound_line()] * (LINES - 1)]), range(1, LINES + 1))
    print("\n".join(row.text() for row in report.rows))
    print("passed" if report.passed else f"not passed: {len(failed(report))} of {len(report.rows)} rows")
    return 0 if report.passed != bool(fault) else 1


def unseen(known: dict[str, Netlist]) -> int:
    """Tests all faults that a running unit cannot detect."""
    names = [name for name in known if said(UNTOLD, name)]
    found = dict(zip(names, each(lambda name: answers(known[name]), names), strict=True))
    told = wrong = 0
    for begin in range(0, len(names), ALIKE):
        some = names[begin : begin + ALIKE]
        lines = [found[name] for name in some]
        report = report_on(BenchCard(lines + [sound_line()] * (LINES - len(lines))), range(1, LINES + 1))
        for line, name in enumerate(some, 1):
            rows = sorted(row for row, at in failed(report) if at == line)
            told += bool(rows)
            wrong += not rows and not elsewhere(name)
            print(f"{name}: {'fails ' + ', '.join(rows) if rows else elsewhere(name) or 'NOBODY TELLS'}", flush=True)
    rest = len(names) - told - wrong
    print(f"{len(names)} faults that no running unit tells: {told} fail this test, {rest} stand in the table of what "
          f"others tell, {wrong} in neither")  # fmt: skip
    return int(bool(wrong))


def main() -> int:
    parser = argparse.ArgumentParser(description="The production test over simulated cards.")
    parser.add_argument("--fault", metavar='"PART open"', help="line 1 has it")
    parser.add_argument("--faults", action="store_true", help="all that no running unit tells, in minutes")
    given = parser.parse_args()
    known = dict(faults(Netlist.read().line(1)))
    try:
        return unseen(known) if given.faults else one(given.fault, known)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
