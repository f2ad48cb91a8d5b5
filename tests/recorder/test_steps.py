# SPDX-License-Identifier: Apache-2.0
"""A hanging thread of the recorder is named; a slow or idle one is not."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from test_writer import Source, writer

from broker import until
from frozen_disk import disk, frozen, needs_root
from linetap.recorder.vault.journal.journal import Journal
from linetap.recorder.vault.writer import VaultWriter
from linetap_core.clock import ManualClock
from linetap_core.durable import files
from linetap_core.durable.files import replace_durably
from linetap_core.watchdog import STANDS_NS, Steps, step
from unit_rig import make_unit

PATIENCE_S = 20.0


def test_a_thread_stands_from_its_last_step_on_and_not_before_its_first() -> None:
    clock = ManualClock()
    steps = Steps("vault", clock)
    clock.advance(2 * STANDS_NS)
    assert not steps.stands()
    steps.begin()
    clock.advance(STANDS_NS - 1)
    assert not steps.stands()
    clock.advance(1)
    assert steps.stands()
    steps.step()
    assert not steps.stands()
    clock.advance(2 * STANDS_NS)
    steps.end()
    assert not steps.stands()


def test_every_durable_write_of_the_thread_itself_is_a_step(tmp_path: Path) -> None:
    clock = ManualClock()
    steps = Steps("vault", clock)

    def slow_disk() -> None:
        steps.begin()
        for number in range(5):
            clock.advance(STANDS_NS - 1)
            replace_durably(tmp_path / str(number), b"x")

    thread = threading.Thread(target=slow_disk)
    thread.start()
    thread.join(PATIENCE_S)
    assert not steps.stands()
    clock.advance(STANDS_NS)
    step()  # of a thread that reports no steps
    replace_durably(tmp_path / "another", b"x")
    assert steps.stands()


def test_the_vaults_thread_is_named_while_the_disk_does_not_answer(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = writer(make_unit(tmp_path, run_dir).config, Source())
    clock = vault.vault.clock
    assert isinstance(clock, ManualClock)
    hangs, goes_on = threading.Event(), threading.Event()
    sync_directory = files.sync_directory

    def hanging(path: Path) -> None:
        hangs.set()
        assert goes_on.wait(PATIENCE_S)
        sync_directory(path)

    monkeypatch.setattr(files, "sync_directory", hanging)
    vault.start()
    vault.keep("walks/1.json", b"{}")
    assert hangs.wait(PATIENCE_S)
    assert vault.standing() == []
    clock.advance(STANDS_NS)
    assert vault.standing() == ["vault"]
    goes_on.set()
    until(lambda: vault.standing() == [])
    vault.stop(PATIENCE_S)
    clock.advance(STANDS_NS)
    assert vault.standing() == []


def test_the_journals_thread_is_named_while_a_lock_is_not_given_back(tmp_path: Path) -> None:
    clock = ManualClock()
    journal = Journal(tmp_path, 1, Source(), clock)
    journal.start()
    until(lambda: journal.steps._last_ns is not None)
    with journal._changed:
        clock.advance(STANDS_NS)
        assert journal.steps.stands()
    until(lambda: not journal.steps.stands())  # it also reports steps without a call
    journal.stop(PATIENCE_S)


@needs_root
def test_a_thread_that_the_disk_keeps_waiting_is_no_reason_to_start_anew(tmp_path: Path, run_dir: Path) -> None:
    """No signal ends it: systemd could end the others, but start no recorder before the disk answers."""
    with disk(tmp_path / "vault"):
        vault = writer(make_unit(tmp_path, run_dir).config, Source())
        clock = vault.vault.clock
        assert isinstance(clock, ManualClock)
        vault.start()
        with frozen(tmp_path / "vault"):
            vault.keep("walks/1.json", b"{}")
            until(vault.vault.steps.waits_for_disk)
            clock.advance(STANDS_NS)
            assert vault.standing() == ["vault"]
            assert not vault.hangs()
        until(lambda: vault.standing() == [])
        with vault._queue.changed:  # a lock that is never released
            until(lambda: _hangs_later(vault, clock))
        vault.stop(PATIENCE_S)


def _hangs_later(vault: VaultWriter, clock: ManualClock) -> bool:
    clock.advance(STANDS_NS)
    return vault.hangs()
