# SPDX-License-Identifier: Apache-2.0
"""A log changed on the disk is never signed again: it is kept unchanged, and a new one begins that names it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import soak_table
from linetap.recorder.vault.log import proof
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.evidence.signing import sshsig
from sealing_rig import CALL_ID, NOW, UNIT, Rig, noise, record

HEADS = ("head.json", "head.json.sig", "head.copy")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand starts without syncs: these tests have no power cuts."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)


def unit_log(rig: Rig, name: str = "") -> UnitLog:
    return UnitLog(rig.vault, UNIT, rig.unit_key, ManualClock(parse_rfc3339(NOW)), name)


def written(rig: Rig, count: int = 5) -> Path:
    """A log after a stop, with a sealed call in it."""
    folder = rig.create(CALL_ID)
    folder.write(noise(1000))
    folder.seal(record(1000), rig.sign)
    log = unit_log(rig)
    log.append("start", version="1.0")
    log.append("open", call_id=CALL_ID, line=3)
    log.close_call(CALL_ID)
    log.append("in_force", sha256="ab" * 32)
    for hour in range(count):
        log.append("heartbeat", at=f"2026-11-24T{hour:02d}:00:00.000Z")
    log.publish()
    log.close()
    return rig.vault / "log"


def leaves(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / LEAVES).read_bytes().splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def again(rig: Rig, whole: Path, name: str, data: bytes) -> Path:
    """The original vault, with this content in one file of its log."""
    for path in [rig.vault / "log", *rig.vault.glob("log.before-*")]:
        shutil.rmtree(path)
    folder = Path(shutil.copytree(whole, rig.vault / "log"))
    (folder / name).write_bytes(data)
    return folder


def each_bit(data: bytes, every: int) -> Iterator[int]:
    """Every byte, one of its bits in turn for each `every`; all bits if that is 1."""
    return iter(range(0, len(data) * 8, every))


def require_set_aside(rig: Rig, name: str, data: bytes, log: UnitLog) -> None:
    """Asserts that the old log is there to the byte, and that the head covers a leaf with its fate."""
    kept = rig.vault / "log.before-1"
    assert (kept / name).read_bytes() == data
    first, *others = leaves(rig.vault / "log")
    assert (first["kind"], first["log"], first["kept"]) == ("log_begun", log.name, "log.before-1")
    assert any(leaf["kind"] == "close" and leaf["call_id"] == CALL_ID for leaf in others)
    head = unitlog.decode_head((rig.vault / "log" / "head.json").read_bytes())
    assert (head.log, head.size) == (log.name, len(others) + 1)
    assert [event.event for event in log.pop_begun_events()] == ["log_begun"]
    assert log.kept == ["log.before-1"]


def require_leaves_set_aside(rig: Rig, whole: Path, changed: bytes) -> None:
    """Requires that a log with these leaves is set aside at the next start."""
    again(rig, whole, LEAVES, changed)
    log = unit_log(rig)
    log.publish()
    require_set_aside(rig, LEAVES, changed, log)
    log.close()


def flip_leaves(rig: Rig, every: int) -> int:
    whole = Path(shutil.copytree(written(rig), rig.root / "whole"))
    data, count = (whole / LEAVES).read_bytes(), 0
    for bit in each_bit(data, every):
        changed = flipped(data, bit)
        require_leaves_set_aside(rig, whole, changed)
        count += 1
    return count


@pytest.mark.usefixtures("quick")
def test_a_bit_of_every_byte_of_every_leaf(rig: Rig) -> None:
    assert flip_leaves(rig, 41) > 150


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("quick")
def test_every_bit_of_every_leaf(rig: Rig) -> None:
    count = flip_leaves(rig, 1)
    soak_table.add("one bit of a leaf of the log", count)
    assert count > 7000


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", [*HEADS, TREE])
def test_a_rotten_head_or_tree_beside_good_leaves_sets_nothing_aside(rig: Rig, name: str) -> None:
    whole = Path(shutil.copytree(written(rig), rig.root / "whole"))
    data = (whole / name).read_bytes()
    for bit in each_bit(data, 41 if name != TREE else 65):
        folder = again(rig, whole, name, flipped(data, bit))
        log = unit_log(rig)
        log.append("heartbeat")
        log.publish()
        log.close()
        assert (log.kept, log.pop_begun_events()) == ([], [])
        tree = Tree()
        tree.append_all((folder / LEAVES).read_bytes().splitlines())
        assert unitlog.decode_head((folder / "head.json").read_bytes()).root == tree.root().hex()


def test_no_whole_head_and_leaves_prove_nothing(rig: Rig) -> None:
    folder = written(rig)
    for name in HEADS:
        (folder / name).write_bytes(flipped((folder / name).read_bytes(), 77))
    old = files(folder)
    log = unit_log(rig)
    log.publish()
    assert files(rig.vault / "log.before-1") == old
    assert leaves(folder)[0]["why"] == proof.UNSIGNED


def test_a_power_cut_before_the_head_is_ordinary(rig: Rig) -> None:
    """Unsigned leaves, half a leaf, a tree that lags: nothing is reported."""
    folder = written(rig)
    head = {name: (folder / name).read_bytes() for name in (*HEADS, TREE)}
    log = unit_log(rig)
    log.append("heartbeat")
    log.append("stop")
    log.close()
    for name, data in head.items():
        (folder / name).write_bytes(data)
    with (folder / LEAVES).open("ab") as file:
        file.write(b'{"kind":"heartb')
    log = unit_log(rig)
    log.publish()
    assert (log.kept, log.pop_begun_events()) == ([], [])
    assert leaves(folder)[-1]["kind"] == "stop"


def test_a_cut_before_the_very_first_head_is_ordinary(rig: Rig) -> None:
    log = unit_log(rig, "5a" * 8)
    log.append("vault", vault="5a" * 8)
    log.close()
    log = unit_log(rig, "5a" * 8)
    log.publish()
    assert (log.name, log.kept) == ("5a" * 8, [])


def test_a_cut_between_setting_aside_and_the_new_logs_first_leaf(rig: Rig) -> None:
    (rig.vault / "log").rename(rig.vault / "log.before-1") if written(rig) else None
    log = unit_log(rig)
    log.publish()
    first = leaves(rig.vault / "log")[0]
    assert (first["kind"], first["kept"], first["why"]) == ("log_begun", "log.before-1", proof.OTHER)
    log.close()
    assert unit_log(rig).name == log.name


def test_a_changed_leaf_far_back_is_found_before_the_head_is_signed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long log is checked in turns, and recording does not wait for them: new leaves go into the new one."""
    monkeypatch.setattr(proof, "LEAVES_AT_ONCE", 1024)
    folder = written(rig, 0)
    log = unit_log(rig)
    log._log.append_all([{"kind": "heartbeat", "at": NOW, "n": n} for n in range(1000)])
    for some in range(4):
        log._log.append_all([{"kind": "heartbeat", "at": NOW, "n": some * 1000 + n} for n in range(1000)])
    log.publish()
    log.close()
    head = (folder / "head.json").read_bytes()
    data = (folder / LEAVES).read_bytes()
    (folder / LEAVES).write_bytes(data.replace(b'"n":3999', b'"n":3998'))
    monkeypatch.setattr(proof.Proof.step, "__defaults__", (1024,))
    log = unit_log(rig)
    log.append("config", sha256="cd" * 32)
    log.publish()
    with pytest.raises(ValueError, match="compared with its head"):
        log.closing(CALL_ID)
    assert (folder / "head.json").read_bytes() == head, "nothing is signed before the log is proved"
    for _ in range(4):
        log.publish()
    kinds = [leaf["kind"] for leaf in leaves(folder)]
    assert kinds[:3] == ["log_begun", "in_force", "config"]
    assert "close" in kinds
    assert (rig.vault / "log.before-1" / "head.json").read_bytes() == head


