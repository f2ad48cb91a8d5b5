# SPDX-License-Identifier: Apache-2.0
"""The envelope of small files: it detects every flipped bit, and people can read it with jq and tail."""

from __future__ import annotations

import json
import os
import subprocess
import tracemalloc
from pathlib import Path

import msgspec
import pytest

from linetap_core.durable import broken, files, smallfile
from linetap_core.durable.smallfile import Broken, SmallFile


class Thing(msgspec.Struct):
    name: str = ""
    count: int = 0


FILE = SmallFile("thing", Thing, most_bytes=4096)
VALUE = Thing("가나다", 7)


def test_every_bit_of_it_counts() -> None:
    data = FILE.encode(VALUE)
    assert FILE.decode(data) == VALUE
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Broken):
            FILE.decode(bytes(changed))
    for end in range(len(data)):
        with pytest.raises(Broken):
            FILE.decode(data[:end])
    for more in (b"\0", b" ", b"\n", data):
        with pytest.raises(Broken):
            FILE.decode(data + more)


def test_a_file_in_the_place_of_another_is_detected() -> None:
    with pytest.raises(Broken, match="that of another file, other expected"):
        SmallFile("other", Thing).decode(FILE.encode(VALUE))
    with pytest.raises(Broken, match="version 2, 1 expected"):
        FILE.decode(FILE.encode(VALUE).replace(b'"version":1', b'"version":2'))


def test_stock_tools_read_it(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    FILE.replace(path, VALUE)
    header, content = (json.loads(line) for line in path.read_text().splitlines())
    body = subprocess.run(["tail", "-n", "+2", path], capture_output=True, check=True).stdout
    assert json.loads(body) == content == {"name": "가나다", "count": 7}
    said = subprocess.run(["sha256sum"], input=body, capture_output=True, check=True).stdout.decode().split()[0]
    assert (header["sha256"], header["bytes"], header["linetap_file"]) == (said, len(body), "thing")


def test_a_file_of_version_0_1_is_read_and_gets_its_envelope(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    path.write_bytes(msgspec.json.encode(VALUE))
    path.chmod(0o600)
    assert FILE.load(path) == VALUE
    assert smallfile.is_wrapped(path.read_bytes())
    assert path.stat().st_mode & 0o777 == 0o600
    assert FILE.load(path) == VALUE
    assert broken.names() == []


@pytest.mark.parametrize(
    "damage",
    [b"", b"?", b"\xff\xfe", b'{"name":"\xff"}', b"[" * 3000, b'{"count":1e999}', b'{"count":"x"}', b"\0" * 100,
     b"x" * 5000],
)  # fmt: skip
def test_what_is_broken_is_set_aside_under_its_name(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "thing.json"
    path.write_bytes(damage)
    assert FILE.load(path) is None
    assert not path.exists()
    assert (tmp_path / "thing.json.broken-1").read_bytes() == damage
    assert broken.names() == [f"{tmp_path.name}/thing.json"]
    assert FILE.load(path) is None
    assert os.listdir(tmp_path) == ["thing.json.broken-1"]


def test_the_newest_three_stay(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    for each in range(7):
        path.write_bytes(b"%d" % each)
        assert FILE.load(path) is None
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        f"thing.json.broken-{n + 1}": b"%d" % n for n in (4, 5, 6)
    }


def test_what_is_no_plain_file_holds_nothing_up(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    FILE.replace(victim, VALUE)
    places = [tmp_path / name for name in ("link", "fifo", "folder")]
    places[0].symlink_to(victim)
    os.mkfifo(places[1])
    places[2].mkdir()
    for path in places:
        assert FILE.load(path) is None
        assert not os.path.lexists(path)
    assert FILE.load(victim) == VALUE


def test_a_folder_that_takes_nothing_is_told_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "thing.json"
    path.write_bytes(b"?")

    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", read_only)
    assert FILE.load(path) is None
    assert path.exists()
    assert broken.names() == [f"{tmp_path.name}/thing.json"]


def test_the_next_process_tells_it_for_a_week(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    path.write_bytes(b"?")
    FILE.load(path)
    broken.forget()
    broken.restore_alerts(tmp_path)
    assert broken.names() == [f"{tmp_path.name}/thing.json"]
    assert broken.original("thing.json.broken-12") == "thing.json"
    assert broken.original("thing.json") is None


def test_a_write_that_fails_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "thing.json"
    FILE.replace(path, VALUE)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_all", full)
    with pytest.raises(OSError, match="No space"):
        FILE.replace(path, Thing("new", 8))
    assert FILE.load(path) == VALUE
    assert os.listdir(tmp_path) == ["thing.json"]


def test_reading_takes_no_more_memory_than_the_file_has(tmp_path: Path) -> None:
    """A recorder that ended for lack of memory reads its checkpoint again: a few kB, although 64 MiB are allowed."""
    large = SmallFile("thing", Thing, most_bytes=64 << 20)
    path = tmp_path / "thing.json"
    large.replace(path, VALUE)
    tracemalloc.start()
    try:
        assert large.read(path) == VALUE
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
