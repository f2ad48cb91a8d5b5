# SPDX-License-Identifier: Apache-2.0
"""The behaviour of system.py on this system; for Windows see tests/desk/test_windows.py."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from linetap_core import system


def test_a_name_is_given_once(tmp_path: Path) -> None:
    whole, taken = tmp_path / "whole", tmp_path / "taken"
    whole.write_bytes(b"new")
    taken.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        system.name_once(whole, taken)
    assert taken.read_bytes() == b"old"
    system.name_once(whole, tmp_path / "case.zip")
    assert (tmp_path / "case.zip").read_bytes() == b"new"


def test_also_where_a_file_has_one_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a stick's FAT, where link(2) fails with EPERM."""
    whole, taken = tmp_path / "whole", tmp_path / "taken"
    whole.write_bytes(b"new")
    taken.write_bytes(b"old")

    def link(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(FileExistsError):
        system.name_once(whole, taken)
    assert taken.read_bytes() == b"old"
    system.name_once(whole, tmp_path / "case.zip")
    assert (tmp_path / "case.zip").read_bytes() == b"new"


def test_a_program_is_not_looked_for_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "age"
    planted.write_text("#!/bin/sh\n")
    planted.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for path in ("", ".", ":", f".{os.pathsep}relative"):
        monkeypatch.setenv("PATH", path)
        assert system.program("age") is None
    monkeypatch.setenv("PATH", f".{os.pathsep}{tmp_path}")
    assert system.program("age") == str(planted)


def test_a_lock_is_for_one_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = os.open(path, os.O_RDWR | os.O_CREAT)
    system.lock(held)
    code = f"import os; from linetap_core import system; system.lock(os.open({str(path)!r}, os.O_RDWR))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, text=True)
    assert "BlockingIOError" in done.stderr
    os.close(held)
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
