# SPDX-License-Identifier: Apache-2.0
"""A file that is reloaded when it changes: an unusable version is logged once, and the old content stays in use."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from linetap_core.errors import BadInput
from linetap_desk.inputs.reloadedfile import ReloadedFile

LOG = logging.getLogger("linetap.test")


def load(path: Path) -> str:
    """Loads the file; refuses by its mode, because a test as root can read anything."""
    if not path.exists() or not path.stat().st_mode & 0o044:
        raise BadInput(f"{path}: not to be read")
    return path.read_text()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "signers"
    path.write_text("first")
    path.chmod(0o644)
    return path


def test_a_file_that_disappears_is_logged_once_and_read_when_it_is_back(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = ReloadedFile(path, load, LOG, "signers_unread")
    away = path.rename(path.with_name("away"))
    assert [file.now() for _ in range(3)] == ["first"] * 3
    assert [record.message.partition(":")[0] for record in caplog.records] == ["signers_unread"]
    away.write_text("second")
    away.rename(path)
    assert file.now() == "second"
    assert len(caplog.records) == 1


def test_a_file_that_becomes_readable_is_read_though_nobody_wrote_it(path: Path) -> None:
    file = ReloadedFile(path, load, LOG, "signers_unread")
    new = path.with_name("new")
    new.write_text("second")
    new.chmod(0o600)
    new.replace(path)
    assert file.now() == "first"
    path.chmod(0o644)
    assert file.now() == "second"


def test_without_a_file_that_can_be_used_nothing_begins(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not to be read"):
        ReloadedFile(tmp_path / "none", load, LOG, "signers_unread")
