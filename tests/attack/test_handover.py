# SPDX-License-Identifier: Apache-2.0
"""Hostile files in the place of another service's file, or of a service's own."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from linetap import learned
from linetap.config import load_config
from linetap.config.require import require_usual_places
from linetap.config.schema import LEARNED, RUN_DIR, VAULT
from linetap.provision.applyorder import _install
from linetap.recorder.control import ControlSocket
from linetap.sockets import SocketClient
from linetap_core import rundir
from linetap_core.clock import SYSTEM
from linetap_core.durable.files import replace_durably, replace_in_ram
from linetap_core.errors import AlreadyRunning, BadInput
from linetap_core.records import PanelState, RecorderCommand, StartWalk
from linetap_core.service import InstanceLock, StateReader, read_state
from state_files import unit

MOST = 1000
SECRET = b"the key of a sealed call"


@pytest.fixture
def victim(run_dir: Path) -> Path:
    path = run_dir / "key.age"
    path.write_bytes(SECRET)
    return path


def _symlink(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def _hard_link(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def _fifo(path: Path, _victim: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path, _victim: Path) -> None:
    path.mkdir()


def _device(path: Path, _victim: Path) -> None:
    os.mknod(path, 0o20666, os.makedev(1, 5))


def _giant(path: Path, _victim: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def _of_another(path: Path, _victim: Path) -> None:
    path.write_bytes(b"{}")
    os.chown(path, 65533, -1)


HOSTILE = [_symlink, _hard_link, _fifo, _folder, _device, _giant, _of_another]


@pytest.mark.parametrize("plant", HOSTILE)
def test_what_is_no_plain_small_file_of_its_owner_is_not_read(
    run_dir: Path, victim: Path, plant: Callable[[Path, Path], None]
) -> None:
    """Without waiting: opening a FIFO without a writer would block."""
    room = rundir.make_service_folder(run_dir, "panel")
    plant(room / "panel.json", victim)
    with pytest.raises(OSError, match=r"panel\.json|symbolic"):
        rundir.read(room, "panel.json", MOST)
    assert read_state(run_dir, "panel", PanelState) is None
    assert StateReader(run_dir, "panel", PanelState).read() is None
    assert victim.read_bytes() == SECRET


def test_a_folder_that_is_a_link_is_not_entered(run_dir: Path, victim: Path) -> None:
    (run_dir / "panel").symlink_to(victim.parent)
    with pytest.raises(OSError, match="panel"):
        rundir.read(run_dir / "panel", victim.name, MOST)
    assert rundir.names(run_dir / "panel", ".age") == []


def test_a_state_that_is_nested_without_end_is_none(run_dir: Path) -> None:
    """msgspec then raises another error than for invalid JSON."""
    replace_in_ram(rundir.make_service_folder(run_dir, "panel") / "panel.json", b'{"x":' + b"[" * 100_000)
    assert read_state(run_dir, "panel", PanelState) is None


def test_a_request_that_is_nested_without_end_ends_nobody(run_dir: Path) -> None:
    door, caller = ControlSocket(run_dir, SYSTEM), SocketClient(run_dir / "door" / "recorder.sock")
    done: list[RecorderCommand] = []
    try:
        for data in (b'{"verb":"start_walk","by":"button","x":' + b"[" * 4000, b'{"verb":"start_walk","by":"button"}'):
            caller.send(data)
        for _ in range(8):
            door.serve(done.append)
    finally:
        caller.close()
        door.close()
    assert done == [StartWalk(by="button")]


def test_of_a_crowded_folder_some_names_are_looked_at(run_dir: Path) -> None:
    for n in range(1500):
        (run_dir / f"{n:04d}.command").touch()
    assert 900 < len(rundir.names(run_dir, ".command")) <= 1024


@pytest.mark.parametrize("plant", HOSTILE)
@pytest.mark.parametrize("write", [replace_in_ram, replace_durably])
def test_what_lies_at_the_name_of_a_temporary_is_not_written_to(
    run_dir: Path, victim: Path, plant: Callable[[Path, Path], None], write: Callable[[Path, bytes], None]
) -> None:
    path = run_dir / "state"
    plant(path.with_name(".state.new" if write is replace_in_ram else ".state.tmp"), victim)
    try:
        write(path, b"new")
    except OSError:
        assert plant is _folder, "it says so, and that is all it can do to whoever owns the folder"
    else:
        assert path.read_bytes() == b"new"
        assert path.stat().st_nlink == 1
    assert victim.read_bytes() == SECRET


def test_what_was_learned_is_not_written_through_a_link(run_dir: Path, victim: Path) -> None:
    (run_dir / ".01.json.new").symlink_to(victim)
    learned.save(run_dir, 1, learned.Learned(learned_at="2026-11-28T00:00:00.000Z"))
    assert victim.read_bytes() == SECRET
    assert 1 in learned.load(run_dir)


def test_a_lock_is_where_nobody_else_can_hold_it(run_dir: Path, victim: Path) -> None:
    own = rundir.make_private_folder(run_dir, "panel")
    assert own.stat().st_mode & 0o777 == 0o700
    (own / "panel.lock").symlink_to(victim)
    with pytest.raises(OSError, match=r"panel\.lock"), InstanceLock(own, "panel"):
        pass
    assert victim.read_bytes() == SECRET
    (own / "panel.lock").unlink()
    with InstanceLock(own, "panel"):
        assert (own / "panel.lock").stat().st_mode & 0o777 == 0o600
        with (own / "panel.lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(AlreadyRunning), InstanceLock(own, "panel"):
            pass


def test_a_lease_of_its_owner_holds_up_nobody(run_dir: Path) -> None:
    """Otherwise open(2) waits for it, up to /proc/sys/fs/lease-break-time."""
    path = run_dir / "state"
    path.write_bytes(b"{}")
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel's signal would end the holder
    with path.open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(BlockingIOError):
            rundir.read(run_dir, "state", MOST)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    signal.signal(signal.SIGIO, before)
    assert rundir.read(run_dir, "state", MOST) == b"{}"


@pytest.mark.parametrize("plant", [_fifo, _folder, _device])
def test_a_configuration_that_is_no_file_is_reported_and_not_waited_for(
    run_dir: Path, victim: Path, plant: Callable[[Path, Path], None]
) -> None:
    plant(run_dir / "unit.toml", victim)
    with pytest.raises(BadInput, match=r"unit\.toml: "):
        load_config(run_dir / "unit.toml")


@pytest.mark.parametrize("planted", ["unit.toml", ".unit.toml.tmp"])
def test_what_root_takes_from_a_card_it_writes_through_no_link_of_the_recorder(
    run_dir: Path, victim: Path, planted: str
) -> None:
    """/etc/linetap/unit.toml is root's link into a folder of the recorder's."""
    etc, place = run_dir / "etc", run_dir / "state-config"
    etc.mkdir()
    place.mkdir()
    (etc / "unit.toml").symlink_to(place / "unit.toml")
    (place / planted).symlink_to(victim)
    victim.chmod(0o600)
    _install(etc / "unit.toml", b"unit = 1\n")
    assert victim.read_bytes() == SECRET
    assert victim.stat().st_mode & 0o777 == 0o600
    assert (etc / "unit.toml").read_bytes() == b"unit = 1\n"
    assert not (place / "unit.toml").is_symlink()
    assert (place / "unit.toml").stat().st_mode & 0o777 == 0o644


def test_root_writes_nowhere_that_a_service_has_named(run_dir: Path) -> None:
    """`linetap update`, `line learn` and `command apply` make files below places named in unit.toml."""
    place = run_dir / "config"
    place.mkdir()
    config, file = unit(run_dir), place / "unit.toml"
    file.touch()
    require_usual_places(config, file)  # root's alone
    os.chown(place, 65533, -1)
    with pytest.raises(BadInput, match=r"vault is .*; /var/lib/linetap/vault expected"):
        require_usual_places(config, file)
    usual = msgspec.structs.replace(config, vault=VAULT, run_dir=RUN_DIR, learned=LEARNED)
    require_usual_places(usual, file)
