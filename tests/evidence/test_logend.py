# SPDX-License-Identifier: Apache-2.0
"""A start that reads only the newest leaves of a log finds the same as one that reads all, whatever a crash left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linetap_core import system
from linetap_core.evidence.merklelog import leaflog, logend, merkle
from linetap_core.evidence.merklelog.leaflog import LEAVES, MOST_AT_ONCE, LeafLog, LogShort
from linetap_core.evidence.merklelog.merkle import HASH_BYTES
from linetap_core.evidence.merklelog.nodefile import TREE

COUNT = 6000
WINDOW_BYTES, BLOCK_BYTES = 1 << 16, 1 << 12


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logend, "WINDOW_BYTES", WINDOW_BYTES)
    monkeypatch.setattr(leaflog, "_BLOCK_BYTES", BLOCK_BYTES)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "log"
    log = LeafLog(folder)
    for first in range(0, COUNT, 1000):
        log.append_all([{"kind": "open", "n": n} for n in range(first, first + 1000)])
    log.close()
    return folder


@pytest.fixture
def read_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of bytes that each read of the leaves' file got."""
    sizes, own = list[int](), system.read_at

    def counted(fd: int, count: int, offset: int) -> bytes:
        data = own(fd, count, offset)
        if os.readlink(f"/proc/self/fd/{fd}").endswith(LEAVES):
            sizes.append(len(data))
        return data

    monkeypatch.setattr(system, "read_at", counted)
    return sizes


def copied(whole: Path, tmp_path: Path, name: str) -> Path:
    shutil.rmtree(tmp_path / name, ignore_errors=True)
    return Path(shutil.copytree(whole, tmp_path / name))


def start(folder: Path, *, counts_later: bool) -> tuple[object, ...]:
    """The result of a start whose leaves are all read afterwards: the log, or why it is none."""
    try:
        log = LeafLog(folder, misses=True, counts_later=counts_later)
        lines = list(log.lines())
    except LogShort:
        return ("short",)
    roots = [log.tree.root(size) for size in {log.size, max(0, log.size - 5)}]
    newest = list(log.leaves(max(0, log.size - 100)))
    log.close()
    return log.size, roots, lines, newest, (folder / LEAVES).read_bytes(), (folder / TREE).read_bytes()


def require_same(whole: Path, tmp_path: Path, leaves: bytes, nodes: bytes) -> tuple[object, ...]:
    found = []
    for counts_later in (False, True):
        folder = copied(whole, tmp_path, f"log-{counts_later}")
        (folder / LEAVES).write_bytes(leaves)
        (folder / TREE).write_bytes(nodes)
        found.append(start(folder, counts_later=counts_later))
    assert found[0] == found[1]
    return found[1]


def test_a_start_reads_the_end_alone(whole: Path, tmp_path: Path, read_bytes: list[int]) -> None:
    folder = copied(whole, tmp_path, "log")
    log = LeafLog(folder, misses=True, counts_later=True)
    assert log.size == COUNT
    assert sum(read_bytes) == WINDOW_BYTES
    assert (folder / LEAVES).stat().st_size > 2 * WINDOW_BYTES, "or this test shows nothing"


def test_leaves_are_found_before_and_after_all_are_counted(whole: Path, tmp_path: Path) -> None:
    log = LeafLog(copied(whole, tmp_path, "log"), counts_later=True)
    for _ in range(2):
        for first in (0, 1, 170, 2999, COUNT - 3000, COUNT - 1, COUNT):
            assert next(log.leaves(first), b"") == (b'{"kind":"open","n":%d}' % first if first < COUNT else b"")
        assert len(list(log.lines())) == COUNT
    marks = log._marks
    assert marks == sorted(set(marks))
    assert max(after - before for (_, before), (_, after) in pairwise(marks)) < 2 * BLOCK_BYTES
    assert log.append({"kind": "open", "n": COUNT}) == COUNT
    assert len(list(log.lines())) == COUNT + 1
    before = log.index_before(lambda line: int(line[19:-1]) < 3000)
    assert 3000 - 2 * BLOCK_BYTES // 20 < before <= 3000


@pytest.mark.parametrize("unhashed", [0, 1, 700, MOST_AT_ONCE, MOST_AT_ONCE + 1, 2500])
def test_leaves_without_hashes_are_counted(whole: Path, tmp_path: Path, unhashed: int) -> None:
    nodes = (whole / TREE).read_bytes()
    cut = merkle.node_count(COUNT - unhashed) * HASH_BYTES
    result = require_same(whole, tmp_path, (whole / LEAVES).read_bytes(), nodes[:cut])
    assert result[0] == COUNT


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.integers(0, 40_000), st.integers(0, 80_000), st.integers(0, 300), st.binary(max_size=40))
def test_whatever_a_crash_left_is_found_as_by_a_whole_reading(
    whole: Path, tmp_path: Path, leaves_cut: int, nodes_cut: int, zeros: int, torn: bytes
) -> None:
    leaves, nodes = (whole / LEAVES).read_bytes(), (whole / TREE).read_bytes()
    leaves = leaves[: len(leaves) - leaves_cut] + torn
    nodes = nodes[: len(nodes) - nodes_cut]
    nodes = nodes[: len(nodes) - zeros] + bytes(zeros)
    require_same(whole, tmp_path, leaves, nodes)


@pytest.mark.parametrize(
    "tail", [bytes(3 * WINDOW_BYTES), b"x" * WINDOW_BYTES + b"\n", b"\n" * 2000, b"\n" + bytes(50_000)]
)
def test_a_long_foreign_end_is_found_as_by_a_whole_reading(whole: Path, tmp_path: Path, tail: bytes) -> None:
    require_same(whole, tmp_path, (whole / LEAVES).read_bytes() + tail, (whole / TREE).read_bytes())


def changes(leaves: bytes) -> Iterator[bytes]:
    """Logs with a leaf more, less or changed, before and in the newest ones."""
    lines = leaves.splitlines(keepends=True)
    for place in (0, 10, 3000, COUNT - 3000, COUNT - 1100, COUNT - 900, COUNT - 1):
        yield b"".join([*lines[:place], *lines[place + 1 :]])
        yield b"".join([*lines[:place], lines[place], *lines[place:]])
        yield b"".join([*lines[:place], lines[place].replace(b"open", b"oben"), *lines[place + 1 :]])


def test_a_missing_leaf_is_noticed_when_all_are_counted(whole: Path, tmp_path: Path) -> None:
    """A leaf more, or another, has another root: that is for the signed head to show."""
    for leaves in changes((whole / LEAVES).read_bytes()):
        folder = copied(whole, tmp_path, "log")
        (folder / LEAVES).write_bytes(leaves)
        found = start(folder, counts_later=True)
        if leaves.count(b"\n") < COUNT:
            assert found == ("short",)
        else:
            assert b"\n".join([*found[2], b""]) == leaves  # type: ignore[misc]
