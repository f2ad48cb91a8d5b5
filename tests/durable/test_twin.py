# SPDX-License-Identifier: Apache-2.0
"""Files with a twin, and copies of files made by a person: a damaged bit loses nothing, an edit is accepted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from linetap_core.durable import broken, copies
from linetap_core.durable import copies as kept
from linetap_core.durable.smallfile import Broken, SmallFile


class Thing(msgspec.Struct):
    count: int = 0


FILE = SmallFile("thing", Thing)


def test_either_of_them_is_enough_and_the_other_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    copies.replace_both(FILE, path, Thing(7))
    whole = path.read_bytes()
    for damaged in (path, copies.twin_of(path)):
        damaged.write_bytes(b"?" + whole[1:])
        assert copies.read_file_or_twin(FILE, path) == Thing(7)
        assert path.read_bytes() == copies.twin_of(path).read_bytes() == whole
        assert f"{tmp_path.name}/{damaged.name}" in broken.names()
    copies.twin_of(path).unlink()
    path.write_bytes(msgspec.json.encode(Thing(8)))
    assert copies.read_file_or_twin(FILE, path) == Thing(8), "of version 0.1"
    assert path.read_bytes() == copies.twin_of(path).read_bytes() == FILE.encode(Thing(8))


@pytest.mark.parametrize("stays", [True, False])
def test_both_of_them_broken_is_no_new_beginning(tmp_path: Path, stays: bool) -> None:
    path = tmp_path / "thing.json"
    for each in (path, copies.twin_of(path)):
        each.write_bytes(b"?")
    with pytest.raises(Broken):
        copies.read_file_or_twin(FILE, path, stays)
    assert path.exists() == stays
    path.unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        copies.read_file_or_twin(FILE, path)


def flipped(path: Path) -> bytes:
    """Flips a bit as a medium does, without a change of inode or time; returns the original content."""
    data, before = path.read_bytes(), path.stat()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return data


def test_what_the_medium_changes_is_told_from_what_a_person_changes(tmp_path: Path) -> None:
    path = tmp_path / "unit.toml"
    path.write_bytes(b"x = 1\n")
    kept.keep(path)
    assert kept.damaged(path) is None
    whole = flipped(path)
    assert kept.damaged(path) == whole
    kept.keep(path)
    assert path.read_bytes() == whole
    assert kept.damaged(path) is None
    assert (tmp_path / "unit.toml.broken-1").exists()
    assert broken.names() == [f"{tmp_path.name}/unit.toml"]
    path.write_bytes(b"x = 2\n")
    os.utime(path, ns=(1, 1))
    assert kept.damaged(path) is None, "an edit"
    kept.keep(path)
    assert flipped(path) == b"x = 2\n" == kept.damaged(path)


def restored_whole(path: Path) -> None:
    path.write_bytes(b"x = 1\n")
    kept.keep(path)
    flipped(path)
    kept.keep(path)


def restored_twin(path: Path) -> None:
    copies.replace_both(FILE, path, Thing(7))
    path.write_bytes(b"?")
    copies.read_file_or_twin(FILE, path)


def restored_set(path: Path) -> None:
    path.write_bytes(b"x = 1\n")
    copy = path.with_name("set.copy")
    copies.keep_set(copy, [path.name])
    path.write_bytes(b"?")
    assert copies.mend_set(copy, "they do not match")


@pytest.mark.parametrize("restored", [restored_whole, restored_twin, restored_set])
def test_a_reader_never_finds_it_missing_while_it_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: Callable[[Path], None]
) -> None:
    """Another service can read the file at any moment, so the broken file must not be moved away first."""
    path, moved = tmp_path / "unit.toml", []
    rename = Path.rename

    def renaming(self: Path, target: Path) -> Path:
        moved.append(self.name)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", renaming)
    restored(path)
    assert moved, "that is how files are replaced"
    assert path.name not in moved
    assert (tmp_path / "unit.toml.broken-1").exists()
    assert (tmp_path / "unit.toml.broken-1").read_bytes() != path.read_bytes()


def test_where_a_file_can_have_one_name_only_it_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT has no hard links, and no file system has them for folders."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    restored_whole(tmp_path / "unit.toml")
    assert (tmp_path / "unit.toml").read_bytes() == b"x = 1\n"
    assert (tmp_path / "unit.toml.broken-1").exists()


def test_a_copy_that_is_damaged_itself_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "unit.toml"
    path.write_bytes(b"x = 1\n")
    kept.keep(path)
    flipped(kept.kept_of(path))
    assert kept.damaged(path) is None
    kept.keep(path)
    flipped(path)
    assert kept.damaged(path) == b"x = 1\n"
