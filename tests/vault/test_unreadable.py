# SPDX-License-Identifier: Apache-2.0
"""The medium has lost one file of the vault, whichever: the next start goes on, names it, and destroys nothing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from test_log_begun import started

from keeping_rig import DAY, Keeper
from linetap.recorder.vault.log.proof import Proof, SignedHeads
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.retention import holds
from linetap.recorder.vault.signing import UnitKey
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.durable import broken
from linetap_core.evidence.merklelog.leaflog import LEAVES, LeafLog
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.records import CallEvent
from sealing_rig import NOW
from unit_rig import START, Unit
from unreadable import Unreadable

NAMED = {LEAVES, TREE, "head.json", holds.DOCUMENT}


class Vault:
    """A unit that has stopped: a held call and another, roles, a log with a head, events."""

    def __init__(self, folder: Path) -> None:
        self.unit = Keeper(folder, folder)
        self.unit.take_roles()
        self.held, self.other = self.unit.call(), self.unit.call(suffix="-2")
        assert self.unit.command(self.unit.hold(self.held, self.unit.clock.utc_ns() + 100 * DAY)).done
        for number in range(3):
            self.unit.report(event(number))
        self.unit.log.append("heartbeat")
        self.unit.log.publish()
        self._stop()
        self.kept = shutil.copytree(self.unit.vault, folder / "kept")

    def _stop(self) -> None:
        self.unit.outbox.close()
        self.unit.log._log.close()

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.kept).as_posix() for path in self.kept.rglob("*") if path.is_file())

    def restore(self) -> None:
        self._stop()
        shutil.rmtree(self.unit.vault)
        shutil.copytree(self.kept, self.unit.vault)
        broken.forget()


def event(number: int) -> CallEvent:
    return CallEvent(seq=0, event="started", at=START, unit="", call_id=f"call-{number}", line=1)


@pytest.fixture
def vault(run_dir: Path) -> Vault:
    return Vault(run_dir)


@pytest.mark.parametrize("inode", [False, True])
def test_a_start_goes_on_with_any_file_that_cannot_be_read(vault: Vault, inode: bool) -> None:
    unit = vault.unit
    for name in vault.files():
        vault.restore()
        with pytest.MonkeyPatch.context() as patch:
            Unreadable(patch, unit.vault / name, inode)
            unit.start()
            assert unit.upkeep.holds.until(vault.held.call_id) is not None, name
            unit.report(event(9))
            unit.log.append("heartbeat")
            for _ in range(3):
                unit.log.publish()
            assert unit.log.is_proved, name
            begun = unit.log.pop_begun_events()
        place = Path(name)
        if place.name in NAMED and place.parts[0] in ("log", "holds"):
            assert begun or broken.names(), name
        if place.suffix == ".events":
            assert broken.names() == [name], name
        newest = unit.outbox.last_seq
        assert unit.events("started")[-1] == "call-9", f"{name}: {newest}"
        assert unit.is_whole(vault.held)
        assert {path.relative_to(vault.kept).as_posix() for path in vault.kept.rglob("*.events")} <= {
            path.relative_to(unit.vault).as_posix() for path in unit.vault.rglob("*.events")
        }, f"{name}: a segment was removed"


@pytest.mark.parametrize("inode", [False, True])
def test_unreadable_hashes_are_made_from_the_leaves(vault: Vault, inode: bool) -> None:
    unit = vault.unit
    vault.restore()
    folder = unit.vault / "log"
    before, root = (folder / LEAVES).read_bytes(), (folder / TREE).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        Unreadable(patch, folder / TREE, inode)
        unit.start()
        while not unit.log.is_proved:
            unit.log.publish()
        assert unit.log.pop_begun_events() == [], "the same log goes on"
        assert (folder / LEAVES).read_bytes().startswith(before)
        assert (folder / TREE).read_bytes().startswith(root)
        assert broken.names() == ["log/tree.bin"]


def test_hashes_that_become_unreadable_are_made_from_the_leaves(run_dir: Path) -> None:
    """After the start, while the leaves are compared with them."""
    folder = run_dir / "log"
    written = LeafLog(folder)
    written.append_all([{"kind": "heartbeat", "n": n} for n in range(1000)])
    written.close()
    hashes = (folder / TREE).read_bytes()
    log = LeafLog(folder, misses=True, set_aside=broken.set_aside)
    with pytest.MonkeyPatch.context() as patch:
        Unreadable(patch, folder / TREE)
        Proof(log, SignedHeads(folder, "floor-03", "")).finish()
        assert (folder / TREE).read_bytes() == hashes
        assert broken.names() == ["log/tree.bin"]
        assert log.append({"kind": "heartbeat"}) == 1000
        assert log.tree.inclusion(0)
    log.close()


def test_the_events_of_an_unreadable_newest_segment_count_as_lost(vault: Vault) -> None:
    unit = vault.unit
    last = Outbox(unit.vault / "outbox", unit.config.unit, lambda _: "", "", 1 << 20).last_seq
    vault.restore()
    (segment,) = (unit.vault / "outbox").glob("*.events")
    data = segment.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        Unreadable(patch, segment)
        outbox = unit.open_outbox()
        seq = outbox.append(event(9))
    assert seq > last + 1, "a number that a lost event has may not be used again"
    assert segment.read_bytes() == data
    said = [msgspec.json.decode(data) for _, data, _ in OutboxReader(unit.vault / "outbox").from_seq(last + 1, 10)]
    assert [event["event"] for event in said] == ["dropped", "started"]
    assert (said[0]["from"], said[0]["why"]) == (1, "damaged")


def test_a_vault_whose_document_cannot_be_read_is_found_again(unit: Unit) -> None:
    recorder = started(unit)
    assert recorder.step()
    recorder.vault.outbox.close()
    vault, key = unit.config.vault_path, UnitKey(Path(unit.config.key))
    name = key.incarnation(unit.config, ManualClock(parse_rfc3339(NOW))).name
    for lost in ("vault.json", "vault.json.sig"):
        for inode in (False, True):
            broken.forget()
            with pytest.MonkeyPatch.context() as patch:
                Unreadable(patch, vault / lost, inode)
                assert key.incarnation(unit.config, ManualClock(parse_rfc3339(NOW))).name == name
            assert broken.names() == ["vault/vault.json"]


def test_without_the_folder_of_holds_every_call_stays(vault: Vault) -> None:
    unit = vault.unit
    vault.restore()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.listdir", _unlisted(unit.vault / holds.FOLDER))
        unit.start()
    unit.passes(200)
    assert unit.destroyed() == []
    unit.restart()
    unit.passes(0.1)
    assert set(unit.destroyed()) == {vault.held.call_id, vault.other.call_id}


def _unlisted(folder: Path) -> Callable[[Path], list[str]]:
    real = os.listdir

    def listdir(path: Path) -> list[str]:
        if Path(path) == folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path)

    return listdir