def test_a_log_that_went_back_with_its_head_is_held_against_the_desks(rig: Rig) -> None:
    """Yesterday's disk is consistent in itself. The desk has a later head, signed by this unit."""
    folder = written(rig)
    yesterday = Path(shutil.copytree(folder, rig.root / "yesterday"))
    log = unit_log(rig)
    log.append("heartbeat")
    log.publish()
    log.close()
    today = [(folder / name).read_text() for name in ("head.json", "head.json.sig")]
    shutil.rmtree(folder)
    shutil.copytree(yesterday, folder)
    log = unit_log(rig)
    log.compare_with_desk_head(today[0], today[1].replace("A", "B"))  # not signed by this unit, so it proves nothing
    log.publish()
    assert log.kept == []
    log.compare_with_desk_head(*today)
    log.publish()
    assert log.kept == ["log.before-1"]
    assert leaves(folder)[0]["why"] == proof.SHORT
    assert (leaves(folder)[0]["size"], leaves(folder)[0]["before"]) == (10, "")
    log.compare_with_desk_head(*today)
    log.publish()
    assert log.kept == ["log.before-1"], "of another log it says nothing"


def test_a_head_of_another_key_proves_no_log_that_has_one_of_ours(rig: Rig) -> None:
    folder = written(rig)
    data = (folder / LEAVES).read_bytes().replace(b'"version":"1.0"', b'"version":"6.6"')
    (folder / LEAVES).write_bytes(data)
    thief = keys.new_unit_key()
    tree = Tree()
    tree.append_all(data.splitlines())
    head = unitlog.Head(
        unit=UNIT, size=tree.size, root=tree.root().hex(), at=NOW, origin=keys.fingerprint(thief.public_key())
    )
    text = unitlog.encode_head(head)
    (folder / "head.json").write_bytes(text)
    (folder / "head.json.sig").write_text(sshsig.sign(text, thief, "linetap-head"))
    log = unit_log(rig)
    log.publish()
    require_set_aside(rig, LEAVES, data, log)


