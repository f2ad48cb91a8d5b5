# SPDX-License-Identifier: Apache-2.0
"""Each check: its text, its beginning, its clearing, and the cases in which it must not report."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ill_unit import all_findings
from linetap.checks import (
    CHECKS,
    Alert,
    Check,
    Finding,
    Snapshot,
    Trouble,
    Watch,
    orders,
    run,
    take_snapshot,
)
from linetap.checks.command import diagnose, print_json, print_lines
from linetap.checks.frame import MB
from linetap.checks.watch import DEAD_NS, GRACE_MS, Seen, Services
from linetap.config.weakening import WORDS
from linetap.panel.legend import table
from linetap.reporter.telemetry import AlertLog, AlertTelemetry
from linetap_core.clock import NS_PER_MS, NS_PER_S, ManualClock
from linetap_core.log import code_of
from linetap_core.records import (
    Fault,
    OrderState,
    RecorderState,
    RefusedState,
    RetentionTimeState,
    UpdateState,
    UpdateStep,
    WeakeningState,
)
from linetap_core.wire.topics import Topics
from state_files import DEATHS, Unit, capture, recorder, reporter, unit

RESERVE = 100 * MB
ALERT_FIELDS = set(Alert.__struct_fields__)


def room(free_mb: float | None, refused: str | None = None, status: str = "alive") -> Snapshot:
    words: Seen[RecorderState] = Seen(recorder(recording_refused=refused), status)  # type: ignore[arg-type]
    services = Services({1: Seen(capture(), "alive", 60 * NS_PER_S)}, words, Seen(reporter(), "alive"))
    free = None if free_mb is None else round(free_mb * MB)
    return Snapshot(services, free, 1000 * MB, RESERVE, "/vault", 1_800_000_000 * NS_PER_S)


def severities(*snapshots: Snapshot) -> list[str]:
    standing: list[Finding] = []
    told: list[str] = []
    for snapshot in snapshots:
        standing = [finding for finding in run(snapshot, standing) if finding.check == "disk_full"]
        told.append(standing[0].trouble.severity if standing else "well")
    return told


class TestDiskFull:
    def test_thresholds(self) -> None:
        assert severities(room(1000)) == ["well"]
        assert severities(room(200)) == ["well"]
        assert severities(room(199.9)) == ["warning"]
        assert severities(room(100)) == ["warning"]
        assert severities(room(99.9)) == ["critical"]
        assert severities(room(0)) == ["critical"]

    def test_the_recorders_word_counts_whatever_the_figures_say(self) -> None:
        assert severities(room(1000, "disk_full")) == ["critical"]
        assert severities(room(1000, "disk_error")) == ["well"]

    def test_with_much_room_it_says_that_files_are_lacking(self) -> None:
        """It named a full disk with a thousand megabytes free."""
        texts = [run(room(free, "disk_full"), [])[0].trouble.text_en for free in (1000, 99)]
        assert texts == [
            "Calls are not recorded: the disk takes no more files, with 1000 MB free.",
            "Calls are not recorded: the disk is full (99 MB free, 100 MB reserved).",
        ]

    def test_a_dead_recorders_word_does_not(self) -> None:
        assert severities(room(1000, "disk_full", "dead")) == ["well"]

    def test_a_warning_does_not_flap_about_its_threshold(self) -> None:
        assert severities(room(199), room(201), room(224), room(199), room(225), room(201)) == [
            "warning", "warning", "warning", "warning", "well", "well",
        ]  # fmt: skip

    def test_it_goes_down_to_a_warning_as_soon_as_the_recorder_records_again(self) -> None:
        assert severities(room(99, "disk_full"), room(110, "disk_full"), room(116), room(300)) == [
            "critical", "critical", "warning", "well",
        ]  # fmt: skip

    def test_without_a_recorder_critical_clears_late(self) -> None:
        dead = [room(free, status="dead") for free in (99, 101, 124, 125)]
        assert severities(*dead) == ["critical", "critical", "critical", "warning"]

    def test_a_vault_that_does_not_answer_is_critical(self) -> None:
        assert severities(room(None)) == ["critical"]

    def test_since_is_of_the_beginning(self) -> None:
        first = run(room(150))
        later = replace(room(50), utc_ns=1_800_000_500 * NS_PER_S)
        again = run(later, first)
        assert first[0].since == again[0].since == "2027-01-15T08:00:00.000Z"
        assert run(later)[0].since == "2027-01-15T08:08:20.000Z"

    @given(st.lists(st.floats(0, 400), min_size=1, max_size=30))
    def test_too_little_room_is_never_told_as_well(self, frees: list[float]) -> None:
        for free, told in zip(frees, severities(*(room(free) for free in frees)), strict=True):
            if round(free * MB) < RESERVE:
                assert told == "critical"
            elif round(free * MB) < 2 * RESERVE:
                assert told == "warning"
            elif round(free * MB) >= 2.25 * RESERVE:
                assert told == "well"


class Floor:
    """A unit whose services write, die and stall on a manual clock; it is checked four times a second."""

    def __init__(self, run_dir: Path, cards: int = 1, grace_ms: int = 10_000) -> None:
        self.clock = ManualClock(utc_ns=1_800_000_000 * NS_PER_S, monotonic_ns=50 * NS_PER_S)
        self.unit = Unit(run_dir, self.clock)
        for card in range(2, cards + 1):
            self.unit.states[f"capture@{card}"] = capture(card)
        self.config = unit(run_dir, cards=cards)
        self.watch = Watch(self.config, self.clock, grace_ms)
        self.standing: list[Finding] = []

    def pass_ms(self, ms: int) -> set[str]:
        """Lets `ms` pass; returns all findings that were present at any time."""
        stood: set[str] = set()
        for _ in range(ms // 250):
            self.unit.write()
            self.standing = run(take_snapshot(self.config, self.watch, self.clock), self.standing)
            stood |= {finding.check for finding in self.standing}
            self.clock.advance(250 * NS_PER_MS)
        return stood


class TestDiskForecast:
    def said(self, **figures: object) -> str | None:
        words: Seen[RecorderState] = Seen(recorder(retention_days=60, **figures), "alive")
        found = run(replace(room(1000), services=replace(room(1000).services, recorder=words)))
        return found[0].trouble.text_en if found else None

    def test_it_says_both_figures(self) -> None:
        assert self.said(full_in_days=41) == "At the present rate the disk is full in 41 days; the retention is 60."

    def test_without_a_forecast_all_is_well(self) -> None:
        assert self.said(full_in_days=None) is None

    def test_a_clock_that_is_ahead_or_behind_is_reported(self) -> None:
        assert self.said(retention_time=RetentionTimeState()) is None
        assert "400 days ahead" in str(self.said(retention_time=RetentionTimeState(ahead_s=400 * 86_400)))
        assert "15 min behind" in str(self.said(retention_time=RetentionTimeState(behind_s=930)))
        assert "before 2026-01-01" in str(self.said(retention_time=RetentionTimeState(early="2026-01-01")))

    def test_whoever_signs_the_time_reads_its_challenge_in_the_alert(self) -> None:
        (found,) = run(
            replace(
                room(1000),
                services=replace(
                    room(1000).services,
                    recorder=Seen(
                        recorder(retention_time=RetentionTimeState(ahead_s=400 * 86_400, challenge="5f" * 16)), "alive"
                    ),
                ),
            )
        )
        assert "5f" * 16 in found.trouble.action_en
        assert "5f" * 16 in found.trouble.action_ko


class TestCodecStalled:
    def test_well_from_the_first_look(self, run_dir: Path) -> None:
        assert Floor(run_dir).pass_ms(6000) == set()

    def test_it_lives_and_does_no_work(self, run_dir: Path) -> None:
        floor = Floor(run_dir)
        floor.pass_ms(2000)
        floor.unit.stalled = {"capture@1"}
        assert floor.pass_ms(1250) == set()
        assert floor.pass_ms(750) == {"codec_stalled"}

    def test_it_was_killed(self, run_dir: Path) -> None:
        floor = Floor(run_dir)
        floor.pass_ms(2000)
        floor.unit.kill("capture@1")
        assert floor.pass_ms(2000) == {"capture_dead"}

    def test_it_ended_with_the_fault(self, run_dir: Path) -> None:
        floor = Floor(run_dir)
        floor.unit.states["capture@1"].fault = Fault("codec_stalled", "hw:0,0: no period for 1 s")
        assert floor.pass_ms(250) == {"codec_stalled"}

    def test_it_never_started(self, run_dir: Path) -> None:
        floor = Floor(run_dir, grace_ms=3000)
        floor.unit.kill("capture@1")
        assert floor.pass_ms(3000) == set()
        assert floor.pass_ms(250) == {"capture_dead"}

    def test_it_clears_when_audio_has_flowed_for_three_seconds(self, run_dir: Path) -> None:
        floor = Floor(run_dir)
        floor.unit.stalled = {"capture@1"}
        floor.pass_ms(2000)
        floor.unit.stalled = set()
        assert floor.pass_ms(3000) == {"codec_stalled"}
        assert [finding.check for finding in floor.standing] == ["codec_stalled"]
        floor.pass_ms(500)
        assert floor.standing == []

    def test_a_capture_restarted_in_a_loop_does_not_clear_it(self, run_dir: Path) -> None:
        floor = Floor(run_dir, grace_ms=0)
        floor.unit.kill("capture@1")
        floor.pass_ms(3000)
        for attempt in range(4):
            floor.unit.states["capture@1"] = capture(started_ns=1000 + attempt)
            floor.pass_ms(2000)
            assert [finding.check for finding in floor.standing] == ["capture_dead"]

    def test_a_capture_that_cannot_open_its_codec_does_not_make_the_recorder_look_dead(self, run_dir: Path) -> None:
        """The recorder has no audio, and each new capture lives for a moment only."""
        floor = Floor(run_dir)
        floor.pass_ms(3000)
        floor.unit.stalled = {"capture@1", "recorder"}
        floor.pass_ms(2000)
        stood: set[str] = set()
        for attempt in range(6):
            fault = Fault("codec_absent", "hw:0,0: No such device")
            floor.unit.states["capture@1"] = capture(started_ns=1000 + attempt, fault=fault)
            stood |= floor.pass_ms(250)
            floor.unit.kill("capture@1")
            stood |= floor.pass_ms(5250)
        assert stood == {"codec_absent", "codec_stalled"}

    @pytest.mark.parametrize("first", ["capture@1", "recorder"])
    def test_whoever_stops_first_when_the_codec_is_pulled(self, run_dir: Path, first: str) -> None:
        """One service stalls first and recovers last, because the services write their states independently."""
        both = ("capture@1", "recorder")
        floor = Floor(run_dir)
        floor.pass_ms(5000)
        floor.unit.stalled = {first}
        stood = floor.pass_ms(750)
        floor.unit.stalled = {*both}
        stood |= floor.pass_ms(5000)
        floor.unit.stalled = {first}
        stood |= floor.pass_ms(750)
        floor.unit.stalled = set()
        assert stood | floor.pass_ms(5000) == {"codec_stalled"}

    def test_who_starts_again_with_another_configuration_is_not_dead_for_a_while(self, run_dir: Path) -> None:
        floor = Floor(run_dir)
        floor.pass_ms(2000)
        for state in floor.unit.states.values():
            state.leaving = True
        floor.pass_ms(250)
        floor.unit.kill(*floor.unit.states)
        assert floor.pass_ms(GRACE_MS - 250) == set()
        assert floor.pass_ms(500) == DEATHS

    def test_the_card_is_named(self, run_dir: Path) -> None:
        floor = Floor(run_dir, cards=3)
        floor.unit.stalled = {"capture@2"}
        floor.pass_ms(2000)
        (finding,) = floor.standing
        assert finding.trouble.text_en.startswith("Card 2 delivers no audio")
        assert "linetap-capture@2" in finding.trouble.action_ko


def test_the_alert_is_the_contracts() -> None:
    (finding,) = run(room(50))
    out = io.StringIO()
    print_json([finding], out)
    (row,) = json.loads(out.getvalue())
    assert row.keys() - {"check"} == ALERT_FIELDS
    assert row["check"] == "disk_full"
    assert row["severity"] == "critical"
    assert row["line"] is None


def all_that_there_is() -> list[Finding]:
    return all_findings()


def test_every_check_says_what_to_do_in_both_languages() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    findings = all_that_there_is()
    assert [finding.check for finding in findings] == [check.id for check in CHECKS]
    for finding in findings:
        it = finding.trouble
        for ko, en in ((it.text_ko, it.text_en), (it.action_ko, it.action_en)):
            assert re.search("[가-힣]", ko)
            assert not re.search("[가-힣]", en)
    out = io.StringIO()
    print_lines(findings, out)
    assert len(out.getvalue().splitlines()) == len(findings)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_one_code_in_check_alert_journal_and_legend(check: Check, caplog: pytest.LogCaptureFixture) -> None:
    findings = [finding for finding in all_that_there_is() if finding.check == check.id]
    out = io.StringIO()
    print_json(findings, out)
    assert [row["check"] for row in json.loads(out.getvalue())] == [check.id]
    messages = AlertTelemetry(Topics("u"), [each.id for each in CHECKS]).changed(findings, 0)
    assert [one.topic for one in messages if one.payload] == [f"linetap/v1/u/alert/{check.id}"]
    with caplog.at_level("INFO", "linetap"):
        journal = AlertLog()
        for told in (findings, findings, []):
            journal.write(told, 0)
    raised, cleared = (record.getMessage() for record in caplog.records)
    assert raised.startswith(f"{check.id}: {findings[0].trouble.severity}: ")
    assert cleared == f"{check.id}: cleared"
    assert [code_of(record, record.getMessage()) for record in caplog.records] == [check.id, check.id]
    rows = table().splitlines()
    (state,) = [n for n, row in enumerate(rows) if f"  {check.led}: " in row]
    assert check.id == check.led or check.id in rows[state + 1].strip().split(", ")


def told_of(check: str, status: str = "alive", mono_s: int = 0, **fields: object) -> list[Finding]:
    state = recorder("idle", mono_ns=mono_s * NS_PER_S, **fields)
    services = Services({1: Seen(capture(), "alive", 60 * NS_PER_S)}, Seen(state, status), Seen(reporter(), "alive"))  # type: ignore[arg-type]
    snapshot = Snapshot(services, 1000 * MB, 1000 * MB, RESERVE, "/vault", 0)
    return [finding for finding in run(snapshot) if finding.check == check]


class TestCommandRefused:
    def test_it_stands_for_an_hour_and_names_code_and_role(self) -> None:
        last = RefusedState(3, "command_role", "desk", 100 * NS_PER_S)
        (found,) = told_of("command_refused", mono_s=100 + 3599, refused_commands=last)
        for word in ("command_role", "desk", "3"):
            assert word in found.trouble.text_en
            assert word in found.trouble.text_ko
        assert not told_of("command_refused", mono_s=100 + 3600, refused_commands=last)

    def test_of_a_stranger_nothing_is_said_but_that_he_is_one(self) -> None:
        (found,) = told_of("command_refused", refused_commands=RefusedState(1, "command_unsigned"))
        assert "signature not verified" in found.trouble.text_en

    def test_none_was_refused(self) -> None:
        assert not told_of("command_refused", refused_commands=RefusedState())
        assert not told_of("command_refused", "dead", refused_commands=RefusedState(1, "command_role", "desk"))


@pytest.mark.parametrize("which", ["record_and_flag", "record_emergency"])
def test_what_is_recorded_beyond_the_default_is_never_silent(which: str) -> None:
    (found,) = told_of("policy_departs", departures=[which])
    assert which.removeprefix("record_and_flag") in found.trouble.text_en
    assert found.trouble.severity == "warning"
    assert not told_of("policy_departs", departures=[])


class TestWeakened:
    def one(self, **changes: object) -> WeakeningState:
        about: dict[str, object] = {"id": "5f0c", "at": "", "by": "command", "codes": ["line_exempt"]}
        return msgspec.convert(about | {"in_effect": True, "waits_s": 0} | changes, WeakeningState)

    def test_it_says_what_by_whom_and_which_number_to_confirm(self) -> None:
        (found,) = told_of("weakened", weakenings=[self.one()])
        for text in (found.trouble.text_ko, found.trouble.text_en):
            assert "line_exempt" in text
            assert "5f0c" in text
        assert "signed command" in found.trouble.text_en
        assert found.trouble.severity == "warning", "critical would undo an update that brought it"

    def test_one_that_waits_says_how_long(self) -> None:
        (found,) = told_of("weakened", weakenings=[self.one(in_effect=False, waits_s=3601)])
        assert "in 2 h" in found.trouble.text_en
        assert "2시간" in found.trouble.text_ko

    def test_many_are_one_alert_of_bounded_length(self) -> None:
        many = [self.one(id=str(n), by=by, codes=[*WORDS]) for n, by in enumerate(["file", "update", "authority"] * 20)]
        (found,) = told_of("weakened", weakenings=many)
        assert max(len(found.trouble.text_en), len(found.trouble.text_ko)) < 600
        assert f"+{len(WORDS) - 3}" in found.trouble.text_en

    def test_a_code_of_another_version_is_reported_as_it_is(self) -> None:
        (found,) = told_of("weakened", weakenings=[self.one(codes=["of_tomorrow"])])
        assert "[of_tomorrow]" in found.trouble.text_en

    def test_none_stands(self) -> None:
        assert not told_of("weakened", weakenings=[])


class TestUpdateFailed:
    def said(self, step: UpdateStep, code: str = "") -> Trouble | None:
        update = UpdateState(step=step, version="0.2.0", sha256="", by="stick", at="", code=code)
        found = told_of("update_failed", update=update)
        return found[0].trouble if found else None

    @pytest.mark.parametrize("code", [*orders.ORDER_FAULTS, "order_invalid", "retire_button"])
    def test_an_order_that_was_refused_is_reported_until_the_next_start(self, code: str) -> None:
        (found,) = told_of("order_refused", order=OrderState("2026-11-24T03:00:00.000Z", code, ""))
        assert found.trouble is not None
        assert f"({code})" in found.trouble.text_ko

    @pytest.mark.parametrize("code", orders.ORDER_TAKEN)
    def test_one_that_was_taken_is_none(self, code: str) -> None:
        assert not told_of("order_refused", order=OrderState("2026-11-24T03:00:00.000Z", code, ""))

    @pytest.mark.parametrize("code", [*orders.UPDATE_FAULTS, "update_of_another_kind"])
    def test_it_says_which_and_why_in_both_languages(self, code: str) -> None:
        trouble = self.said("failed", code)
        assert trouble is not None
        for text in (trouble.text_ko, trouble.text_en):
            assert "0.2.0" in text
            assert f"({code})" in text
        assert trouble.severity == "warning"

    def test_one_that_is_on_its_way_or_done_is_none(self) -> None:
        for step in ("fetching", "installing", "waiting", "trying", "done"):
            assert self.said(step) is None
        assert not told_of("update_failed", update=None)


def test_all_well_is_reported() -> None:
    out = io.StringIO()
    print_lines([], out)
    assert "all is well" in out.getvalue()


class LiveClock(ManualClock):
    """A manual clock on which the unit writes its states while the command sleeps."""

    unit: Unit

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.unit.write()


@pytest.mark.parametrize(
    ("stalled", "dead", "expected"),
    [
        (set(), set(), []),
        ({"capture@1"}, set(), ["codec_stalled"]),
        (set(), {"capture@1"}, ["capture_dead"]),
    ],
)
def test_once_is_enough_to_tell_who_works(
    run_dir: Path, stalled: set[str], dead: set[str], expected: list[str]
) -> None:
    clock = LiveClock(monotonic_ns=50 * NS_PER_S)
    clock.unit = Unit(run_dir, clock)
    clock.unit.write()
    clock.unit.stalled = stalled
    clock.unit.kill(*dead)
    began_ns = clock.monotonic_ns()
    findings, _ = diagnose(unit(run_dir, reserve_mb=0), clock)
    assert [finding.check for finding in findings] == expected
    assert clock.monotonic_ns() - began_ns < DEAD_NS + NS_PER_S


def test_the_vault_that_is_not_there_yet_is_measured_where_it_will_be(run_dir: Path) -> None:
    clock = ManualClock()
    config = unit(run_dir)
    snapshot = take_snapshot(config, Watch(config, clock), clock)
    assert not config.vault_path.exists()
    assert snapshot.free_bytes is not None
    assert snapshot.total_bytes is not None
    assert 0 < snapshot.free_bytes <= snapshot.total_bytes
