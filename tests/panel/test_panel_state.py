# SPDX-License-Identifier: Apache-2.0
"""The LEDs show a condition for all contents of the state files, and never show a dead recorder as working."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linetap.checks.watch import Seen, Services, judge
from linetap_core.clock import NS_PER_MS, NS_PER_S
from linetap_core.records import (
    CaptureState,
    Fault,
    LineStatus,
    MeterState,
    RecorderState,
    ReporterState,
    ServiceState,
    WalkState,
)
from linetap_core.wire.legend import ACTIVITIES, CONDITIONS, PATTERNS
from panel_shown import shown
from state_files import capture, recorder, reporter, suffering

NOW_NS = 1000 * NS_PER_S

ages_ms = st.one_of(st.integers(0, 1499), st.integers(1500, 10_000), st.integers(-3000, 0))
faults = st.sampled_from([None, "codec_stalled", "bad_input", "device_fault", "disk_full"]).map(
    lambda code: Fault(code, "") if code else None
)
line_states = st.sampled_from(get_args(LineStatus))
captures = st.builds(capture, lines=st.just((1, 2)), fault=faults)
recorders = st.builds(
    lambda a, b, fault, refused: recorder(a, b, fault=fault, recording_refused=refused),
    line_states, line_states, faults, st.sampled_from([None, "disk_full", "vault_unwritable"]),
)  # fmt: skip
reporters = st.builds(reporter, connected=st.booleans(), fault=faults)


@st.composite
def unit_states(draw: st.DrawFn) -> Services:
    grace_over = draw(st.booleans())

    def seen[S: ServiceState](states: st.SearchStrategy[S]) -> Seen[S]:
        state = draw(st.one_of(st.none(), states))
        if state is not None:
            state.mono_ns = NOW_NS - draw(ages_ms) * NS_PER_MS
        moved_ns = NOW_NS - draw(st.sampled_from([100, 1499, 1500, 60_000])) * NS_PER_MS
        return judge(state, NOW_NS, grace_over, moved_ns, moved_ns - draw(st.integers(0, 5000)) * NS_PER_MS)

    cards = draw(st.integers(1, 4))
    return Services({card: seen(captures) for card in range(1, cards + 1)}, seen(recorders), seen(reporters))


@given(unit_states())
def test_whatever_the_state_files_say_the_leds_are_defined(services: Services) -> None:
    now = shown(services)
    assert now.condition in CONDITIONS
    assert now.activity in ACTIVITIES
    assert now.patterns.keys() == {"run", "call", "fault"}
    assert set(now.patterns.values()) <= PATTERNS.keys()
    assert now.standing[0] == now.condition
    assert now.meaning_ko
    assert now.meaning_en


@given(unit_states())
def test_run_is_lit_only_where_calls_are_recorded(services: Services) -> None:
    now = shown(services)
    everyone = (*services.capture.values(), services.recorder)
    if any(seen.status == "dead" or seen.fault for seen in everyone):
        assert now.patterns["run"] == "off"
        assert now.patterns["fault"] != "off"
    elif any(seen.status != "alive" for seen in everyone):
        assert not CONDITIONS[now.condition].records
    if now.condition == "ok":
        assert all(seen.status == "alive" and not seen.stuck for seen in services.capture.values())
        assert services.recorder.status == services.reporter.status == "alive"
        assert services.recorder.state is not None
        assert services.recorder.state.recording_refused is None


@given(unit_states())
def test_a_dead_recorders_last_word_is_not_shown_as_a_call(services: Services) -> None:
    if services.recorder.status != "alive" or all(seen.status != "alive" for seen in services.capture.values()):
        assert shown(services).activity == "idle"


def test_a_recorder_that_fails_for_want_of_room_is_shown_beside_a_capture_that_starts() -> None:
    full = Seen(recorder(fault=Fault("disk_full", "")), "alive", NS_PER_S)
    now = shown(Services({1: Seen(None, "starting", 0)}, full, well().reporter))
    assert (now.condition, now.patterns["run"]) == ("disk_full", "off")


def test_a_recorder_killed_while_it_recorded_shows_no_recording() -> None:
    now = shown(Services(well().capture, DEAD_RECORDER, well().reporter))
    assert (now.condition, now.activity, now.patterns["call"]) == ("recorder_dead", "idle", "off")


def alive[S: ServiceState](state: S, moving_s: int = 60) -> Seen[S]:
    return Seen(state, "alive", moving_s * NS_PER_S)


def well(*doing: LineStatus) -> Services:
    return Services({1: alive(capture())}, alive(recorder(*doing or ("idle", "idle"))), alive(reporter()))


DEAD_CAPTURE: Seen[CaptureState] = Seen(capture(), "dead")
DEAD_RECORDER: Seen[RecorderState] = Seen(recorder("recording"), "dead")
DEAD_REPORTER: Seen[ReporterState] = Seen(reporter(), "dead")
STILL_NS = 60 * NS_PER_S
STALLED = capture(fault=Fault("codec_stalled", ""))


@pytest.mark.parametrize(
    ("capture_seen", "recorder_seen", "reporter_seen", "condition"),
    [
        (None, None, None, "ok"),
        (alive(capture(overruns_lately=3)), None, None, "unit_check"),
        (Seen(capture(fault=Fault("codec_absent", "")), "dead"), None, None, "codec_stalled"),
        (DEAD_CAPTURE, None, None, "capture_dead"),
        (None, DEAD_RECORDER, None, "recorder_dead"),
        (None, None, DEAD_REPORTER, "reporter_dead"),
        (DEAD_CAPTURE, DEAD_RECORDER, None, "capture_dead"),
        (DEAD_CAPTURE, DEAD_RECORDER, DEAD_REPORTER, "nothing_runs"),
        (Seen(STALLED, "dead"), None, None, "codec_stalled"),
        (Seen(capture(), "alive", 0, STILL_NS), None, None, "codec_stalled"),
        (
            Seen(capture(), "alive", 0, STILL_NS),
            Seen(recorder(), "alive", 0, STILL_NS),
            None,
            "codec_stalled",
        ),
        (None, Seen(recorder(), "alive", 0, STILL_NS), None, "recorder_dead"),
        (None, alive(recorder(recording_refused="disk_full")), None, "disk_full"),
        (None, alive(recorder(recording_refused="disk_error")), None, "not_recording"),
        (None, alive(recorder(fault=Fault("disk_thread", ""))), None, "not_recording"),
        (None, alive(recorder(full_in_days=41)), None, "disk_forecast"),
        (None, alive(recorder("idle", "fault")), None, "ok"),  # a line's fault is shown by its trouble, not its state
        (alive(capture()), Seen(None, "dead", unwritten="full"), None, "state_unwritten"),
        (None, None, Seen(reporter(), "dead", unwritten="full"), "unit_check"),
        (None, alive(recorder(outbox_dropped_to=7)), None, "desk_check"),
        (None, alive(suffering("line_cut")), None, "line_fault"),
        (None, alive(suffering("hum")), None, "line_check"),
        (None, alive(suffering("call_marked", "notice_not_heard", "hum")), None, "line_fault"),
        (None, alive(suffering("call_marked", "long_call", "a code of tomorrow")), None, "ok"),
        (alive(capture(meter=MeterState(connected=True))), None, None, "ok"),
        (alive(capture(meter=MeterState(connected=False))), None, None, "meter_absent"),
        (alive(capture(meter=MeterState(connected=False, tamper=True))), None, None, "unit_opened"),
        (None, None, alive(reporter(connected=False)), "broker_unreachable"),
        (None, Seen(None, "starting"), None, "starting"),
        (None, Seen(None, "starting"), DEAD_REPORTER, "starting"),
        (DEAD_CAPTURE, Seen(None, "starting"), None, "capture_dead"),
        (Seen(capture(fault=Fault("bad_input", "")), "dead"), None, None, "config_wrong"),
    ],
)
def test_each_condition(
    capture_seen: Seen[CaptureState] | None,
    recorder_seen: Seen[RecorderState] | None,
    reporter_seen: Seen[ReporterState] | None,
    condition: str,
) -> None:
    base = well()
    services = Services(
        {1: capture_seen or base.capture[1]}, recorder_seen or base.recorder, reporter_seen or base.reporter
    )
    now = shown(services)
    assert now.condition == condition
    assert ("ok" in now.standing) == (condition == "ok")


@pytest.mark.parametrize(
    ("doing", "activity", "call"),
    [
        (("idle", "idle"), "idle", "off"),
        (("ringing", "idle"), "ringing", "fast"),
        (("dialling", "idle"), "ringing", "fast"),
        (("ringing", "notice"), "notice", "slow"),
        (("notice", "recording"), "recording", "on"),
        (("off_hook", "idle"), "off_hook", "flash"),
        (("off_hook", "ringing"), "ringing", "fast"),
    ],
)
def test_call_shows_the_most_telling_line(doing: tuple[LineStatus, ...], activity: str, call: str) -> None:
    now = shown(well(*doing))
    assert (now.activity, now.patterns["call"]) == (activity, call)
    assert now.unit_state == (activity if activity != "idle" else "ok")


def test_one_dead_card_of_two_is_a_fault_and_the_other_cards_calls_are_still_shown() -> None:
    both = {1: DEAD_CAPTURE, 2: alive(capture(2, (3, 4)))}
    on_the_dead_card = shown(Services(both, alive(recorder("recording")), alive(reporter())))
    assert (on_the_dead_card.condition, on_the_dead_card.activity) == ("capture_dead", "idle")
    on_the_other = shown(Services(both, alive(recorder("idle", "idle", "recording")), alive(reporter())))
    assert (on_the_other.condition, on_the_other.activity) == ("capture_dead", "recording")


# The removal of the disk is known to the panel alone. test_four_views.py tests `panel_dead` and `data_lost`.
OF_THE_PANEL = {"removing", "pull", "removal_failed"}
# The conditions of a unit without a configuration: tests/panel/test_new_unit.py.
NEW = {"adopt_seek", "adopt_code", "adopt_confirmed"}


def test_every_condition_of_the_legend_can_be_reached() -> None:
    mark = next(mark for mark in test_each_condition.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    assert {case[-1] for case in mark.args[1]} | {*OF_THE_PANEL, *NEW, "panel_dead", "data_lost"} == CONDITIONS.keys()


@pytest.mark.parametrize("removal", ["removing", "pull", "removal_failed"])
def test_a_disk_that_is_to_be_pulled(removal: str) -> None:
    now = shown(well(), 0, (removal,))
    assert (now.condition, "ok" in now.standing) == (removal, False)
    assert now.marks == ({removal} if removal == "removal_failed" else set())


@pytest.mark.parametrize(
    ("walk", "activity"),
    [
        ({"step": "lift"}, "walk_lift"),
        ({"step": "dial"}, "walk_dial"),
        ({"step": "down"}, "walk_down"),
        ({"step": "notice"}, "walk_wait"),
        ({"step": "free"}, "walk_wait"),
        ({"step": "lift", "shows": "yellow"}, "walk_yellow"),
        ({"step": "dial", "shows": "yellow"}, "walk_dial"),  # the tester is at the next line already
        ({"shows": "red", "ended_by": "done"}, "walk_red"),
        ({}, "recording"),
    ],
)
def test_a_walk_test_is_recognised_by_call_alone(walk: dict[str, Any], activity: str) -> None:
    state = recorder("recording", "fault", walk=WalkState(began_at="", by="button", **walk))
    state.lines[1].troubles = ["line_cut"]
    now = shown(Services(well().capture, alive(state), well().reporter))
    assert (now.activity, now.condition) == (activity, "line_fault")
    assert now.patterns["run"] == "on"
