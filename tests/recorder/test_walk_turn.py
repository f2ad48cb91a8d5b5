# SPDX-License-Identifier: Apache-2.0
"""A line's turn as tables: the observations, the resulting step, and the final result of the line."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from linetap.config.profile import HealthNumbers
from linetap.recorder.walk.turn import CALL_S, WAIT_S, Observation, Turn
from linetap.recorder.walk.walk import RED, colour_of, judge, not_reached, worst
from linetap_core.records import CallRecord, NoticeRecord, WalkedLine, WalkStep

CALL = "20261125T225601.710Z-L03"
AT = "2026-11-25T22:56:30.000Z"
IDLE = Observation(0.0, on_hook=True, volts=-48.0, level_dbm0=-68.0)
LIFTED = Observation(0.0, idle=False, call_id=CALL, outgoing=True, on_hook=False, volts=-8.0, level_dbm0=-13.0)
DIALLED = replace(LIFTED, dialled=1)
PLAYED = replace(DIALLED, announced=True, level_dbm0=None)
HEARD = replace(PLAYED, notice_proven=True)
RINGS = Observation(0.0, idle=False, call_id="20261125T225600.000Z-L03")


def turn_of(*observations: Observation, every_s: float = 1.0) -> Turn:
    turn = Turn(line=3, began_s=0.0)
    for n, seen in enumerate(observations):
        turn.observe(replace(seen, mono_s=n * every_s))
        turn = msgspec.msgpack.decode(msgspec.msgpack.encode(turn), type=Turn)  # as after a restart
    return turn


def record(**changes: object) -> CallRecord:
    notice = NoticeRecord(id="ko", started_at=AT, proof="full", score=1.0, level_db=-6.0)
    facts = {"dialled": "1", "notice": notice, "notices": [notice], "disposition": "recorded"}
    return CallRecord(call_id=CALL, unit="floor-03", line=3, **facts | changes)  # type: ignore[arg-type]


def walked(made: CallRecord | None = None, exempt: bool = False, seen: Observation = HEARD) -> WalkedLine:
    """A successful turn, except for the arguments."""
    turn = turn_of(IDLE, LIFTED, DIALLED, PLAYED, seen)
    turn.call_over(made or record())
    assert turn.over
    return judge(turn, exempt, HealthNumbers(), AT)


@pytest.mark.parametrize(
    ("observations", "step"),
    [
        ((IDLE,), "lift"),
        ((IDLE, LIFTED), "dial"),
        ((IDLE, LIFTED, DIALLED), "notice"),
        ((IDLE, LIFTED, replace(LIFTED, announced=True)), "notice"),  # the digit did not come in time
        ((IDLE, LIFTED, DIALLED, HEARD), "down"),
        ((IDLE, replace(LIFTED, passing=True)), "down"),
        ((RINGS,), "free"),
        ((IDLE, RINGS), "free"),
        ((IDLE, RINGS, IDLE), "lift"),
        ((LIFTED,), "free"),  # it was in use before the request
        ((LIFTED, DIALLED), "free"),
        ((IDLE, LIFTED, replace(LIFTED, dialled=2)), "free"),  # a real call is dialled
        ((IDLE, LIFTED, replace(LIFTED, dialled=2), replace(LIFTED, dialled=3), IDLE), "lift"),
        ((IDLE, LIFTED, replace(LIFTED, call_id=CALL + "-2")), "free"),
    ],
)
def test_steps(observations: tuple[Observation, ...], step: WalkStep) -> None:
    turn = turn_of(*observations)
    assert (turn.step, turn.over) == (step, False)
    assert (turn.call_id is None) == (step in ("free", "lift"))


def test_a_good_line() -> None:
    found = walked()
    assert (found.colour, found.found, found.call_id) == ("green", [], CALL)
    assert (found.on_hook_v, found.off_hook_v, found.level_dbm0) == (-48.0, -8.0, -13.0)
    assert (found.digit, found.proof, found.echo_db) == (True, "full", -6.0)


@pytest.mark.parametrize(
    ("made", "codes"),
    [
        (record(dialled=None), ["no_digit"]),
        (record(notice=NoticeRecord(id="ko", started_at=AT, proof="partial")), ["notice_partial"]),
        (record(notice=NoticeRecord(id="ko", started_at=AT, proof="absent")), ["notice_absent"]),
        (record(notice=NoticeRecord(id="ko", started_at=AT)), ["notice_absent"]),  # on-hook before it was judged
        (record(notice=None, disposition="discarded", dialled=None), ["not_recorded", "notice_not_played", "no_digit"]),
    ],
)
def test_what_the_record_says_of_the_line(made: CallRecord, codes: list[str]) -> None:
    found = walked(made)
    assert (found.colour, found.found) == (colour_of(codes), codes)
    assert found.colour != "green"


@pytest.mark.parametrize(
    ("seen", "codes", "colour"),
    [
        (replace(HEARD, troubles=["battery_low"]), ["battery_low"], "yellow"),
        (replace(HEARD, troubles=["hum", "line_short"]), ["line_short", "hum"], "red"),
        (replace(HEARD, troubles=["long_call", "notice_not_heard"]), [], "green"),  # not a fault of the wires
    ],
)
def test_what_the_line_suffers_from(seen: Observation, codes: list[str], colour: str) -> None:
    found = walked(seen=seen)
    assert (found.found, found.colour) == (codes, colour)


@pytest.mark.parametrize(("level", "codes"), [(-50.0, ["too_quiet"]), (-75.0, ["silent"]), (-30.0, []), (None, [])])
def test_the_loudest_half_second_is_judged(level: float | None, codes: list[str]) -> None:
    turn = turn_of(IDLE, replace(LIFTED, level_dbm0=level), replace(DIALLED, level_dbm0=level), HEARD)
    turn.call_over(record())
    assert judge(turn, False, HealthNumbers(), AT).found == codes


def test_an_exempt_line_has_neither_notice_nor_digit() -> None:
    made = record(disposition="exempt", notice=None, dialled=None)
    assert walked(made, exempt=True, seen=replace(LIFTED, passing=True)).colour == "green"
    assert walked(made, exempt=False).colour == "red"


def test_a_line_without_battery_is_not_waited_for() -> None:
    for before in (IDLE, RINGS):
        turn = turn_of(before, replace(before, troubles=["line_cut"]))
        assert turn.over
        assert judge(turn, False, HealthNumbers(), AT).found == ["line_cut"]


@pytest.mark.parametrize(
    ("observations", "until_s", "codes"),
    [
        ([IDLE], WAIT_S, ["not_lifted"]),
        ([RINGS], WAIT_S, ["in_use"]),
        ([IDLE, LIFTED], 1 + CALL_S, ["not_put_down"]),
        ([IDLE, LIFTED, DIALLED, HEARD], 1 + CALL_S, ["not_put_down"]),
        ([IDLE, LIFTED, replace(LIFTED, dialled=2)], WAIT_S, ["not_lifted"]),
    ],
)
def test_each_turn_has_its_end(observations: list[Observation], until_s: float, codes: list[str]) -> None:
    turn = turn_of(*observations)
    turn.observe(replace(observations[-1], mono_s=until_s - 0.5))
    assert not turn.over
    turn.observe(replace(observations[-1], mono_s=until_s))
    assert turn.over
    found = judge(turn, False, HealthNumbers(), AT)
    assert (found.colour, found.found) == ("red", codes)


def test_the_end_of_another_call_is_none_of_its_business() -> None:
    turn = turn_of(IDLE, LIFTED)
    turn.call_over(msgspec.structs.replace(record(), call_id=CALL + "-2"))
    assert turn.record is None
    assert not turn.over


def test_the_worst_line_counts() -> None:
    lines = [WalkedLine(line=1, colour="green"), WalkedLine(line=2, colour="yellow")]
    assert worst(lines) == "yellow"
    assert worst([*lines, not_reached(3, AT)]) == "red"
    assert {"not_reached", "line_cut", "line_short"} <= RED
