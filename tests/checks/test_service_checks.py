# SPDX-License-Identifier: Apache-2.0
"""The checks of services and codecs: the service reported as dead, the cause, and the agreement of LED and alert."""

from __future__ import annotations

from typing import Any

import pytest

from linetap.checks import CHECKS, Snapshot, Trouble, run
from linetap.checks.watch import Seen, Services
from linetap_core import __version__
from linetap_core.clock import NS_PER_S
from linetap_core.records import CaptureState, Fault, PanelState, RecorderState, ReporterState
from panel_shown import shown
from state_files import capture, panel, recorder, reporter

LED = {check.id: check.led for check in CHECKS}


def alive[S: (CaptureState, RecorderState, ReporterState, PanelState)](state: S, stuck: bool = False) -> Seen[S]:
    return Seen(state, "alive", 0 if stuck else 60 * NS_PER_S, 60 * NS_PER_S if stuck else 0)


def unit(*captures: Seen[CaptureState], **others: Any) -> Snapshot:
    about: dict[str, Any] = {
        "recorder": alive(recorder("idle")), "reporter": alive(reporter()), "panel": alive(panel()),
    }  # fmt: skip
    services = Services(dict(enumerate(captures or (alive(capture()),), 1)), **about | others)
    return Snapshot(services, 1 << 40, 1 << 41, 0, "/vault", 0)


def told(snapshot: Snapshot) -> dict[str, Trouble]:
    return {finding.check: finding.trouble for finding in run(snapshot)}


def faulty(code: str, card: int = 1) -> CaptureState:
    return capture(card, fault=Fault(code, "why"))


@pytest.mark.parametrize("code", ["codec_absent", "codec_mismatch", "codec_stalled"])
@pytest.mark.parametrize("status", ["alive", "dead"])
def test_what_capture_says_of_its_codec_is_told_between_its_attempts_too(code: str, status: Any) -> None:
    snapshot = unit(alive(capture()), Seen(faulty(code, 2), status))
    found = told(snapshot)
    assert list(found) == [code]
    assert "ard 2" in found[code].text_en
    assert "linetap-capture@2" in found[code].action_en
    assert shown(snapshot.services).condition == LED[code] == "codec_stalled"


def test_a_capture_that_ended_of_something_else_is_dead() -> None:
    for seen in (Seen(faulty("device_fault"), "dead"), Seen[CaptureState](None, "dead"), Seen(capture(), "dead")):
        snapshot = unit(seen)
        assert list(told(snapshot)) == ["capture_dead"]
        assert shown(snapshot.services).condition == LED["capture_dead"]


@pytest.mark.parametrize(
    ("others", "check"),
    [
        ({"recorder": Seen(recorder("idle"), "dead")}, "recorder_dead"),
        ({"recorder": alive(recorder("idle"), stuck=True)}, "recorder_dead"),
        ({"reporter": Seen(reporter(), "dead")}, "reporter_dead"),
        ({"reporter": alive(reporter(), stuck=True)}, "reporter_dead"),
        ({"panel": Seen(panel(), "dead")}, "panel_dead"),
        ({"panel": alive(panel(), stuck=True)}, "panel_dead"),
    ],
)
def test_each_service_has_an_alert_of_its_own(others: dict[str, Any], check: str) -> None:
    snapshot = unit(**others)
    found = told(snapshot)
    assert list(found) == [check]
    assert f"linetap-{check.removesuffix('_dead')}" in found[check].action_en
    assert shown(snapshot.services).condition == LED[check]


@pytest.mark.parametrize("thread", ["vault", "journal"])
def test_a_thread_of_the_recorder_that_hangs_is_named(thread: str) -> None:
    snapshot = unit(recorder=alive(recorder("idle", standing=[thread])))
    found = told(snapshot)
    assert list(found) == ["recorder_dead"]
    assert found["recorder_dead"].text_en.endswith(f"({thread}_stands)")
    assert shown(snapshot.services).condition == "recorder_dead"


def test_a_recorder_without_audio_is_not_accused_of_standing_still() -> None:
    snapshot = unit(alive(capture(), stuck=True), recorder=alive(recorder("idle"), stuck=True))
    assert list(told(snapshot)) == ["codec_stalled"]


def test_what_a_service_ended_with_is_reported() -> None:
    found = told(unit(recorder=Seen(recorder(fault=Fault("bad_input", "unit.toml:3: no such key")), "dead")))
    assert found["recorder_dead"].text_en.endswith("(bad_input)")
    assert found["recorder_dead"].text_ko.endswith("(bad_input)")


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"recorder": alive(recorder(recording_refused="disk_error"))}, "recorder: disk_error"),
        ({"recorder": alive(recorder(fault=Fault("disk_thread", "")))}, "recorder: disk_thread"),
        ({}, "capture@1: relay_fault"),
    ],
)
def test_a_service_that_lives_and_cannot_record(others: dict[str, Any], says: str) -> None:
    snapshot = unit(alive(capture() if others else faulty("relay_fault")), **others)
    found = told(snapshot)
    assert list(found) == ["not_recording"]
    assert says in found["not_recording"].text_en
    assert shown(snapshot.services).condition == "not_recording"


def test_who_refuses_for_a_full_disk_is_reported_as_that_alone() -> None:
    assert list(told(unit(recorder=alive(recorder(recording_refused="disk_full"))))) == ["disk_full"]


def test_a_refusal_stands_until_the_recorder_says_otherwise() -> None:
    refused = run(unit(recorder=alive(recorder(recording_refused="disk_error"))))
    away = run(unit(recorder=Seen(recorder(), "dead")), refused)
    assert [finding.check for finding in away] == ["recorder_dead", "not_recording"]
    assert run(unit(), refused) == []


def test_versions_that_differ_are_named() -> None:
    found = told(unit(panel=alive(panel(version="99"))))
    assert list(found) == ["version_mismatch"]
    for word in (f"capture {__version__}", f"recorder {__version__}", "panel 99"):
        assert word in found["version_mismatch"].text_en


def test_the_version_of_a_service_that_is_away_is_no_mismatch() -> None:
    assert list(told(unit(panel=Seen(panel(version="99"), "dead")))) == ["panel_dead"]
