#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks every rule of the card as it is drawn; with `--mistakes` also who notices each of the wrong cards, with
`--faults` what each part of a line does to it, open and shorted.

Run it as `.venv/bin/python tools/card_rules.py`. It ends with 1 where a rule is broken or a mistake passes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hardware"))

from rules.card import Card
from rules.faults import SEIZES, UNTOLD, effects, said
from rules.judge import judged
from rules.mistakes import LISTED, benign, of_chance
from rules.table import RULES
from simulation.netlist import Netlist


def asked(card: Card) -> int:
    """How many rules are broken."""
    wrong = 0
    for name, rule in RULES.items():
        found = list(rule.broken(card))
        wrong += bool(found)
        print(f"{'broken' if found else 'holds':7} {name:11} {rule.says}")
        for sentence in found:
            print(f"        {sentence}")
    print(f"{len(card.parts)} parts on {len(card.nets)} nets: {len(RULES) - wrong} of {len(RULES)} rules hold")
    return wrong


def tried(card: Card) -> int:
    """How many mistakes nobody notices and nothing excuses."""
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
    """How many faults seize a line or feed it, or stay untold, without a word in the tables."""
    found, wrong = effects(netlist), 0
    for each in found:
        seizes, untold = said(SEIZES, each.fault), said(UNTOLD, each.fault)
        wrong += not ((each.harmless or seizes) and (each.told or untold))
        drawn = f"draws {each.drawn_ma:.3g} mA, {each.playing_ma:.3g} with a notice; gives {each.into_ua:.3g} uA"
        print(f"{each.fault}: {drawn}; {', '.join(each.told) or untold or 'NOTHING TELLS'}"
              + ("" if each.harmless else f"; {seizes or 'IT SEIZES THE LINE'}"))  # fmt: skip
    told, harmless = sum(bool(each.told) for each in found), sum(each.harmless for each in found)
    print(f"{len(found)} single faults of a line: {harmless} neither seize nor feed it, {told} are told by a figure, "
          f"{len(found) - told} are argued, {wrong} are neither")  # fmt: skip
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Asks the rules of hardware/rules/ of the card as it is drawn.")
    parser.add_argument("--mistakes", action="store_true", help="also try wrong cards, in some minutes")
    parser.add_argument("--faults", action="store_true", help="also each part of a line open and shorted, in minutes")
    given = parser.parse_args()
    card = Card.drawn()
    wrong = asked(card)
    if given.mistakes:
        wrong += tried(card)
    if given.faults:
        wrong += failed(card.netlist().line(1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
