# SPDX-License-Identifier: Apache-2.0
"""A USB stick: one bundle at its top is copied and requested; anything else is ignored, or reported in one line."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from linetap.update import judge, state, stick
from linetap.update.rauc import Info
from linetap.update.state import UpdateFault, UpdateRequest
from linetap_core.durable import files
from linetap_core.errors import BadInput
from linetap_core.records import UpdateState
from update_rig import BUNDLE, SHA256, WANTED, Rig

NAME = "linetap-0.2.0.raucb"


@pytest.fixture
def rig(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    (run_dir / "release").write_text("VERSION=0.1.0\n")
    monkeypatch.setattr(judge, "RELEASE", run_dir / "release")
    return Rig(run_dir)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / NAME).write_bytes(BUNDLE)
    (tmp_path / "holiday.jpg").write_bytes(b"")
    return tmp_path


def fault(rig: Rig, top: Path) -> UpdateFault:
    with pytest.raises(UpdateFault) as raised:
        stick.accept(top, rig.config, rig.machine)
    assert not (rig.folder / state.STICK).exists()
    return raised.value


def test_a_bundle_is_copied_and_requested(rig: Rig, top: Path) -> None:
    wanted = stick.accept(top, rig.config, rig.machine)
    assert (
        wanted
        == UpdateRequest(version="0.2.0", sha256=SHA256, size=len(BUNDLE))
        == state.read_request(rig.folder / state.STICK)
    )
    assert (rig.folder / state.FROM_STICK).read_bytes() == BUNDLE
    (top / NAME).unlink()  # the stick is no longer in use
    rig.install()
    assert (rig.state.step, rig.state.by) == ("trying", "stick")


def test_a_stick_with_something_else_is_nothing(rig: Rig, top: Path) -> None:
    (top / NAME).rename(top / "other.raucb")
    (top / "folder").mkdir()
    (top / "folder" / NAME).write_bytes(BUNDLE)
    assert stick.accept(top, rig.config, rig.machine) is None
    assert rig.machine.calls == []


def test_two_are_one_too_many(rig: Rig, top: Path) -> None:
    (top / "linetap-0.3.0.raucb").write_bytes(BUNDLE)
    assert fault(rig, top).code == "update_stick"


@pytest.mark.parametrize("kind", ["folder", "link", "empty"])
def test_what_is_no_file_is_none(rig: Rig, top: Path, kind: str) -> None:
    (top / NAME).unlink()
    match kind:
        case "folder":
            (top / NAME).mkdir()
        case "link":
            (top / NAME).symlink_to("/etc/shadow")
        case _:
            (top / NAME).write_bytes(b"")
    assert fault(rig, top).code == "update_stick"


@pytest.mark.parametrize(
    ("info", "code"),
    [(Info("linetap", "0.0.9"), "update_older"), (Info("toaster", "0.2.0"), "update_other_product")],
)
def test_signature_and_version_decide(rig: Rig, top: Path, info: Info, code: str) -> None:
    rig.machine.bundle = info
    assert fault(rig, top).code == code
    rig.machine.faults["info"] = UpdateFault("update_signature", "rauc info: no")
    assert fault(rig, top).code == "update_signature"


def test_the_version_that_runs_is_nothing_new(rig: Rig, top: Path) -> None:
    rig.machine.bundle = Info("linetap", "0.1.0")
    assert stick.accept(top, rig.config, rig.machine) is None


@pytest.mark.parametrize(
    ("step", "code", "again"),
    [
        ("failed", "update_self_test", False),
        ("failed", "update_fell_back", False),
        ("failed", "update_install", False),
        ("failed", "update_busy", True),
        ("failed", "update_no_room", True),
        ("trying", "", False),
        ("waiting", "", False),
    ],
)
def test_a_stick_that_stays_in_does_not_restart_the_machine_again_and_again(
    rig: Rig, top: Path, step: str, code: str, again: bool
) -> None:
    old = UpdateState(step="failed", version="0.2.0", sha256=SHA256, by="stick", at="", code=code)
    state.save(rig.folder, msgspec.structs.replace(old, step=step))
    assert (stick.accept(top, rig.config, rig.machine) is not None) is again


def test_where_there_is_no_room_nothing_is_copied(rig: Rig, top: Path) -> None:
    storage = msgspec.structs.replace(rig.config.storage, reserve_mb=1 << 30)
    rig.config = msgspec.structs.replace(rig.config, storage=storage)
    assert fault(rig, top).code == "update_no_room"
    assert rig.bundles() == []


def test_a_bundle_that_changes_as_it_is_copied_is_not_installed(rig: Rig, top: Path) -> None:
    stick.accept(top, rig.config, rig.machine)
    (rig.folder / state.FROM_STICK).write_bytes(BUNDLE[:-1] + b"?")
    rig.install()
    assert rig.outcome() == ("failed", "update_sha256")
    assert WANTED.sha256 == SHA256


def test_a_disk_that_fails_in_the_middle_of_the_copy_is_reported_and_keeps_no_part(rig: Rig, top: Path) -> None:
    bundle = next(top.glob("*.raucb"))
    with bundle.open("ab") as file:
        file.truncate(3 << 20)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))  # as a full disk: in the middle
    try:
        with pytest.raises(UpdateFault, match="File too large") as raised:
            stick.accept(top, rig.config, rig.machine)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.code == "update_stick"
    assert not list(rig.folder.glob(f"{state.FROM_STICK}*"))


CUT = """
import os, sys
from pathlib import Path
from linetap.update import stick
from linetap_core.durable import files
files.move_durably = lambda *_: os._exit(9)  # the power fails at the end of the copy
stick._copy(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_copy_that_a_power_cut_ended_takes_no_room(rig: Rig, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [sys.executable, "-c", CUT, str(top / NAME), str(rig.folder / state.FROM_STICK)]
    assert subprocess.run(words, timeout=60, check=False).returncode == 9
    left = rig.folder / f"{state.FROM_STICK}.part"
    assert left.read_bytes() == BUNDLE
    stick.forget_remains(rig.config)  # after the next start, by `linetap update trial`
    assert not left.exists()
    left.write_bytes(BUNDLE)
    (rig.folder / state.FROM_STICK).write_bytes(BUNDLE)

    def none_left(folder: Path, *_: object) -> None:
        assert not list(folder.glob(f"{state.FROM_STICK}*")), "the next stick finds the room"

    monkeypatch.setattr(stick, "require_room", none_left)
    assert stick.accept(top, rig.config, rig.machine) is not None


def test_of_two_sticks_at_once_one_is_refused(rig: Rig, top: Path) -> None:
    """Both would write the same copy."""
    with stick._alone(rig.config):
        assert fault(rig, top).code == "update_stick"
        stick.forget_remains(rig.config)
    assert stick.accept(top, rig.config, rig.machine) is not None


def test_the_copy_of_a_request_stays(rig: Rig, top: Path) -> None:
    stick.accept(top, rig.config, rig.machine)
    stick.forget_remains(rig.config)
    assert (rig.folder / state.FROM_STICK).read_bytes() == BUNDLE


def test_a_stick_that_cannot_be_read_is_reported(rig: Rig, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(files, "sha256", unreadable)
    with pytest.raises(UpdateFault, match="Input/output error") as raised:
        stick.accept(top, rig.config, rig.machine)
    assert raised.value.code == "update_stick"


@pytest.mark.parametrize("name", ["null", "../etc/passwd", "", ".", "nothing9"])
def test_only_a_block_device_is_mounted(name: str) -> None:
    with pytest.raises(BadInput, match="no block device"):
        stick.device(name)
