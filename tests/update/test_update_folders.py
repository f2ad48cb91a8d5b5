# SPDX-License-Identifier: Apache-2.0
"""A folder or a FIFO with the name of each file that an update writes on the data partition: the update goes on."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from linetap.update import judge, state, stick
from update_rig import BUNDLE, SHA256, WANTED, Rig

PART = f"{state.FETCHED}.{SHA256[:16]}.part"
NAMES = (state.FETCHED, PART, f"{state.FETCHED}.ffffffffffffffff.part", state.FROM_STICK, f"{state.FROM_STICK}.part")


@pytest.fixture
def rig(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    (run_dir / "release").write_text("NAME=linetap\nVERSION=0.1.0\n")
    monkeypatch.setattr(judge, "RELEASE", run_dir / "release")
    return Rig(run_dir)


def put(path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    else:
        (path / "x").mkdir(parents=True)


@pytest.mark.parametrize("kind", ["folder", "fifo"])
@pytest.mark.parametrize("name", NAMES)
def test_an_update_is_installed(rig: Rig, name: str, kind: str) -> None:
    """The program ended with an exception at a folder, and was started again, for ever."""
    put(rig.folder / name, kind)
    rig.want()
    rig.install()
    assert rig.state.step == "trying"


def test_a_folder_of_the_size_of_the_bundle_is_no_bundle(rig: Rig) -> None:
    put(rig.folder / state.FETCHED, "folder")
    size = (rig.folder / state.FETCHED).stat().st_size
    rig.want(msgspec.structs.replace(WANTED, size=size))
    rig.install()
    assert rig.fetched == 1


@pytest.mark.parametrize("kind", ["folder", "fifo"])
@pytest.mark.parametrize("name", [state.FROM_STICK, f"{state.FROM_STICK}.part"])
def test_a_stick_is_copied(rig: Rig, tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "linetap-0.2.0.raucb").write_bytes(BUNDLE)
    put(rig.folder / name, kind)
    assert stick.accept(tmp_path, rig.config, rig.machine) is not None
    assert (rig.folder / state.FROM_STICK).read_bytes() == BUNDLE
