# SPDX-License-Identifier: Apache-2.0
"""The words for an error of the operating system: which file, and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from linetap_core import cli
from linetap_core.errors import DeviceFault, file_and_reason


def raised_by_a_rename(folder: Path) -> OSError:
    (folder / ".new.tmp").write_bytes(b"")
    (folder / "report.json").mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        os.replace(folder / ".new.tmp", folder / "report.json")
    return raised.value


def test_of_a_rename_the_name_that_a_person_knows(tmp_path: Path) -> None:
    assert file_and_reason(raised_by_a_rename(tmp_path)) == f"{tmp_path}/report.json: Is a directory"


def test_the_place_is_named_only_for_an_error_without_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Bad file") as of_a_descriptor:
        os.fstat(10**6)
    assert file_and_reason(of_a_descriptor.value) == "Bad file descriptor"
    assert file_and_reason(of_a_descriptor.value, tmp_path) == f"{tmp_path}: Bad file descriptor"
    with pytest.raises(FileNotFoundError) as of_a_file:
        os.stat(tmp_path / "none")
    assert file_and_reason(of_a_file.value, "elsewhere") == f"{tmp_path}/none: No such file or directory"
    assert file_and_reason(DeviceFault("line_lost", "card 1: silent")) == "card 1: silent"


def test_a_file_name_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        os.stat(tmp_path / "\x1b[2J")
    assert cli._explain("verify", raised.value) == cli.BAD_INPUT
    assert capsys.readouterr().err == f"{tmp_path}/\\x1b[2J: No such file or directory\n"
