# SPDX-License-Identifier: Apache-2.0
"""A unit's state from its messages at the broker, and the limit on memory against hostile messages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from watch_rig import ALERT, AT, HEALTH, LINE, OFFLINE, ONLINE

from linetap_core.clock import NS_PER_S
from linetap_core.wire.topics import HEALTH_EXPIRY_S
from linetap_desk.watch import units
from linetap_desk.watch.units import Change, Units


class Told(Units):
    """The units' state with a settable clock, in seconds."""

    now_s = 1000

    def tell(self, topic: str, of: object, unit: str = "main-03", **how: Any) -> Change | None:
        payload = of if isinstance(of, bytes) else msgspec.json.encode(of)
        return self.receive(f"linetap/v1/{unit}/{topic}", payload, self.now_s * NS_PER_S, **how)

    def standing(self, unit: str = "main-03") -> str:
        self.judge(self.now_s * NS_PER_S)
        return self.units[unit].standing


def well() -> Told:
    told = Told()
    told.tell("status", ONLINE)
    told.tell("health", HEALTH)
    told.tell("line/1", LINE)
    return told


@pytest.mark.parametrize(
    ("topic", "of", "standing"),
    [
        ("line/1", LINE, "fine"),
        ("status", OFFLINE, "offline"),
        ("status", b"", "unheard"),
        ("alert/hum", ALERT, "warning"),
        ("alert/disk_full", {**ALERT, "severity": "critical"}, "fault"),
        ("line/2", {**LINE, "state": "fault"}, "fine"),  # like the next two: only an alert makes a fault
        ("health", {**HEALTH, "services_dead": "recorder"}, "fine"),
        ("health", {**HEALTH, "recording_refused": "disk_full"}, "fine"),
    ],
)
def test_each_standing_has_its_reason(topic: str, of: object, standing: str) -> None:
    told = well()
    assert told.standing() == "fine"
    told.tell(topic, of)
    assert told.standing() == standing


def test_offline_late_and_fault_are_three_things() -> None:
    told = well()
    told.tell("alert/line_cut", {**ALERT, "severity": "critical"})
    assert told.standing() == "fault"
    told.now_s += HEALTH_EXPIRY_S + 1
    assert told.standing() == "late"  # its status is online, but its last health has expired
    told.tell("status", OFFLINE)
    assert told.standing() == "offline"


def test_a_health_is_good_for_what_the_broker_says_is_left_of_it() -> None:
    told = Told()
    told.tell("status", ONLINE, retained=True)
    told.tell("health", HEALTH, retained=True, expiry_s=10)
    told.now_s += 10
    assert told.standing() == "fine"
    told.now_s += 1
    assert told.standing() == "late"
    told.tell("health", HEALTH, expiry_s=1 << 31)  # a broker cannot extend the validity
    told.now_s += HEALTH_EXPIRY_S + 1
    assert told.standing() == "late"


def test_who_has_just_come_has_time_for_its_first_health() -> None:
    told = Told()
    told.tell("status", ONLINE)
    assert told.standing() == "fine"
    told.now_s += units.GRACE_S + 1
    assert told.standing() == "late"
    retained = Told()
    retained.tell("status", ONLINE, retained=True)
    assert retained.standing() == "late"


def test_the_late_will_of_an_older_session_says_nothing() -> None:
    told = well()
    assert told.tell("status", {**OFFLINE, "session": "older"}) is None
    assert told.standing() == "fine"


def test_only_what_is_different_is_a_change() -> None:
    told = well()
    assert told.tell("line/1", LINE) is None
    assert told.tell("line/1", {**LINE, "state": "ringing", "call_id": "c"}) == {
        "unit": "main-03", "kind": "line", "line": 1, "state": "ringing", "since": AT, "call_id": "c",
        "release": None,
    }  # fmt: skip
    assert told.tell("alert/hum", b"") is None
    told.tell("alert/hum", ALERT)
    assert told.tell("alert/hum", b"") == {"unit": "main-03", "kind": "alert", "check": "hum", "gone": True}
    first = told.judge(told.now_s * NS_PER_S)
    assert first == [{"unit": "main-03", "kind": "standing", "standing": "fine"}]
    assert told.judge(told.now_s * NS_PER_S) == []


def test_who_stands_in_the_places_is_missed() -> None:
    told = Told(["main-09"])
    assert told.standing("main-09") == "unheard"
    told.tell("status", ONLINE, unit="main-09")
    assert told.standing("main-09") == "fine"
    told.tell("status", b"", unit="main-09")
    assert told.standing("main-09") == "unheard"


def test_a_unit_of_which_everything_is_taken_back_is_gone() -> None:
    told = well()
    for topic in ("status", "health", "line/1"):
        told.tell(topic, b"")
    assert not told.units


@pytest.mark.parametrize(
    ("topic", "of"),
    [
        ("status", b"{"),
        ("status", b"\xff\xfe"),
        ("status", b"[" * 5000),
        ("status", {**ONLINE, "state": "broken"}),
        ("status", {**ONLINE, "session": "x" * 65}),
        ("status", {**ONLINE, "version": "\x1b[2J"}),
        ("status", {**ONLINE, "version": "\u202eabc"}),
        ("line/1", {**LINE, "call_id": 5}),
        ("line/0", LINE),
        ("line/100", LINE),
        ("line/x", LINE),
        ("alert/hum", {**ALERT, "text_en": "x" * 401}),
        ("alert/Hum", ALERT),
        ("health", b" " * (units.LIMIT_BYTES + 1)),
        ("call", LINE),
    ],
)
def test_what_is_none_is_counted_and_changes_nothing(topic: str, of: object) -> None:
    told = well()
    before = msgspec.json.encode(told.units["main-03"])
    assert told.tell(topic, of) is None
    assert told.bad == 1
    assert msgspec.json.encode(told.units["main-03"]) == before


def test_nothing_grows_beyond_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "MOST_UNITS", 20)
    monkeypatch.setattr(units, "MOST_ALERTS_IN_ALL", 100)
    told = Told()
    for n in range(30):
        told.tell("status", ONLINE, unit=f"main-{n}")
        for k in range(1, 100):
            told.tell(f"line/{k}", LINE, unit=f"main-{n}")
            told.tell(f"alert/a{k}", ALERT, unit=f"main-{n}")
    assert len(told.units) == 20
    assert {len(unit.lines) for unit in told.units.values()} == {units.MOST_LINES}
    assert max(len(unit.alerts) for unit in told.units.values()) == units.MOST_ALERTS
    assert sum(len(unit.alerts) for unit in told.units.values()) == 100
    assert told.passed_over > 0
    told.tell("alert/a1", b"", unit="main-0")  # a cleared alert frees its place
    assert told.tell("alert/b", ALERT, unit="main-0") is not None


@given(st.lists(st.tuples(st.sampled_from(["status", "health", "line/1", "alert/hum", "x"]), st.binary(max_size=60))))
def test_no_bytes_raise(messages: list[tuple[str, bytes]]) -> None:
    told = well()
    for topic, payload in messages:
        told.tell(topic, payload)
    told.judge(told.now_s * NS_PER_S)
