# SPDX-License-Identifier: Apache-2.0
"""An update on a USB stick: one linetap-*.raucb at its top, newer than the running version. It is copied, so the stick
may be removed.

Having the stick gives no right: signature and version decide. A failed bundle is not tried again while it stays there.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from linetap.config import Config
from linetap.update import state, versionlog
from linetap.update.install import Machine, require_room
from linetap.update.judge import TRIED, require_fit, require_running
from linetap.update.state import UpdateFault, UpdateRequest
from linetap_core.durable import files
from linetap_core.errors import AlreadyRunning, BadInput, LinetapError, file_and_reason
from linetap_core.rundir import make_private_folder
from linetap_core.service import InstanceLock
from linetap_core.wire.updates import LARGEST_BYTES

PATTERN = "linetap-*.raucb"
_MOUNT_S = 60
_BLOCK_BYTES = 1 << 20

log = logging.getLogger("linetap.update")


@contextlib.contextmanager
def mounted(device: Path, place: Path) -> Iterator[Path]:
    """Mounts read-only, without programs and devices, and only file systems of sticks."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    mount = ["mount", "-t", "vfat,exfat", "-o", "ro,nosuid,nodev,noexec", str(device), str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, errors="replace", timeout=_MOUNT_S, check=False)
        if done.returncode:
            raise UpdateFault("update_stick", f"{device}: not mounted: {' '.join(done.stderr.split())[:200]}")
        yield place
    except subprocess.TimeoutExpired:
        raise UpdateFault("update_stick", f"{device}: not mounted within {_MOUNT_S} s") from None
    finally:
        subprocess.run(["umount", "-l", str(place)], capture_output=True, timeout=_MOUNT_S, check=False)


def accept(top: Path, config: Config, machine: Machine) -> UpdateRequest | None:
    """The request for `linetap update install`; None if there is nothing to do. UpdateFault: the reason for a
    refusal, also of a stick or a disk that fails.
    """
    try:
        return _accept(top, config, machine)
    except OSError as error:
        raise UpdateFault("update_stick", file_and_reason(error, top)) from None


def _accept(top: Path, config: Config, machine: Machine) -> UpdateRequest | None:
    found = sorted(itertools.islice(top.glob(PATTERN), 2))
    if not found:
        return None
    if len(found) > 1:
        raise UpdateFault("update_stick", f"{found[0].name} and {found[1].name}: one {PATTERN} expected")
    running = require_running()
    bundle, folder = found[0], state.folder_of(config)
    if bundle.is_symlink() or not bundle.is_file() or not 0 < bundle.stat().st_size <= LARGEST_BYTES:
        raise UpdateFault("update_stick", f"{bundle.name}: a file of at most {LARGEST_BYTES >> 20} MB expected")
    sha256, copy = files.sha256(bundle), folder / state.FROM_STICK
    known = state.load(folder)
    if known is not None and known.sha256 == sha256 and (known.step != "failed" or known.code in TRIED):
        return None
    with _alone(config):
        return _take(bundle, sha256, copy, running, config, machine)


def forget_remains(config: Config) -> None:
    """Removes the copy that a power cut has left without a request: it would take the calls' room. Never fails."""
    with contextlib.suppress(LinetapError, OSError), _alone(config):
        _forget(state.folder_of(config))


@contextlib.contextmanager
def _alone(config: Config) -> Iterator[None]:
    """One copy at a time. UpdateFault while another stick's is made."""
    try:
        with InstanceLock(make_private_folder(config.run_path, "stick"), "stick"):
            yield
    except AlreadyRunning:
        raise UpdateFault("update_stick", "another stick is being copied") from None


def _forget(folder: Path) -> None:
    if not os.path.lexists(folder / state.STICK):
        for path in folder.glob(f"{state.FROM_STICK}*"):
            files.remove(path)


def _take(
    bundle: Path, sha256: str, copy: Path, running: str, config: Config, machine: Machine
) -> UpdateRequest | None:
    folder = copy.parent
    _forget(folder)
    require_room(folder, bundle.stat().st_size, config)
    size = _copy(bundle, copy)
    try:
        info = machine.info(copy)  # RAUC accepts only file systems on which it can exclude others
        if info.version != running:
            require_fit(info, running)
            versionlog.copy_proof(config, bundle, copy)
            versionlog.require_in_log(config, copy, info)
            requested = UpdateRequest(version=info.version, sha256=sha256, size=size)
            state.REQUEST_FILE.replace(folder / state.STICK, requested)
            return requested
    except (UpdateFault, OSError):
        versionlog.remove(copy)
        raise
    versionlog.remove(copy)
    return None


def _copy(source: Path, target: Path) -> int:
    """Copies a file; returns its bytes, which are on the disk. The hash detects damage in between."""
    part, size = target.with_name(f"{target.name}.part"), 0
    files.remove(part)  # a FIFO would wait for its reader
    if not target.is_file():
        files.remove(target)
    try:
        with source.open("rb") as old, part.open("wb") as new:
            while (block := old.read(_BLOCK_BYTES)) and size <= LARGEST_BYTES:
                new.write(block)
                size += len(block)
            new.flush()
            os.fsync(new.fileno())
        files.move_durably(part, target)
    finally:
        part.unlink(missing_ok=True)  # of a copy that failed: it would take the calls' room
    return size


def device(name: str) -> Path:
    """The device with udev's name."""
    path = Path("/dev") / name
    if path.parent != Path("/dev") or not path.is_block_device():
        raise BadInput(f"{path}: no block device; sda1 expected")
    return path
