#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the account of a new unit's minutes, from the box in the hand to eight tested lines, into
docs/adoption-trials.md.

Run it as `.venv/bin/python tools/new_unit_minutes.py`. What a computer can tell is computed or imported: the unit's
waits, its patterns, the words of the sheet. What a person does has a published figure where one was found, else it is
marked as guessed. tests/recorder/test_walk_minutes.py walks eight simulated lines with the times of this file.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from linetap.adoption.command import EVERY_S
from linetap.panel.button import WALK_MS
from linetap.recorder.calls.parties import TEST_CALL_S
from linetap_core.enrolment.checkdigit import with_check
from linetap_core.wire.legend import PATTERNS, STEP_MS, number_pattern

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/desk"))  # the keystroke-level model: a thought, the hand's way, a key

from klm import HANDS_S, KEY_S, THINK_S  # noqa: E402

DOCUMENT = ROOT / "docs" / "adoption-trials.md"
MARKED = re.compile(r"(<!-- minutes: tools/new_unit_minutes\.py -->\n).*?(<!-- end -->\n)", re.DOTALL)
LINES = 8

# --- A person -------------------------------------------------------------------------------------------------------

# MTM-1 data card (MTM Association e. V.), 0.036 s a TMU: reach 30 cm, grasp, disengage, move 30 cm to an exact place,
# position a close fit, release. Reach and move were read in a copy of the card, the others are from memory.
_TMU_S = 0.036
_ONE_CLIP_TMU = 12.9 + 2.0 + 7.5 + 15.2 + 16.2 + 2.0
_TICK_TMU = 2 * (12.9 + 2.0 + 15.2)
# Rhiu et al., Korean J Ophthalmol 31 (2017), doi.org/10.3341/kjo.2016.0042: Korean sentences in 10 pt, words a minute;
# silently, and aloud by readers in their forties.
READ_A_MINUTE, READ_LEAST = 202.3, 93.8
WORDS, WORDS_BEFORE = 260, 587  # of the steps, in Korean; tests/desk/test_serve_paper.py counts the first

CLIP_S = (2 * _ONE_CLIP_TMU + _TICK_TMU) * _TMU_S + THINK_S + HANDS_S + KEY_S  # to the next terminals, and lift
DIAL_S = THINK_S + HANDS_S + KEY_S + 0.4  # dial tone comes within 0.4 s (ITU-T Q.543, from memory)
SPEAK_S = THINK_S + 2.0 + HANDS_S + KEY_S  # the words are guessed
WRITE_S = 3.0  # of one figure; guessed

# --- The unit -------------------------------------------------------------------------------------------------------

NOTICE_S = 4.4  # build/notices/ko.wav
UNIT_S = TEST_CALL_S + 0.5 + NOTICE_S + 0.3  # from the digit to the end of the notice, as the walk's test measures it
UNIT_BEFORE_S = 8 + 0.5 + NOTICE_S + 0.3
CYCLES_S = sum(len(PATTERNS[f"blink {n}"]) for n in (2, 3)) * STEP_MS / 1000  # one whole pattern before each action


def round_s(check: bool) -> float:
    """The mean time from the first blink of a number to its last."""
    drawn = random.Random(1)
    numbers = [f"{drawn.randrange(10**6):06}" for _ in range(20_000)]
    patterns = [number_pattern(with_check(one) if check else one).strip(".") for one in numbers]
    return sum(map(len, patterns)) / len(patterns) * STEP_MS / 1000


@dataclass(frozen=True, slots=True)
class Step:
    """A row. Times in seconds: before the last changes, likely now, and at most now."""

    name: str
    whose: str
    before: float
    likely: float
    most: float
    source: str


def steps() -> list[Step]:
    line = CLIP_S + DIAL_S + SPEAK_S + UNIT_S
    before = CLIP_S + DIAL_S + SPEAK_S + UNIT_BEFORE_S + CYCLES_S + WRITE_S
    waits = 30.0
    read, slow = 60 * WORDS / READ_A_MINUTE, 60 * WORDS / READ_LEAST
    return [
        Step(
            "reading the steps, without what is read while the services start", "person",
            60 * WORDS_BEFORE / READ_A_MINUTE - waits, read - waits, slow,
            f"{WORDS} words, {WORDS_BEFORE} before; 202 a minute silently, at most 94: aloud, in the forties (Rhiu)",
        ),
        Step("1 hang, with the label", "person", 180, 180, 300, "guessed: no housing exists"),
        Step("2 two plugs", "person", 10, 10, 30, "guessed; two plugs by MTM-1 are 5"),
        Step(
            "from power to RUN blinking fast", "unit", 25, 0, 0,
            "now within step 3. Not measured on a Pi, 25 to 60: the emulated machine is ready 14 to 16 s after its "
            "kernel began ([0201](decisions/bench.md)), before that comes a Pi's firmware",
        ),
        Step("3 the call, the name, the desk finds the unit", "person", 60, 60, 120, "guessed; its page shows it in 3"),
        Step("4 from the desk's button to the first blink", "unit", EVERY_S, EVERY_S, 7, "measured 2.7: a poll each 3"),
        Step(
            "the digits", "unit", 2 * round_s(check=False) + 5, round_s(check=True), 80,
            "computed from the pattern: two rounds of six before, one of seven now; at most two of the longest",
        ),
        Step("typed and compared", "person", 20, 7 * KEY_S + THINK_S, 15, "the desk types along; before, guessed"),
        Step("5 the button", "person", 4, WALK_MS / 1000 + HANDS_S + KEY_S, 5, "measured 3.5"),
        Step("the order has arrived and is in force", "unit", 2, 2, 6, "measured 1.2"),
        Step(
            "6 the four services begin, RUN is lit", "unit", waits, waits, 120,
            "not measured on a Pi; a card's order in the emulated machine, with certificate and first report: 64",
        ),
        Step("7 the button", "person", 8, 4, 8, "as in step 5"),
        Step(
            f"{LINES} lines, {line:.0f} s each ({before:.0f} before)", "both", LINES * before, LINES * line, LINES * 45,
            f"unit {UNIT_S:.0f} ({UNIT_BEFORE_S:.0f} before), the test telephone to the next terminals {CLIP_S:.0f} "
            f"(MTM-1), dial {DIAL_S:.0f} and speak {SPEAK_S:.0f} (keystroke-level model); before, two patterns of CALL "
            f"{CYCLES_S:.0f} and a result to write {WRITE_S:.0f} too. At most: guessed",
        ),
    ]  # fmt: skip


def table(rows: Iterable[Step]) -> str:
    rows = list(rows)
    cells = [
        f"| {one.name} | {one.whose} | {one.before:.0f} | {one.likely:.0f} | {one.most:.0f} | {one.source} |"
        for one in rows
    ]
    sums = [sum(getattr(one, name) for one in rows) for name in ("before", "likely", "most")]
    whole = " | ".join(f"**{each:.0f}**" for each in sums)
    minutes = ", ".join(f"{each / 60:.1f}" for each in sums)
    head = ["| Step | whose | before | likely | at most | source |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *cells, f"| **all** | | {whole} | {minutes} minutes |", ""])


def main() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(MARKED.sub(lambda found: found[1] + table(steps()) + found[2], text), encoding="utf-8")
    print(table(steps()))


if __name__ == "__main__":
    main()