def test_the_record_of_a_call_is_closed_in_the_new_log_too(rig: Rig) -> None:
    folder = written(rig)
    (folder / LEAVES).write_bytes(flipped((folder / LEAVES).read_bytes(), 400))
    log = unit_log(rig)
    assert log.closing(CALL_ID) is not None
    assert log.kept == ["log.before-1"]
    assert (rig.vault / sealed.call_path(CALL_ID)).is_dir()


def unsigned_tail(rig: Rig) -> Path:
    """A log whose last leaves came after the last head, as a power cut before `publish` leaves it."""
    folder = written(rig)
    log = unit_log(rig)
    log.append("config", sha256="cd" * 32)
    log.append("hold", call_id=CALL_ID, until="2027-01-24T15:00:00.000Z")
    log.append("heartbeat")
    log.close()
    return folder


@pytest.mark.usefixtures("quick")
def test_a_bit_of_a_leaf_that_no_head_is_over_yet(rig: Rig) -> None:
    """Two faults within one turn: the power is cut before the head, and a leaf after the last one decays. It may still
    be valid JSON.
    """
    whole = Path(shutil.copytree(unsigned_tail(rig), rig.root / "whole"))
    data = (whole / LEAVES).read_bytes()
    signed = unitlog.decode_head((whole / "head.json").read_bytes()).size
    begin = sum(len(line) + 1 for line in data.splitlines()[:signed])
    assert len(data.splitlines()) == signed + 3
    for bit in range(begin * 8, len(data) * 8, 11):
        changed = flipped(data, bit)
        require_leaves_set_aside(rig, whole, changed)


@pytest.mark.usefixtures("quick")
def test_a_rotten_hash_beside_a_leaf_that_no_head_is_over_sets_nothing_aside(rig: Rig) -> None:
    whole = Path(shutil.copytree(unsigned_tail(rig), rig.root / "whole"))
    data = (whole / TREE).read_bytes()
    for bit in range(len(data) * 6, len(data) * 8, 37):
        again(rig, whole, TREE, flipped(data, bit))
        log = unit_log(rig)
        log.publish()
        log.close()
        assert (log.kept, log.pop_begun_events()) == ([], [])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("left", ["none", "half", "zeros"])
def test_hashes_that_a_power_cut_took_prove_nothing_against_a_leaf(rig: Rig, left: str) -> None:
    folder = unsigned_tail(rig)
    data = (folder / TREE).read_bytes()
    last = len(data) - 32 * 3
    (folder / TREE).write_bytes(
        {"none": data[:last], "half": data[: last + 50], "zeros": data[:last] + bytes(96)}[left]
    )
    log = unit_log(rig)
    log.publish()
    assert (log.kept, log.pop_begun_events()) == ([], [])
    assert leaves(folder)[-1]["kind"] == "heartbeat"


@pytest.mark.usefixtures("quick")
def test_a_leaf_that_was_written_and_is_gone_is_missed_before_a_head_is_over_it(rig: Rig) -> None:
    folder = unsigned_tail(rig)
    data = (folder / LEAVES).read_bytes()
    shorter = b"".join(line + b"\n" for line in data.splitlines()[:-1])
    (folder / LEAVES).write_bytes(shorter)
    log = unit_log(rig)
    log.publish()
    require_set_aside(rig, LEAVES, shorter, log)
