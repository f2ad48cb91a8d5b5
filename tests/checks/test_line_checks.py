# SPDX-License-Identifier: Apache-2.0
"""The checks of lines and of the line meter: their sources, the named line, and their clearing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from linetap.checks import CHECKS, Check, Finding, Snapshot, run
from linetap.checks.watch import Seen, Services, Status
from linetap.recorder.signals.health.linehealth import CODES
from linetap_core.clock import NS_PER_S
from linetap_core.records import CaptureState, KeyListState, MeterState, RecorderState
from linetap_core.wire.legend import CONDITIONS
from state_files import DEATHS, capture, recorder, reporter, suffering

GIB = 1 << 30
OF_LINES = (
    *CODES, "notice_not_heard", "notice_doubtful", "call_marked", "call_ending", "mark_far", "long_call",
)  # fmt: skip
ORDER = [check.id for check in CHECKS]
BY_ID = {check.id: check for check in CHECKS}
CRITICAL = {"line_cut", "line_short", "battery_high", "silent_off_hook", "sound_on_hook", "notice_not_heard"}
OF_THE_DESK = {"call_marked", "call_ending", "mark_far", "long_call"}


def unit(
    heard: RecorderState | None = None,
    recorder_is: Status = "alive",
    meters: tuple[MeterState | None, ...] = (None,),
    capture_is: Status = "alive",
) -> Snapshot:
    captures = {
        card: Seen(capture(card, meter=meter), capture_is, 60 * NS_PER_S) for card, meter in enumerate(meters, 1)
    }
    services = Services(captures, Seen(heard or recorder("idle"), recorder_is), Seen(reporter(), "alive"))
    return Snapshot(services, 100 * GIB, 100 * GIB, GIB, "/vault", 1_800_000_000 * NS_PER_S)


def with_capture(state: CaptureState) -> Snapshot:
    return with_captures(state)


def with_captures(*states: CaptureState) -> Snapshot:
    captures = {state.card: Seen(state, "alive", 60 * NS_PER_S) for state in states}
    services = Services(captures, Seen(recorder("idle"), "alive"), Seen(reporter(), "alive"))
    return Snapshot(services, 100 * GIB, 100 * GIB, GIB, "/vault", 1_800_000_000 * NS_PER_S)


def told(snapshot: Snapshot, standing: list[Finding] | None = None) -> list[str]:
    return [finding.check for finding in run(snapshot, standing or []) if finding.check not in DEATHS]


@pytest.mark.parametrize("code", OF_LINES)
def test_a_code_is_reported_by_its_check_and_goes_with_it(code: str) -> None:
    (finding,) = run(unit(suffering(code)))
    assert (finding.check, finding.trouble.line) == (code, 1)
    assert finding.trouble.severity == ("critical" if code in CRITICAL else "warning")
    for text in (finding.trouble.text_ko, finding.trouble.action_ko):
        assert "1번 회선" in text or "learn 1" in text
    assert "ine 1" in finding.trouble.text_en
    assert run(unit(suffering()), [finding]) == []


@pytest.mark.parametrize("code", OF_LINES)
def test_what_to_do_names_the_screwdriver_and_the_led_is_of_the_closet_alone(code: str) -> None:
    (finding,) = run(unit(suffering(code)))
    assert "screwdriver" in finding.trouble.action_en
    assert "드라이버" in finding.trouble.action_ko
    assert (finding.led == "ok") == (code in OF_THE_DESK)
    assert finding.led in CONDITIONS


def test_several_lines_are_named_together() -> None:
    state = suffering("hum")
    state.lines[1].troubles = ["hum", "line_cut"]
    findings = {finding.check: finding.trouble for finding in run(unit(state))}
    assert findings["hum"].text_en.startswith("Lines 1, 2: ")
    assert findings["hum"].text_ko.startswith("1번, 2번 회선")
    assert findings["hum"].line is None
    assert findings["line_cut"].line == 2


def test_a_recorder_that_is_away_cures_no_line_and_accuses_none() -> None:
    standing = run(unit(suffering("line_cut")))
    assert told(unit(recorder(), "dead"), standing) == ["line_cut"]
    assert told(unit(suffering("line_cut"), "dead")) == []
    assert told(unit(suffering(), "alive"), standing) == []


def test_a_service_that_restarts_does_not_clear_the_damaged_files_that_it_reports() -> None:
    damaged = recorder("idle", broken_files=["commands.json"])
    standing = run(unit(damaged))
    for status in ("dead", "starting"):
        assert told(unit(damaged, status), standing) == ["file_broken"]
    assert told(unit(recorder("idle")), standing) == []


def test_a_mark_says_nothing_of_who_calls() -> None:
    state = suffering("call_marked", "mark_far")
    state.lines[0].call_id = "20261124T225600.123Z-L01"
    for finding in run(unit(state)):
        it = finding.trouble
        assert not re.search(r"\d{2,}", it.text_ko + it.text_en + it.action_ko + it.action_en)


class TestMeter:
    WELL = MeterState(connected=True)
    AWAY = MeterState(connected=False)

    def test_one_that_is_well_and_one_that_is_not_there(self) -> None:
        assert told(unit(meters=(self.WELL, None))) == []

    def test_a_silent_one_is_named_by_its_card(self) -> None:
        (finding,) = run(unit(meters=(self.WELL, self.AWAY)))
        assert (finding.check, finding.led) == ("meter_absent", "meter_absent")
        assert finding.trouble.text_en.startswith("Card 2: ")

    def test_a_dead_capture_says_nothing_of_it_and_clears_nothing(self) -> None:
        standing = run(unit(meters=(self.AWAY,)))
        assert told(unit(meters=(self.AWAY,), capture_is="dead")) == []
        assert told(unit(meters=(self.WELL,), capture_is="dead"), standing) == ["meter_absent"]
        assert told(unit(meters=(self.WELL,)), standing) == []

    def test_a_housing_that_is_open(self) -> None:
        opened = MeterState(connected=True, tamper=True)
        (finding,) = run(unit(meters=(opened,)))
        assert (finding.check, finding.trouble.severity) == ("unit_opened", "critical")
        assert told(unit(meters=(opened,), capture_is="dead")) == ["unit_opened"]
        assert told(unit(meters=(self.WELL,)), [finding]) == []

    def test_a_supply_that_fails_is_told_while_the_capacitors_last(self) -> None:
        failing = MeterState(connected=True, power_fail=True)
        (finding,) = run(unit(meters=(failing,)))
        assert (finding.check, finding.trouble.severity) == ("power_failing", "critical")
        assert finding.marks == {"power_failing card 1"}, "a second card's is new"
        assert told(unit(meters=(self.WELL,)), [finding]) == []
        assert told(unit(meters=(failing,), capture_is="dead")) == []
        silent = MeterState(connected=False, power_fail=True)
        assert told(unit(meters=(silent,))) == ["meter_absent"]
        assert told(unit(meters=(silent,)), [finding]) == ["power_failing", "meter_absent"], "until it is heard again"
        assert told(unit(meters=(failing,), capture_is="dead"), [finding]) == ["power_failing"]

    def test_a_converter_that_is_not_set_is_named_until_the_meter_says_otherwise(self) -> None:
        unset = MeterState(connected=True, unset=[2])
        (finding,) = run(unit(meters=(self.WELL, unset)))
        assert (finding.check, finding.trouble.severity) == ("converter_unset", "critical")
        assert "2-2" in finding.trouble.text_en
        assert "converter_unset" in told(unit(meters=(self.WELL, self.AWAY)), [finding])
        assert told(unit(meters=(self.WELL, self.WELL)), [finding]) == []

    @pytest.mark.parametrize(
        ("check", "ill"),
        [
            ("power_failing", MeterState(connected=True, power_fail=True)),
            ("unit_opened", MeterState(connected=True, tamper=True)),
            ("converter_unset", MeterState(connected=True, unset=[2])),
        ],
    )
    def test_another_cards_meter_clears_nothing_of_one_that_is_silent(self, check: str, ill: MeterState) -> None:
        (finding,) = run(unit(meters=(ill, self.WELL)))
        assert (finding.check, finding.trouble.cards) == (check, (1,))
        assert told(unit(meters=(self.AWAY, self.WELL)), [finding]) == sorted([check, "meter_absent"], key=ORDER.index)
        assert told(unit(meters=(self.WELL, self.AWAY)), [finding]) == ["meter_absent"]

    def test_another_cards_capture_clears_nothing_of_one_that_is_dead(self) -> None:
        absent, overruns = (
            unit(meters=(self.AWAY, self.WELL)),
            with_captures(capture(1, overruns_lately=30), capture(2)),
        )
        open_contact = with_captures(capture(1, (1, 2), contact_open=[2]), capture(2, (3, 4)))
        for check, snapshot in (("meter_absent", absent), ("overruns", overruns), ("contact_open", open_contact)):
            standing = run(snapshot)
            assert told(snapshot, []) == [check]
            services = snapshot.services
            dead = {1: replace(services.capture[1], status="dead"), 2: services.capture[2]}
            dying = replace(snapshot, services=replace(services, capture=dead))
            assert told(dying, standing) == [check]

    def test_a_card_that_was_well_is_not_named_because_it_starts_while_another_recovers(self) -> None:
        snapshot = with_captures(capture(1), capture(2))
        one, two = snapshot.services.capture[1], snapshot.services.capture[2]

        def with_seen(first: Seen[CaptureState], second: Seen[CaptureState]) -> Snapshot:
            return replace(snapshot, services=replace(snapshot.services, capture={1: first, 2: second}))

        standing = run(with_seen(replace(one, status="dead", moving_ns=0), two))
        assert [finding.trouble.cards for finding in standing] == [(1,)]
        begins = replace(two, moving_ns=NS_PER_S)
        (back,) = run(with_seen(replace(one, moving_ns=NS_PER_S), begins), standing)
        assert (back.check, back.trouble.cards) == ("capture_dead", (1,))
        assert run(with_seen(one, begins), [back]) == []
        (both,) = run(with_seen(replace(one, moving_ns=NS_PER_S), replace(two, status="dead")), standing)
        assert both.trouble.cards == (1, 2), "and one that recovers stays, whatever another does"

    def test_a_second_card_with_the_same_trouble_is_new(self) -> None:
        for meter in (self.AWAY, MeterState(connected=True, unset=[1])):
            (one,), (both,) = run(unit(meters=(meter, self.WELL))), run(unit(meters=(meter, meter)))
            assert both.marks > one.marks


@pytest.mark.parametrize(
    ("check", "state", "severity"),
    [
        ("contact_open", capture(contact_open=[7]), "critical"),
        ("contact_stuck", capture(contact_stuck=[7]), "warning"),
    ],
)
def test_a_contact_that_does_not_move_is_named_by_its_line(check: str, state: CaptureState, severity: str) -> None:
    snapshot = with_capture(state)
    (finding,) = run(snapshot)
    assert (finding.check, finding.trouble.severity, finding.trouble.lines) == (check, severity, (7,))
    assert finding.trouble.text_en.startswith("Line 7: ")
    assert told(with_capture(capture()), [finding]) == []


def test_calls_that_the_pbx_and_the_unit_do_not_share() -> None:
    (finding,) = run(unit(recorder("idle", smdr_unmatched=4)))
    assert finding.check == "smdr_unmatched"
    assert "4" in finding.trouble.text_en
    assert told(unit(recorder("idle"), "dead"), [finding]) == ["smdr_unmatched"]
    assert told(unit(recorder("idle")), [finding]) == []


def fits(days: int | None, last: str | None = "2027-12-31") -> RecorderState:
    return recorder("idle", key_list=KeyListState(version=3, last_day=last, fits_days=days))


@pytest.mark.parametrize(
    ("days", "severity", "says"),
    [
        (31, None, ""), (30, "warning", "Within 30 days"), (8, "warning", "Within 30 days"),
        (7, "warning", "Within 7 days"),
        (2, "warning", "Within 7 days"), (1, "warning", "Within 1 day "), (0, "critical", "ends on 2027-12-31"),
        (None, "critical", "no usable key list"),
    ],
)  # fmt: skip
def test_a_key_list_that_comes_to_its_end(days: int | None, severity: str | None, says: str) -> None:
    found = run(unit(fits(days)))
    assert [finding.trouble.severity for finding in found] == ([severity] if severity else [])
    assert all(finding.check == "key_list_end" and says in finding.trouble.text_en for finding in found)
    assert told(unit(fits(days), "dead"), found) == (["key_list_end"] if severity else [])
    assert told(unit(fits(400)), found) == told(unit(recorder("idle")), found) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_check_says_how_it_clears(check: Check) -> None:
    assert re.match(r"(when|at) ", check.clears)
    assert BY_ID[check.id].led in CONDITIONS


@pytest.mark.parametrize(
    ("fault", "says"), [("tpm_policy", "has not signed this boot"), ("tpm_absent", "does not answer")]
)
def test_a_key_that_does_not_sign_is_reported_with_what_waits(fault: str, says: str) -> None:
    snapshot = unit(recorder("idle", key_fault=fault, unsigned=12))
    (finding,) = run(snapshot, [])
    assert (finding.check, finding.trouble.severity, finding.led) == ("unit_key", "critical", "unit_check")
    assert says in finding.trouble.text_en
    assert fault in finding.trouble.text_ko
    assert "12 items wait" in finding.trouble.text_en
    assert told(unit(recorder("idle"))) == []
