# SPDX-License-Identifier: Apache-2.0
"""The fleet's pure parts: pictures, differences of two pictures, the journal, the LED mirror, the floors."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from markupsafe import Markup
from watch_rig import ALERT, AT, HEALTH, LINE, ONLINE

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.wire.legend import CONDITIONS
from linetap_desk.serve.fleet import words
from linetap_desk.serve.live import journal
from linetap_desk.serve.live import tiles as tiles_module
from linetap_desk.serve.live.journal import Journal, Picture, Reader, difference, picture
from linetap_desk.serve.live.tiles import Tiles
from linetap_desk.watch.places import Place, floor_order
from linetap_desk.watch.units import Unit, Units, leds_of

CRITICAL = {**ALERT, "severity": "critical"}
EVERYTHING, WATCH = Reader(True, "en"), Reader(False, "ko")
CALL = "20261124T225600.123Z-L03"


def of(*said: tuple[str, object]) -> Unit:
    units = Units()
    for topic, what in (("status", ONLINE), ("health", HEALTH), ("line/1", LINE), *said):
        units.receive(f"linetap/v1/main-03/{topic}", msgspec.json.encode(what), NS_PER_S)
    return units.units["main-03"]


def pictured(*said: tuple[str, object], now_s: int = 1) -> Picture:
    return picture(of(*said), Place("Main", "3"), now_s * NS_PER_S, rfc3339)


@pytest.mark.parametrize(
    ("said", "condition", "activity"),
    [
        ((), "ok", "idle"),
        ((("line/2", {**LINE, "state": "dialling"}),), "ok", "ringing"),
        ((("line/2", {**LINE, "state": "ringing"}), ("line/3", {**LINE, "state": "recording"})), "ok", "recording"),
        ((("alert/hum", ALERT),), "line_check", "idle"),
        ((("alert/hum", ALERT), ("alert/disk_full", ALERT)), "unit_check", "idle"),
        ((("alert/disk_full", CRITICAL),), "disk_full", "idle"),
        ((("line/2", {**LINE, "state": "fault"}), ("health", {**HEALTH, "services_dead": "panel"})), "ok", "idle"),
        ((("health", {**HEALTH, "services_starting": "recorder"}),), "starting", "idle"),
        ((("alert/disk_full", {**ALERT, "led": "unit_check"}),), "unit_check", "idle"),
        ((("alert/of_tomorrow", {**CRITICAL, "led": "of_tomorrow"}),), "unit_check", "idle"),
        ((("alert/panel_dead", ALERT), ("line/2", {**LINE, "state": "recording"})), "panel_dead", "idle"),
        ((("alert/call_marked", ALERT), ("alert/of_a_later_version", ALERT)), "ok", "idle"),
    ],
)
def test_leds_are_those_of_the_legend(said: Any, condition: str, activity: str) -> None:
    found = leds_of(of(*said))
    assert (found.condition, found.activity) == (condition, activity)
    assert found.patterns["fault"] == CONDITIONS[condition].fault


def test_a_line_that_changes_is_a_line_and_not_the_unit() -> None:
    before, now = pictured(), pictured(("line/2", {**LINE, "state": "ringing"}))
    changed = difference(before, now, "main-03")
    assert changed is not None
    assert set(changed) == {"unit", "calls", "activity", "lines"}
    assert set(changed["lines"]) == {"2"}
    back = difference(now, before, "main-03")
    assert back is not None
    assert back["lines"] == {"2": None}
    assert difference(now, now, "main-03") is None
    assert difference(None, now, "main-03") == now
    assert difference(now, None, "main-03") == {"unit": "main-03", "gone": True}


def test_how_a_call_is_ended_stands_on_the_units_own_page_alone() -> None:
    of_staff, ours = {**LINE, "release": "exchange"}, {**LINE, "release": "contact"}
    now = pictured(("line/1", of_staff), ("line/2", ours), ("line/3", LINE))
    assert [line.get("release") for line in now["lines"].values()] == ["exchange", "contact", None]
    own, every = Reader(True, "en", "main-03"), Reader(False, "en")
    shown = journal.visible_fields(dict(now), own)["lines"]
    assert [line.get("release") for line in shown.values()] == ["exchange", "contact", None]
    assert all("release" not in line for line in journal.visible_fields(dict(now), every)["lines"].values())
    away = pictured(("line/1", of_staff), now_s=1000)["lines"]["1"]
    assert (away["state"], away["release"]) == ("unknown", "exchange")  # it is not the present state


def test_who_is_away_says_since_when_it_has_not_been_heard() -> None:
    assert pictured()["heard"] == ""
    late = pictured(now_s=1000)
    assert (late["standing"], late["heard"]) == ("late", rfc3339(NS_PER_S))


def test_a_reader_sees_what_its_role_and_its_language_let_it() -> None:
    said = [(f"alert/c{n}", {**ALERT, "severity": "critical" if n == 9 else "warning"}) for n in range(10)]
    fields = dict(pictured(("line/3", {**LINE, "state": "recording", "call_id": CALL}), *said))
    everything, watch = journal.visible_fields(fields, EVERYTHING), journal.visible_fields(fields, WATCH)
    assert everything["lines"]["3"]["call"] == CALL
    assert CALL not in json.dumps(watch)
    assert watch["lines"]["3"]["state"] == "recording"
    assert (watch["alerts"][0]["severity"], watch["alerts"][0]["text"]) == ("critical", ALERT["text_ko"])
    assert everything["alerts"][0]["text"] == ALERT["text_en"]
    assert (len(watch["alerts"]), watch["more"]) == (journal.ALERTS_SHOWN, 6)
    alone = journal.visible_fields(fields, Reader(False, "ko", "main-03"))
    assert (len(alone["alerts"]), alone["more"]) == (10, 0)


def test_the_journal_is_bounded_and_knows_what_it_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_ENTRIES", 10)
    kept = Journal("abcd")
    for n in range(25):
        kept.add("unit", {"unit": f"u-{n}"})
    assert kept.number_of("abcd-25") == 25
    assert kept.after(25) == []
    assert [entry.fields["unit"] for entry in kept.after(22) or ()] == ["u-22", "u-23", "u-24"]
    assert len(kept.after(15) or ()) == 10
    assert kept.after(14) is None
    for strange in ("abcd-26", "dcba-25", "", "abcd-", "abcd--1", "abcd-1e1", "abcd-²", "x" * 400, "abcd-" + "9" * 400):
        assert kept.number_of(strange) is None


def test_the_journal_is_bounded_by_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_PARTS", 100)
    kept = Journal("abcd")
    for n in range(50):
        kept.add("unit", {"unit": f"u-{n}", "alerts": [{}] * 48})
    assert len(kept.after(48) or ()) == 2
    assert kept.after(47) is None


def test_an_event_is_of_one_line_whatever_a_unit_says() -> None:
    kept = Journal("abcd")
    kept.add("unit", dict(pictured(("alert/hum", {**ALERT, "text_en": "a\u2028id: x-1"}))))
    entry = (kept.after(0) or [])[0]
    assert [line.partition(b":")[0] for line in entry.event(EVERYTHING, "abcd").strip().split(b"\n")] == [
        b"id", b"event", b"data"
    ]  # fmt: skip
    assert entry.event(Reader(True, "en", "another"), "abcd") == b""


def test_floors_are_in_the_order_of_a_lift() -> None:
    assert sorted(["10", "B1", "annex", "2", "1", "b2", "3f"], key=floor_order) == [
        "b2", "B1", "1", "2", "3f", "10", "annex"
    ]  # fmt: skip


def test_a_time_that_is_none_is_shown_as_it_was_said() -> None:
    assert words.local_moment(AT, ZoneInfo("Asia/Seoul")) == "2026-11-25 07:56:00"
    for strange in ("", "yesterday", "9999-99-99T00:00:00Z", "<b>"):
        assert words.local_moment(strange, ZoneInfo("Asia/Seoul")) == strange


@pytest.mark.parametrize(
    "changed",
    [
        {}, {"unit": "main-04"}, {"standing": "warning"}, {"calls": 1}, {"order": "B"}, {"faults": "ab"},
        {"floor": "4"}, {"building": "Annex"}, {"seen": {"by": "Kim", "at": AT}}, {"alerts": [{"text": "hums"}]},
        {"lines": {"1": {"state": "recording"}}}, {"lines": {"2": {"state": "idle"}}},
    ],
    ids=str,
)  # fmt: skip
def test_a_tile_is_rendered_again_when_what_it_shows_changes(changed: dict[str, Any]) -> None:
    made: list[Any] = []

    def render(one: Any, hidden: bool) -> Markup:
        made.append((one, hidden))
        return Markup(len(made))

    one = {
        "unit": "main-03", "standing": "fine", "calls": 0, "order": "A", "faults": "", "building": "Main", "floor": "3",
        "seen": None, "alerts": [], "cause": None, "lines": {"1": {"state": "idle"}},
    }  # fmt: skip
    tiles = Tiles()
    first = tiles.well_tile("ko", render, one, False)
    assert tiles.well_tile("ko", render, {**one, "since": AT}, False) == first
    assert (tiles.well_tile("ko", render, {**one, **changed}, False) == first) == (not changed)
    assert tiles.well_tile("en", render, one, False) != first
    assert tiles.well_tile("ko", render, one, True) != first
    ill = {**one, "cause": {"says": "hums"}}
    assert tiles.well_tile("ko", render, ill, False) != tiles.well_tile("ko", render, ill, False), (
        "it says how long ago"
    )


def test_tiles_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles_module, "MOST", 3)
    one: dict[str, Any] = {
        **dict.fromkeys(("standing", "calls", "order", "faults", "building", "floor"), ""),
        "seen": None,
        "alerts": [],
    }
    tiles = Tiles()
    for n in range(10):
        unit: dict[str, Any] = {**one, "unit": f"u{n}", "cause": None, "lines": {}}
        assert (
            tiles.well_tile("ko", lambda one, hidden: Markup(f"{one['unit']} {hidden}"), unit, False) == f"u{n} False"
        )
        assert len(tiles._made) <= 3
