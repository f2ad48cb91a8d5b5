# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from linetap_bench.demo.view import LiveView, PlainView, Snapshot, describe, open_view
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.records import Audio, Caller, CallRecord, LineState

AT = "2026-11-24T22:56:00.123Z"
CALL = CallRecord(
    call_id="20261124T225600.123Z-L03",
    unit="closet-3f",
    line=3,
    direction="in",
    answered_by="hook",
    ended_by="on_hook",
    dialled="0212345678",
    caller=Caller(number="01012345678", name="홍길동"),
    audio=Audio(samples=100_000),
)
LOOK = Snapshot(
    services={"recorder": "up", "reporter": "down"},
    lines=[
        LineState(line=3, state="recording", since=AT, call_id=CALL.call_id),
        LineState(line=4, state="idle", since=AT),
    ],
    leds={"run": True, "call": False, "fault": False},
    meaning="녹음 중 / recording",
    calls=[CALL],
    gap_ms=0.0,
    reports_waiting=2,
    reports_delivered=5,
)


def clock() -> ManualClock:
    return ManualClock(utc_ns=parse_rfc3339(AT) + 7_000_000_000)


def drawn(snapshot: Snapshot) -> str:
    out = io.StringIO()
    with LiveView(Console(file=out, force_terminal=True, width=120, height=40, color_system=None), clock()) as view:
        view.show(snapshot)
    return out.getvalue()


def test_the_live_view_shows_lines_leds_calls_and_services() -> None:
    text = drawn(LOOK)
    for wanted in ("● RUN", "○ CALL", "○ FAULT", "recording", "7 s", CALL.call_id, "12.5 s of audio", "reporter down"):
        assert wanted in text


def test_on_a_pipe_only_what_changes_is_a_line() -> None:
    out = io.StringIO()
    own = clock()
    with PlainView(Console(file=out, width=80), own) as view:
        view.show(LOOK)
        first = out.getvalue().splitlines()
        own.advance(2_000_000_000)
        view.show(LOOK)
        view.show(replace(LOOK, lines=[LineState(line=3, state="idle", since=AT), LOOK.lines[1]]))
    assert len(first) == 6
    assert all(line.isprintable() for line in first)  # no cursor is moved
    assert out.getvalue().splitlines()[6:] == ["   2.0 s  line 3: idle"]


@pytest.mark.parametrize("text", [drawn(LOOK), describe(CALL)], ids=["live", "described"])
def test_no_personal_data_is_shown(text: str) -> None:
    for secret in ("0212345678", "01012345678", "홍길동"):
        assert secret not in text


def test_the_view_is_chosen_by_what_the_output_is() -> None:
    assert isinstance(open_view(Console(file=io.StringIO())), PlainView)
    assert isinstance(open_view(Console(file=io.StringIO(), force_terminal=True)), LiveView)
