# SPDX-License-Identifier: Apache-2.0
"""`{"t":..,"smdr":..}` in the events of a replay: the same join, the same records, and no personal data in public."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import test_replay
from smdr_rig import NUMBER, panasonic
from test_replay import calls, replay_it, write_events

from linetap_core.cli import main
from unit_rig import Unit

unit = test_replay.unit  # the fixture
RECORDED = panasonic(3, 6, "101", number="0215881588", trunk="01", kind="I")
MISSED = panasonic(4, 0, "102", number=NUMBER, trunk="02", kind="I")


def told(*lines: tuple[float, str]) -> list[dict[str, Any]]:
    """The two calls of test_replay, and the PBX's lines."""
    events = test_replay.EVENTS + [{"t": t, "smdr": raw} for t, raw in lines]
    return sorted(events, key=lambda event: event["t"])


def smdr(unit: Unit, out: str = "out") -> dict[int, str | None]:
    return {found["line"]: found["smdr"] for found in calls(unit, out)}


def name_lines(unit: Unit, *names: str) -> None:
    path = unit.folder / "unit.toml"
    text = path.read_text()
    for number, name in enumerate(names, 1):
        text = re.sub(rf"(\nnumber = {number}\ncard = 1\n)", rf"\1{name}\n", text)
    path.write_text(text)


def public(unit: Unit) -> str:
    return "".join(path.read_text() for path in sorted((unit.folder / "out").rglob("record.json")))


def test_each_call_gets_its_line(unit: Unit) -> None:
    name_lines(unit, 'trunk = "1"', 'trunk = "2"')
    write_events(unit.folder, told((9.5, RECORDED), (13.9, MISSED)))
    assert replay_it(unit) == 0
    assert smdr(unit) == {1: RECORDED, 2: MISSED}
    assert [call["line"] for call in calls(unit)] == [1, 2]
    assert main(["verify", str(unit.folder / "out"), "--signers", str(unit.signers)]) == 0
    assert "smdr" not in public(unit)
    assert NUMBER not in public(unit)


def test_the_order_of_the_calls_is_the_same_whoever_waited_longer(unit: Unit) -> None:
    write_events(unit.folder, told((13.9, MISSED)))
    assert replay_it(unit) == 0
    assert smdr(unit) == {1: None, 2: MISSED}
    assert [call["line"] for call in calls(unit)] == [1, 2]


def test_a_configuration_that_names_no_line_knows_them_by_trunk(unit: Unit) -> None:
    write_events(unit.folder, told((9.5, RECORDED), (13.9, MISSED)))
    assert replay_it(unit) == 0
    assert smdr(unit) == {1: RECORDED, 2: MISSED}


def test_another_extension_and_garbage_are_not_given(unit: Unit) -> None:
    name_lines(unit, 'extension = "2101"', 'extension = "2102"')
    write_events(unit.folder, told((9.2, "\x00garbage 홍길동"), (9.5, RECORDED), (13.9, MISSED)))
    assert replay_it(unit) == 0
    assert smdr(unit) == {1: None, 2: None}
    assert [call["disposition"] for call in calls(unit)] == ["recorded", "missed"]


def test_the_pbx_says_afterwards_that_it_was_internal(unit: Unit) -> None:
    name_lines(unit, 'extension = "2101"', 'extension = "2102"')
    write_events(unit.folder, told((9.5, panasonic(3, 6, "2555", number="2101", kind="O"))))
    assert replay_it(unit) == 0
    (found,) = [call for call in calls(unit) if call["line"] == 1]
    assert (found["internal"], found["internal_by"], found["disposition"]) == (True, "smdr", "recorded")
    assert '"internal_by":"smdr"' in public(unit)


def test_what_is_missing_stands_in_the_report_of_the_day(unit: Unit) -> None:
    name_lines(unit, 'trunk = "1"', 'trunk = "2"')
    write_events(unit.folder, told((9.5, panasonic(-300, 40, "101", trunk="02")), (9.6, "garbage")))
    assert replay_it(unit) == 0
    report = json.loads((unit.folder / "out" / "smdr" / "2026-11-25.json").read_text().splitlines()[-1])
    assert [entry["call_id"] for entry in report["not_seen"]] == ["20261124T225600.623Z-L01"]
    assert [(entry["line"], entry["number"]) for entry in report["not_recorded"]] == [(2, "010-****-5678")]
    assert (report["lines"], report["bad"], report["unmatched"]) == (1, 1, 2)


def test_the_same_calls_every_time(unit: Unit) -> None:
    write_events(unit.folder, told((9.5, RECORDED), (13.9, MISSED)))
    replay_it(unit)
    replay_it(unit, "again")
    assert smdr(unit) == smdr(unit, "again")
    report = Path("smdr") / "2026-11-25.json"
    assert (unit.folder / "out" / report).read_bytes() == (unit.folder / "again" / report).read_bytes()


@pytest.mark.parametrize("t", [14.5, 600])
def test_a_line_after_the_audio_comes_too_late(unit: Unit, t: float) -> None:
    write_events(unit.folder, told((t, RECORDED)))
    assert replay_it(unit) == 0
    assert smdr(unit) == {1: None, 2: None}


def test_without_lines_nothing_waits_and_nothing_is_reported(unit: Unit) -> None:
    assert replay_it(unit) == 0
    assert not (unit.folder / "out" / "smdr").exists()
