#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests every rule on the card as drawn and as fitted in each variant. `--mistakes` also lists what detects each of the
wrong cards, `--faults` the effect of each part of a line open and shorted, `--card-faults` that of every other part.

Run it as `.venv/bin/python tools/card_rules.py`. It ends with 1 if a rule is broken or a mistake is not detected.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hardware"))

from drawing import variants
from drawing.project import Circuit
from rules.barrier import open_grades
from rules.card import Card
from rules.cardfaults import faults as card_faults
from rules.chance import benign, of_chance
from rules.faults import COIL_MA, OVERLOADS, SEIZES, UNTOLD, effects, said
from rules.faulttable import Row, rows_of, told_by
from rules.judge import judged
from rules.linestates import SEIZES as OF_ITS_WIRES
from rules.linestates import edges_must_reach, opening_s, references, states
from rules.mistakes import LISTED
from rules.table import RULES, broken
from simulation.netlist import Netlist

ALL = 8  # number of lines


def asked(card: Card) -> int:
    """The number of broken rules."""
    wrong = 0
    for name, rule in RULES.items():
        found = list(rule.broken(card))
        wrong += bool(found)
        print(f"{'broken' if found else 'holds':7} {name:11} {rule.says}")
        for sentence in found:
            print(f"        {sentence}")
    print(f"{len(card.parts)} parts on {len(card.nets)} nets: {len(RULES) - wrong} of {len(RULES)} rules hold")
    return wrong


def asked_of_variants(card: Card) -> int:
    """The number of rules broken by the variants; prints one line for all if there is none, with the open questions."""
    circuit, wrong, holds = Circuit(), 0, []
    for variant in variants.load().values():
        fitted = card.fitted_without(variants.left_out(circuit, variant))
        sentences = [f"{name}: {sentence}" for name, sentence in broken(fitted)]
        print("\n".join(f"broken  {variant.title}: {each}" for each in sentences), end="\n" if sentences else "")
        rules = len({each.split(":")[0] for each in sentences})
        holds.append(f"{variant.title.split(':')[0]}, {len(fitted.parts)} parts on {len(fitted.nets)} nets: "
                     f"{len(RULES) - rules} of {len(RULES)} rules hold")  # fmt: skip
        wrong += rules
    less, across = open_grades(card)
    holds.append(f"OPEN: {less} of {across} parts between line and unit have not the grade asked, or none is known")
    print("; ".join(holds))
    return wrong


def tried(card: Card) -> int:
    """The number of mistakes that no rule or row finds and no table excuses."""
    counts = {"rule": 0, "row": 0, "benign": 0, "passes": 0}
    for name, change in (LISTED | of_chance(card)).items():
        found = judged(card, change(card))
        why = benign(name)
        how = found.split()[0] if found else "benign" if why else "passes"
        counts[how] += 1
        print(f"{how:7} {name}: {found or why or 'nobody notices'}", flush=True)
    print(f"{sum(counts.values())} mistakes, {len(LISTED)} of a list and the others of chance: "
          f"{counts['rule']} break a rule, {counts['row']} a simulated row, {counts['benign']} are argued benign, "
          f"{counts['passes']} pass")  # fmt: skip
    return counts["passes"]


def failed(netlist: Netlist) -> int:
    """The number of faults that seize or feed a line, or raise no alert, without an entry in the tables."""
    found, wrong = effects(netlist), 0
    for each in found:
        seizes, untold = said(SEIZES, each.fault), said(UNTOLD, each.fault)
        wrong += not ((each.harmless or seizes) and (each.told or untold))
        drawn = f"draws {each.drawn_ma:.3g} mA, {each.playing_ma:.3g} with a notice; gives {each.into_ua:.3g} uA"
        overloads = said(OVERLOADS, each.fault)
        wrong += (each.coil_ma > COIL_MA) != bool(overloads)
        print(f"{each.fault}: {drawn}; {', '.join(each.told) or untold or 'NOTHING TELLS'}"
              + ("" if each.harmless else f"; {seizes or 'IT SEIZES THE LINE'}")
              + (f"; COIL FALLS {overloads}" if overloads else ""))  # fmt: skip
    told, harmless = sum(bool(each.told) for each in found), sum(each.harmless for each in found)
    print(f"{len(found)} single faults of a line: {harmless} neither seize nor feed it, {told} are told by a figure, "
          f"{len(found) - told} are argued, {wrong} are neither")  # fmt: skip
    return wrong


def failed_elsewhere(card: Card) -> int:
    """The number of faults outside the lines that seize or feed one, or have no row in the table, or several."""
    netlist = card.netlist().line(1)
    found, middles = states(netlist), references(netlist)
    for each in found:
        print(f"{each.what}: draws {each.drawn_ma:.3g} mA, {each.playing_ma:.3g} with a notice; gives "
              f"{each.into_ua:.3g} uA; raises {_raised(each.alerts)}")  # fmt: skip
    reached = edges_must_reach(netlist)
    lowest = min(reached, key=reached.__getitem__)
    print(f"the contacts' reference is lowest with {lowest}, {reached[lowest]:.3g} V: a contact opens for "
          f"{' or '.join(f'{s:.2g} s' for s in opening_s(netlist, reached[lowest]))}; at 0 V it would for "
          f"{' or '.join(f'{s:.2g} s' for s in opening_s(netlist))}")  # fmt: skip
    seizing = {each.what for each in found if not each.harmless}
    wrong = len(seizing - OF_ITS_WIRES)
    rows: dict[str, Row | None] = {each.what: None for each in middles if not each.untold}
    for each in middles:
        wrong += not each.harmless
        print(f"{each.what}: {_raised(each.alerts)}")
    for name in [*card_faults(card), *(each.what for each in middles if each.untold)]:
        matching = rows_of(name)
        wrong += len(matching) != 1
        for row in matching:
            rows[name] = row
            print(f"{name}: leaves {row.leaves}; {', '.join(row.told) or 'nothing tells'}; {row.why}")
    told = Counter(told_by(row.told) if row else "an alert" for row in rows.values())
    held = sum(row is not None and row.leaves in seizing for row in rows.values())
    eight = sum(row is None or row.stops == ALL for row in rows.values())
    print(f"{len(rows)} single faults of the rest of the card: {held} in a plug's own wires seize a line, no other "
          f"does, none feeds one; {eight} concern all eight; told by "
          f"{', '.join(f'{how} {many}' for how, many in told.most_common())}; {wrong} are neither")  # fmt: skip
    return wrong


def _raised(alerts: dict[str, float]) -> str:
    return ", ".join(f"{name} in {seconds:g} s" for name, seconds in alerts.items()) or "no alert"


def main() -> int:
    parser = argparse.ArgumentParser(description="Asks the rules of hardware/rules/ of the card as it is drawn.")
    parser.add_argument("--mistakes", action="store_true", help="also try wrong cards, in some minutes")
    parser.add_argument("--faults", action="store_true", help="also each part of a line open and shorted, in minutes")
    parser.add_argument("--card-faults", action="store_true", help="also each other part of the card, in a minute")
    given = parser.parse_args()
    card = Card.drawn()
    wrong = asked(card) + asked_of_variants(card)
    if given.mistakes:
        wrong += tried(card)
    if given.faults:
        wrong += failed(card.netlist().line(1))
    if given.card_faults:
        wrong += failed_elsewhere(card)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
