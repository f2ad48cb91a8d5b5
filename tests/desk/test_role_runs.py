# SPDX-License-Identifier: Apache-2.0
"""docs/role-runs.md has the content of role-runs.json, and seven of the runs, repeated, have the recorded costs."""

from __future__ import annotations

import klm
import msgspec
import pytest
from playwright.sync_api import Browser
from runs import RUNS, made
from runs_document import DOCUMENT, RECORDED, ROOT, Recorded, page, sheets

MOST_BYTES = 6_000_000


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return msgspec.json.decode(RECORDED.read_bytes(), type=Recorded)


def test_the_document_is_what_was_recorded(recorded: Recorded) -> None:
    assert [one.name for one in recorded.runs] == list(RUNS)
    assert DOCUMENT.read_text(encoding="utf-8") == page(recorded), "tools/role_runs.py writes both"
    told = [(RUNS[one.name].role, RUNS[one.name].task, RUNS[one.name].begins) for one in recorded.runs]
    assert [(one.role, one.task, one.begins) for one in recorded.runs] == told


def test_each_step_has_its_picture_and_all_are_small(recorded: Recorded) -> None:
    there = {path.name: path.stat().st_size for path in (ROOT / "docs/pictures/runs").iterdir()}
    assert there.keys() == {name for run in recorded.runs for name, _ in sheets(run)}
    assert sum(there.values()) < MOST_BYTES


@pytest.mark.parametrize(
    "names", [["watch", "facilities"], ["clerk"], ["custodian-key", "supervisor"], ["operator"], ["administrator"]]
)
def test_a_run_costs_what_the_document_says(recorded: Recorded, browser: Browser, names: list[str]) -> None:
    """Every click and key, by its selector, and every page."""
    known = {one.name: one for one in recorded.runs}
    for record in made(browser, names):
        name = record.run.name
        assert record.run.count() == known[name].count(), name
        assert [one.actions for one in record.run.steps] == [one.actions for one in known[name].steps], name


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("abc 12", 6),
        ("Ab!", 5),  # two with shift
        ("가", 2),
        ("까", 3),  # with shift
        ("값", 4),  # a final of two letters
        ("의", 3),  # a vowel of two letters
        ("쓰레기", 7),
        ("SW번", 8),  # two capitals, and the change to Hangul
    ],
)
def test_keys_of_the_korean_keyboard(text: str, keys: int) -> None:
    assert klm.keystrokes(text) == keys
