# SPDX-License-Identifier: Apache-2.0
"""Writes docs/role-runs.md from docs/role-runs.json, which tools/role_runs.py makes."""

from __future__ import annotations

from pathlib import Path

import msgspec
from role_hand import DESKTOP, PHONE, Run, Step

PAGE, ROOT = "docs/role-runs.md", Path(__file__).resolve().parents[2]
DOCUMENT, RECORDED = ROOT / PAGE, ROOT / "docs/role-runs.json"
_HEAD = """# Each role's task, in clicks and seconds

`.venv/bin/python tools/role_runs.py` makes this page: real pages in Debian's Chromium, in Korean, on a real broker,
with real keys and sealed calls. [role-runs.json](role-runs.json) has every step with the selectors of the pressed
elements. `tests/desk/test_role_runs.py` repeats runs and fails if a click, a key or a page differs from this page.

* **Clicks** are presses of a mouse button or touches, counted by the pages as trusted events. Opening a list or a
  file's dialog belongs to the system; the choice in it is counted.
* **Keys** are those of the Korean two-set keyboard, with shift; pasting takes two.
* **Person** is the time of a practised person, by the keystroke-level model (Card, Moran and Newell 1980): a key
  0.28 s, pointing 1.1, a press 0.2, hands to the keyboard or back 0.4, a thought 1.35 before each click. Reading counts
  238 words a minute (Brysbaert 2019, of English). Nobody was timed; the way between two people and telephone calls are
  not included.
* **Machine** is the browser's waiting time for pages, on two cores beside other work.

| Run | Who | Steps | Pages | Clicks | Keys | Files | Commands | Words read | Person | Machine |
|---|---|---|---|---|---|---|---|---|---|---|
"""


class Recorded(msgspec.Struct):
    runs: list[Run]


def page(recorded: Recorded) -> str:
    rows = "".join(_row(run) for run in recorded.runs)
    return _HEAD + rows + "".join(_run(run) for run in recorded.runs)


def sheets(run: Run) -> list[tuple[str, bool]]:
    """The files of its pictures; True: at a telephone's width, of a task done at a desk."""
    found = [(f"{run.name}.webp", False)]
    return [*found, (f"{run.name}-{PHONE.wide}.webp", True)] if _is_wide(run) else found


def _is_wide(run: Run) -> bool:
    return any(one.device == DESKTOP.name and not one.page.startswith("program") for one in run.steps)


def _row(run: Run) -> str:
    steps = run.steps
    counted = [sum(getattr(one, name) for one in steps) for name in ("presses", "keys", "files", "commands", "words")]
    person, machine = sum(one.person_s for one in steps), sum(one.machine_s for one in steps)
    cells = [f"[{run.name}](#{run.name})", run.role, len(steps), len({(one.who, one.page) for one in steps}), *counted]
    return f"| {' | '.join(map(str, cells))} | {person:.0f} s | {machine:.1f} s |\n"


def _run(run: Run) -> str:
    steps = "".join(f"{number}. {_step(one)}\n" for number, one in enumerate(run.steps, 1))
    pictures = "".join(
        f"\n![{run.name}{', as a telephone shows it' if narrow else ''}](pictures/runs/{name})\n"
        for name, narrow in sheets(run)
    )
    return f"\n## {run.name}\n\n{run.task} {run.begins}\n\n{steps}{pictures}"


def _step(one: Step) -> str:
    counts = {"click": one.presses, "key": one.keys, "file": one.files, "command": one.commands}
    said = ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items() if count)
    return f"`{one.page}`: the {one.who} {one.says}. {said + ', ' if said else ''}{one.person_s:.1f} s."
