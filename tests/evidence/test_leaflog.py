# SPDX-License-Identifier: Apache-2.0
"""A log on disk: its possible states after a power cut, and that no confirmed leaf is lost."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linetap_core.errors import BadInput
from linetap_core.evidence.merklelog import leaflog, merkle
from linetap_core.evidence.merklelog.leaflog import LEAVES, MOST_AT_ONCE, LeafLog
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.nodefile import TREE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


def filled(folder: Path, count: int) -> bytes:
    """A log of so many leaves; its root."""
    log = LeafLog(folder)
    for first in range(0, count, MOST_AT_ONCE):
        log.append_all([{"kind": "open", "n": n} for n in range(first, min(first + MOST_AT_ONCE, count))])
    log.close()
    return root_of(count)


def root_of(count: int) -> bytes:
    tree = Tree()
    tree.append_all([b'{"kind":"open","n":%d}' % n for n in range(count)])
    return tree.root()


def test_leaves_are_given_back_as_they_are_hashed(folder: Path) -> None:
    log = LeafLog(folder)
    assert log.append({"kind": "open", "n": 0}) == 0
    assert log.append_all([{"kind": "open", "n": 1}, {"kind": "open", "n": 2}]) == 1
    assert list(log.leaves(1)) == [b'{"kind":"open","n":1}', b'{"kind":"open","n":2}']
    assert log.tree.root() == root_of(3)
    proof = log.tree.inclusion(1)
    assert merkle.verify_inclusion(merkle.leaf_hash(b'{"kind":"open","n":1}'), 1, 3, proof, log.tree.root())


@pytest.mark.parametrize("count", [1, 7, MOST_AT_ONCE, 3 * MOST_AT_ONCE + 5])
def test_a_log_goes_on_after_a_restart(folder: Path, count: int) -> None:
    root = filled(folder, count)
    log = LeafLog(folder)
    assert (log.size, log.tree.root()) == (count, root)
    log.append({"kind": "open", "n": count})
    assert log.tree.root() == root_of(count + 1)
    assert os.stat(folder / TREE).st_size == merkle.node_count(count + 1) * merkle.HASH_BYTES


def test_every_cut_of_the_leaves_leaves_whole_ones(folder: Path) -> None:
    filled(folder, 5)
    whole, nodes = (folder / LEAVES).read_bytes(), (folder / TREE).read_bytes()
    for size in range(len(whole)):
        (folder / LEAVES).write_bytes(whole[:size])
        (folder / TREE).write_bytes(nodes)
        log = LeafLog(folder)
        count = whole[:size].count(b"\n")
        assert (log.size, log.tree.root()) == (count, root_of(count))
        assert (folder / LEAVES).read_bytes() == whole[: whole.rfind(b"\n", 0, size) + 1]
        log.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.integers(0, 100 * merkle.HASH_BYTES), st.booleans())
def test_whatever_a_crash_left_of_the_tree_is_made_good(folder: Path, size: int, zeros: bool) -> None:
    for name in folder.glob("*"):
        name.unlink()
    root = filled(folder, 40)
    with (folder / TREE).open("r+b") as file:
        file.truncate(size)
        if zeros:
            file.write(bytes(min(size, 500)))
    log = LeafLog(folder)
    assert (log.size, log.tree.root()) == (40, root)
    assert merkle.verify_consistency(17, 40, root_of(17), root, log.tree.consistency(17))
    log.close()


def test_the_tree_can_be_lost(folder: Path) -> None:
    root = filled(folder, 3 * MOST_AT_ONCE)
    (folder / TREE).unlink()
    log = LeafLog(folder)
    assert (log.size, log.tree.root()) == (3 * MOST_AT_ONCE, root)


def test_unfinished_leaves_with_a_newline_behind_them_are_cut(folder: Path) -> None:
    """The pages of a batch reach the disk in any order."""
    filled(folder, 3)
    with (folder / LEAVES).open("ab") as file:
        file.write(b'{"kind":"open","n":3}\n' + bytes(50) + b'":9}\n{"kind":"open","n":5}\n{"ki')
    log = LeafLog(folder)
    assert (log.size, log.tree.root()) == (4, root_of(4))
    assert log.append({"kind": "open", "n": 4}) == 4
    log.close()
    assert LeafLog(folder).tree.root() == root_of(5)


def test_a_leaf_that_was_changed_later_is_not_cut(folder: Path) -> None:
    """It is damage, and evidence: the signed head will show it."""
    filled(folder, 3)
    data = (folder / LEAVES).read_bytes()
    (folder / LEAVES).write_bytes(b"\0" + data[1:])
    log = LeafLog(folder)
    assert log.size == 3
    assert log.tree.root() != root_of(3)


def test_a_full_disk_takes_nothing_and_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(folder, 2)
    log, write = LeafLog(folder), os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if len(data) <= 10:
            raise OSError(errno.ENOSPC, "full")
        return write(fd, data[:10], offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="full"):
        log.append({"kind": "open", "n": 2})
    monkeypatch.undo()
    assert log.append({"kind": "open", "n": 2}) == 2
    assert log.tree.root() == root_of(3)
    assert (folder / LEAVES).read_text().splitlines() == [
        json.dumps({"kind": "open", "n": n}, separators=(",", ":")) for n in range(3)
    ]


def test_leaves_are_found_in_a_long_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaflog, "_BLOCK_BYTES", 512)
    filled(folder, 300)
    log = LeafLog(folder)
    for n in range(300, 600):
        log.append({"kind": "open", "n": n})
    assert [json.loads(line)["n"] for line in log.leaves()] == list(range(600))
    for first in (0, 1, 23, 24, 299, 300, 301, 599, 600):
        assert [json.loads(line)["n"] for line in log.leaves(first)] == list(range(first, 600))


def test_a_leaf_has_a_bound(folder: Path) -> None:
    with pytest.raises(BadInput, match="at most"):
        LeafLog(folder).append({"kind": "x" * 5000})


def test_a_reader_gets_the_same_tree(folder: Path) -> None:
    root = filled(folder, 2 * MOST_AT_ONCE + 3)
    nodes, roots = bytearray(), {}
    for tree, new in leaflog.hashes(leaflog.lines_of(folder / LEAVES), {1, 1500}):
        nodes += b"".join(new)
        roots[tree.size] = tree.root()
    assert roots[2 * MOST_AT_ONCE + 3] == root
    assert (roots[1], roots[1500]) == (root_of(1), root_of(1500))
    assert nodes == (folder / TREE).read_bytes()
