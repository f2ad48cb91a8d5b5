# SPDX-License-Identifier: Apache-2.0
"""The likely cause of a unit's fault, and its details: since when, last reception, whom to call."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from watch_rig import ALERT, AT, HEALTH, LINE, OFFLINE, ONLINE

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.wire.topics import HEALTH_EXPIRY_S
from linetap_desk.serve.live.causes import CAUSES, Neighbours, PlacedUnit
from linetap_desk.serve.live.journal import Absences, Acknowledged, Picture, Reader, picture, visible_fields
from linetap_desk.watch.places import Place
from linetap_desk.watch.units import Units

GOODBYE = {**OFFLINE, "since": "2026-11-24T23:30:00.000Z"}  # a will has the time at which its session began
CONTACTS = {"contact": "duty", "power": "facilities", "network": "IT", "lines": "PBX"}
NOW_S = 1000


def place(unit: str) -> Place:
    """`a3`: building a, floor 3, a switch for every two floors. `b` has no switches, `xx` has no place."""
    building, floor = unit[0], unit[1:].partition("-")[0]
    if building == "x":
        return Place("", "", contacts=CONTACTS)
    return Place(building, floor, f"SW{(int(floor) + 1) // 2}" if building == "a" else "", floor, CONTACTS)


class House:
    """Units that were well, and their later state."""

    def __init__(self, *names: str) -> None:
        self.units, self.names = Units(), names
        for name in names:
            self.say(name, 1, status=ONLINE, health=HEALTH)

    def say(self, unit: str, at_s: float, retained: bool = False, **said: object) -> None:
        for topic, what in said.items():
            path = topic.replace("__", "/")
            self.units.receive(
                f"linetap/v1/{unit}/{path}", msgspec.json.encode(what), int(at_s * NS_PER_S), retained=retained
            )

    def code(self, unit: str, now_s: float = 30) -> str:
        cause = self._neighbours(now_s).cause(self._seen(unit, now_s))
        return "" if cause is None else f"{cause.code} {cause.where.strip()}".strip()

    def picture(self, unit: str, now_s: float = 30, **more: Any) -> Picture:
        cause = self._neighbours(now_s).cause(self._seen(unit, now_s))
        return picture(self.units.units[unit], place(unit), int(now_s * NS_PER_S), rfc3339, cause, **more)

    def _seen(self, unit: str, now_s: float) -> PlacedUnit:
        found = self.units.units[unit]
        return PlacedUnit(found, place(unit), found.judged(int(now_s * NS_PER_S)))

    def _neighbours(self, now_s: float) -> Neighbours:
        return Neighbours(self._seen(name, now_s) for name in self.units.units)


FLOORS = ("a1", "a2", "a3", "a4", "b1", "b1-2", "b2", "b3", "b4", "xx")


@pytest.mark.parametrize(
    ("said", "unit", "code"),
    [
        ({}, "a1", ""),
        ({"a1": {"status": OFFLINE}}, "a1", "cut (SW1 1)"),
        ({"xx": {"status": OFFLINE}}, "xx", "cut"),
        ({"a1": {"status": GOODBYE}}, "a1", "stopped"),
        ({"a1": {"alert__certificate_end": ALERT, "status": OFFLINE}}, "a1", "certificate"),
        ({"a1": {"alert__under_voltage": ALERT, "status": OFFLINE}}, "a1", "power"),
        ({"a1": {"alert__power_failing": ALERT, "status": OFFLINE}}, "a1", "power"),
        (
            {"a1": {"alert__power_failing": ALERT, "status": OFFLINE}, "a2": {"status": OFFLINE}},
            "a1",
            "switch SW1",
        ),
        ({"a1": {"status": OFFLINE}, "a2": {"status": OFFLINE}}, "a1", "switch SW1"),
        ({"a1": {"status": OFFLINE}, "a3": {"status": OFFLINE}}, "a1", "cut (SW1 1)"),  # not one switch
        ({"b1": {"status": OFFLINE}, "b1-2": {"status": OFFLINE}}, "b1", "floor 1"),
        ({name: {"status": OFFLINE} for name in ("b1", "b1-2", "b2", "b3", "b4")}, "b2", "building b"),
        ({name: {"status": OFFLINE} for name in ("a1", "a2", "b1", "b2", "b3")}, "a1", "broker"),
        ({"a1": {"alert__line_cut": ALERT}}, "a1", "reported"),
    ],
)
def test_a_cause_is_derived_from_what_the_desk_knows(said: dict[str, dict[str, Any]], unit: str, code: str) -> None:
    house = House(*FLOORS)
    for name, topics in said.items():
        house.say(name, 20, **topics)
    assert house.code(unit) == code


def test_who_went_apart_did_not_go_together() -> None:
    house = House(*FLOORS)
    for n, name in enumerate(("a1", "a3", "b1", "b2", "b3")):
        house.say(name, 20 + 200 * n, status=OFFLINE)
        for other in FLOORS:
            house.say(other, 20 + 200 * n, health=HEALTH)
    assert house.code("a1", 830) == "cut (SW1 1)"


def test_silent_units_of_a_building_are_its_bridge_and_one_alone_hangs() -> None:
    house = House(*FLOORS)
    late_s = HEALTH_EXPIRY_S + 10
    for name in FLOORS[:4] + FLOORS[5:]:
        house.say(name, 50, health=HEALTH)
    assert house.code("b1", late_s) == "hangs"
    for name in FLOORS[:4]:
        house.say(name, 100, health=HEALTH)
    assert house.code("b2", HEALTH_EXPIRY_S + 60) == "bridge b"


def test_what_the_broker_retained_says_not_how_it_ended() -> None:
    house = House()
    house.say("a1", 1, retained=True, status=OFFLINE)
    house.units.expected["a2"] = None
    house.units.units.setdefault("a2", type(house.units.units["a1"])("a2"))
    assert house.code("a1") == "gone (SW1 1)"
    assert house.code("a2") == "never"
    shown = house.picture("a1")
    assert (shown["began"], shown["heard"]) == ("", "")
    past = Absences({("a1", "offline"): AT}, {"a1": "2026-11-24T22:55:00.000Z"})
    shown = house.picture("a1", absences=past)  # the ingest has seen it disconnect
    assert (shown["began"], shown["heard"]) == (AT, "2026-11-24T22:55:00.000Z")


def test_since_when_and_whom_to_call() -> None:
    house = House(*FLOORS)
    house.say("a1", 20, status=OFFLINE)
    house.say("a3", 20, alert__hum={**ALERT, "since": AT})
    away, hums = house.picture("a1"), house.picture("a3")
    assert (away["began"], away["heard"]) == (rfc3339(20 * NS_PER_S), rfc3339(20 * NS_PER_S))
    assert hums["began"] == AT
    said = visible_fields(dict(away), Reader(False, "ko"))["cause"]
    assert "SW1 1" in said["says"]
    assert (said["contact"], said["group"]) == ("facilities / IT", "")
    said = visible_fields(dict(hums), Reader(False, "ko"))["cause"]
    assert said == {"says": ALERT["text_ko"], "cure": "", "contact": "PBX", "group": ""}


@pytest.mark.parametrize(
    ("check", "contact"),
    [
        ("contact_open", "PBX"), ("contact_stuck", "PBX"), ("clipped", "PBX"), ("too_quiet", "PBX"),
        ("under_voltage", "facilities"), ("call_undated", "IT"), ("disk_full", "duty"), ("of_a_later_version", "duty"),
    ],
)  # fmt: skip
def test_whom_to_call_follows_from_the_alert(check: str, contact: str) -> None:
    house = House("a1")
    said: dict[str, Any] = {f"alert__{check}": ALERT}
    house.say("a1", 20, **said)
    assert visible_fields(dict(house.picture("a1")), Reader(False, "ko"))["cause"]["contact"] == contact


def test_each_cause_can_be_said_in_both_languages() -> None:
    for code in CAUSES:
        texts = [
            visible_fields(
                {"cause": {"code": code, "contact": "", "where": "(W)", "n": 7, "texts": None, "group": ""}},
                Reader(False, language),
            )["cause"]
            for language in ("ko", "en")
        ]
        assert all("{" not in one["says"] + one["cure"] and one["cure"] for one in texts)
        assert texts[0]["says"] != texts[1]["says"]


def test_a_unit_that_is_away_has_no_calls_and_no_states_of_lines() -> None:
    house = House("a1")
    house.say("a1", 10, line__1={**LINE, "state": "recording", "call_id": "c"})
    assert (house.picture("a1")["calls"], house.picture("a1")["lines"]["1"]["state"]) == (1, "recording")
    house.say("a1", 20, status=OFFLINE)
    shown = house.picture("a1")
    assert (shown["calls"], shown["activity"]) == (0, "idle")
    assert shown["lines"] == {"1": {"state": "unknown", "since": "", "call": None}}


def test_an_acknowledgement_holds_for_the_faults_that_it_was_of() -> None:
    house = House("a1")
    hum, cut = {**ALERT, "since": "1"}, {**ALERT, "severity": "critical"}
    house.say("a1", 10, alert__hum=hum, alert__clipped=ALERT)
    seen = Acknowledged(house.picture("a1")["faults"], "Kim", AT)

    def by() -> str:
        found = house.picture("a1", seen=seen)["seen"]
        return "" if found is None else found["by"]

    assert by() == "Kim"
    house.say("a1", 11, alert__clipped=None)
    house.units.receive("linetap/v1/a1/alert/clipped", b"", 11 * NS_PER_S)
    assert by() == "Kim"  # one of them is over
    house.say("a1", 12, alert__hum={**hum, "since": "2"})
    assert by() == ""  # it is over, and another one of its kind has begun
    house.say("a1", 13, alert__hum=hum)
    assert by() == "Kim"
    house.say("a1", 14, alert__line_cut=cut)
    assert by() == ""
    house.units.receive("linetap/v1/a1/alert/line_cut", b"", 15 * NS_PER_S)
    house.say("a1", 16, status=OFFLINE)
    assert by() == ""  # another fault
    assert house.picture("a1", seen=Acknowledged(house.picture("a1")["faults"], "Lee", AT))["seen"] is not None
    house.say("a1", 17, status={**ONLINE, "session": "b"}, health=HEALTH)
    house.say("a1", 18, status={**OFFLINE, "session": "b"})
    assert by() == ""
