# SPDX-License-Identifier: Apache-2.0
"""After a boot, a version without new faults is kept, and any other is left."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from linetap.update import judge, state
from linetap.update.state import UpdateFault
from linetap.update.trial import HOLDS_S, PATIENCE_S
from update_rig import WANTED, Rig


@pytest.fixture
def rig(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    (run_dir / "release").write_text("VERSION=0.1.0\n")
    monkeypatch.setattr(judge, "RELEASE", run_dir / "release")
    made = Rig(run_dir)
    made.critical_findings = lambda _: ["broker_unreachable"]
    made.want()
    made.install()
    assert made.machine.current == "b"
    made.machine.calls.clear()
    return made


def test_a_version_that_is_well_is_kept(rig: Rig) -> None:
    began = rig.clock.seconds
    rig.trial()
    assert rig.outcome() == ("done", "")
    assert (rig.state.version, rig.state.slot, rig.machine.primary) == ("0.2.0", "b", "b")
    assert rig.machine.calls == ["keep"]
    assert rig.clock.seconds - began >= HOLDS_S, "one that dies at once is well for a moment"


def test_a_version_on_trial_has_time_to_start(rig: Rig) -> None:
    began = rig.clock.seconds
    rig.critical_findings = lambda s: ["recorder_dead", "capture_dead"] if s - began < 120 else []
    rig.trial()
    assert rig.outcome() == ("done", "")


def test_a_service_that_comes_and_goes_fails_the_trial(rig: Rig) -> None:
    rig.critical_findings = lambda s: ["capture_dead"] if round(s) % 10 < 5 else []
    rig.trial()
    assert rig.outcome() == ("failed", "update_self_test")


def test_a_version_that_is_not_well_goes_back_by_itself(rig: Rig) -> None:
    began = rig.clock.seconds
    rig.critical_findings = lambda _: ["broker_unreachable", "line_short 3"]
    rig.trial()
    assert rig.outcome() == ("failed", "update_self_test")
    assert rig.state.text.endswith(": line_short 3"), "what was red before is not the new version's"
    assert rig.machine.calls == ["reboot"]
    assert (rig.machine.current, rig.machine.primary) == ("a", "a")
    assert PATIENCE_S <= rig.clock.seconds - began < PATIENCE_S + 60
    rig.trial()
    assert rig.outcome() == ("failed", "update_self_test"), "the old one says why it runs again"


def test_a_version_that_never_started_is_reported_by_the_old_one(rig: Rig) -> None:
    """Power, panic, watchdog: the firmware has started the old one."""
    rig.machine.current = "a"
    rig.trial()
    assert rig.outcome() == ("failed", "update_fell_back")
    assert rig.machine.calls == ["keep"], "the old one has started well"


def test_power_between_keeping_it_and_noting_that(rig: Rig) -> None:
    """It has stayed; the desk was notified of a fallback."""
    rig.machine.keep()
    rig.trial()
    assert rig.outcome() == ("done", "")
    assert (rig.state.slot, rig.machine.current, rig.machine.primary) == ("b", "b", "b")


def test_a_version_that_cannot_be_kept_goes_back(rig: Rig) -> None:
    rig.machine.faults["keep"] = UpdateFault("update_keep", "rauc status: no room on /boot/firmware")
    rig.trial()
    assert rig.outcome() == ("failed", "update_keep")
    assert rig.machine.current == "a"


def test_a_word_that_it_is_kept_is_not_enough(rig: Rig) -> None:
    rig.machine.keep = lambda: None  # type: ignore[method-assign]
    rig.trial()
    assert rig.outcome() == ("failed", "update_keep")
    assert rig.machine.current == "a"


def test_a_trial_of_which_the_disk_knows_nothing_is_judged_all_the_same(rig: Rig) -> None:
    (rig.folder / state.STATE).write_bytes(b"?")
    rig.critical_findings = lambda _: []
    rig.trial()
    assert rig.outcome() == ("done", "")
    assert rig.machine.primary == "b"


def test_power_between_the_boot_loaders_word_and_ours(rig: Rig) -> None:
    """It was to be tried, and the disk still has it as waiting: it is judged, and then no longer waits."""
    state.save(rig.folder, msgspec.structs.replace(rig.state, step="waiting", before=[], slot=""))
    rig.trial()
    assert rig.outcome() == ("failed", "update_self_test"), "what was red before stands nowhere"
    assert rig.machine.current == "a"


def test_an_ordinary_boot_changes_nothing(rig: Rig) -> None:
    rig.trial()
    before = (rig.folder / state.STATE).read_bytes()
    rig.machine.calls.clear()
    rig.critical_findings = lambda _: ["capture_dead"]
    rig.trial()
    assert (rig.folder / state.STATE).read_bytes() == before
    assert rig.machine.calls == ["keep"], "but the slot's count of starts"


def test_old_and_new_by_turns(rig: Rig) -> None:
    rig.trial()
    (judge.RELEASE).write_text("VERSION=0.2.0\n")
    rig.machine.bundle = msgspec.structs.replace(rig.machine.bundle, version="0.3.0")
    rig.want(msgspec.structs.replace(WANTED, version="0.3.0"))
    rig.install()
    assert (rig.state.version, rig.state.slot, rig.machine.current) == ("0.3.0", "a", "a")
    rig.trial()
    assert (rig.outcome(), rig.machine.primary) == (("done", ""), "a")


def test_a_start_of_a_kept_version_is_marked_once_the_recorder_works(rig: Rig) -> None:
    """Other red conditions cannot be cured by another slot: a missing codec does not make a start a failed one."""
    rig.machine.current = "a"
    began = rig.clock.seconds
    rig.critical_findings = lambda s: ["codec_absent"] if s - began > 60 else ["codec_absent", "recorder_dead"]
    rig.trial()
    assert rig.machine.calls == ["keep"]
    assert rig.clock.seconds - began >= 60 + HOLDS_S


def test_a_start_without_a_recorder_is_not_marked(rig: Rig) -> None:
    rig.machine.current = "a"
    rig.critical_findings = lambda _: ["recorder_dead"]
    rig.trial()
    assert rig.machine.calls == [], "and nothing is restarted for it: the initramfs counts it"
