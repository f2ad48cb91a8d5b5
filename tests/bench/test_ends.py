# SPDX-License-Identifier: Apache-2.0
"""The bench of ends: its counts, on a round of calls with every kind once."""

from __future__ import annotations

import pytest

from linetap.notices import Notice, load_notices
from linetap.notices.defaults import make_default_notices
from linetap_bench.measure import ends
from linetap_bench.measure.ends import CODES, KINDS, Case, Tally, case_of, run
from linetap_bench.sounds.voices import Voices, default_folder


@pytest.fixture(scope="module")
def notices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Notice]:
    folder = tmp_path_factory.mktemp("notices")
    make_default_notices(folder, ["ko", *(f"end-{name.replace('_', '-')}" for name in CODES)])
    return load_notices(folder)


def test_the_thousand_has_every_situation_on_every_kind_of_line_both_ways_and_every_trap() -> None:
    cases = [case_of(number) for number in range(1250)]
    found = {(each.situation, each.kind, each.call.direction) for each in cases if each.trap == "none"}
    assert found == {(name, kind, way) for name in CODES for kind in KINDS for way in ("in", "out")}
    assert {each.trap for each in cases} == {"none", "far", "emergency", "cancelled"}
    assert sum(each.ends_by != "" for each in cases) == 1000


def test_a_round_ends_every_call_that_should_be_and_no_other(notices: dict[str, Notice]) -> None:
    tally = run(16, notices, Voices(default_folder()))
    assert tally.otherwise == []
    assert (tally.wrong_line, tally.early, tally.left_open) == (0, 0, 0)
    assert tally.ended == 13
    assert min(tally.to_open_ms) > 0


def test_an_opening_where_none_belongs_is_counted(notices: dict[str, Notice], monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the first call had been a trap: the recorder still ends it."""

    def trapped(number: int) -> Case:
        made = case_of(number)
        return Case(made.line, made.kind, made.situation, made.call, "far")

    monkeypatch.setattr(ends, "case_of", trapped)
    tally: Tally = run(1, notices, Voices(default_folder()))
    assert (tally.wrong_line, tally.ended) == (1, 0)
