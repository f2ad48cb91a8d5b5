# SPDX-License-Identifier: Apache-2.0
"""The file system that something is on: whether it takes anything any more, and whether it outlives the power.

Not by statvfs(2): in a service's own view of the files (ProtectSystem=) everything is read-only, and an ext4 that has
stopped after an error says `emergency_ro` while the flag for read-only is not set (measured, decision 0059).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from linetap.checks import machine
from linetap_core.durable.smallfile import DAMAGE

CLOSED = {"ro", "emergency_ro", "shutdown"}  # options of the file system itself, behind the dash in mountinfo
LOST = "linetap-lost"  # what the image mounts in the place of a data partition that cannot be
ENCRYPTED = "/dev/mapper/linetap-data"  # what the image mounts of a card that is encrypted
_FILE_BYTES = 256 << 10
_FEWEST_BLOCKS = 4  # a state has one or two, and the old one stays until the new one is in its place

RoomFault = Literal["full", "read_only", "failing"]


@dataclass(frozen=True, slots=True)
class Mount:
    read_only: bool = False
    lost: bool = False  # RAM, in the place of what cannot be mounted
    encrypted: bool = False  # with a key in the TPM


def visible(vault: Path) -> Path:
    """A folder on the vault's file system that this process may look at: the panel's sandbox shows it, of all that is
    kept, the configuration beside the vault alone (systemd/linetap-panel.service.d)."""
    beside = vault.parent / "config"
    return vault if os.path.lexists(vault) or not os.path.isdir(beside) else beside


def mount_of(folder: Path, root: Path | None = None) -> Mount | None:
    """The file system that `folder` is on, or will be on; None: the kernel does not say. See proc_pid_mountinfo(5).
    `root`: where /proc is."""
    try:
        with ((root or machine.ROOT) / "proc/self/mountinfo").open("rb") as file:
            lines = file.read(_FILE_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    place, nearest, found = os.path.realpath(folder) + "/", "", Mount()
    for line in lines:
        here, _, system = line.partition(" - ")
        if len(fields := here.split(" ", 5)) < 6 or len(of_system := system.split(" ", 2)) < 3:
            continue
        point = fields[4]
        if "\\" in point:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)
        point = point.rstrip("/") + "/"
        if place.startswith(point) and len(point) >= len(nearest):  # a later one lies on top
            nearest = point
            found = _mount(of_system[1], of_system[2])
    return found if nearest else None


def _mount(source: str, options: str) -> Mount:
    return Mount(not CLOSED.isdisjoint(options.split(",")), source == LOST, source == ENCRYPTED)


def fault_of(room: Path) -> RoomFault | None:
    """Why a service that may well be alive cannot write its state into its folder in RAM.

    `failing`: the medium answers with errors. None: files can be written there, or it does not exist because no
    service has started yet.
    """
    try:
        figures = os.statvfs(room)
    except OSError as error:
        return "failing" if error.errno in DAMAGE else None
    if figures.f_bavail < _FEWEST_BLOCKS or (figures.f_files and not figures.f_favail):
        return "full"
    mount = mount_of(room)  # not ST_RDONLY: a sandbox closes for one service what another may write
    return "read_only" if mount is not None and mount.read_only else None
