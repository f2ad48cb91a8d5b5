#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks every rule of the card as it is drawn; with `--mistakes`, also who notices each of the wrong cards.

Run it as `.venv/bin/python tools/card_rules.py`. It ends with 1 where a rule is broken or a mistake passes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hardware"))

from rules.card import Card
from rules.judge import judged
from rules.mistakes import LISTED, benign, of_chance
from rules.table import RULES


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


def main() -> int:
    parser = argparse.ArgumentParser(description="Asks the rules of hardware/rules/ of the card as it is drawn.")
    parser.add_argument("--mistakes", action="store_true", help="also try wrong cards, in some minutes")
    given = parser.parse_args()
    card = Card.drawn()
    wrong = asked(card)
    if given.mistakes:
        wrong += tried(card)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
