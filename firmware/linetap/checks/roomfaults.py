# SPDX-License-Identifier: Apache-2.0
"""Why a service that may well live cannot write its state: its folder in RAM takes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from linetap.checks.mounts import mount_of
from linetap.durable.smallfile import DAMAGE

RoomFault = Literal["full", "read_only", "failing"]
_FEWEST_BLOCKS = 4  # a state has one or two, and the old one stays until the new one is in its place


def fault_of(room: Path) -> RoomFault | None:
    """`failing`: the medium answers with errors. None: files can be written there, or it does not exist because no
    service has started yet."""
    try:
        figures = os.statvfs(room)
    except OSError as error:
        return "failing" if error.errno in DAMAGE else None
    if figures.f_bavail < _FEWEST_BLOCKS or (figures.f_files and not figures.f_favail):
        return "full"
    mount = mount_of(room)  # not ST_RDONLY: a sandbox closes for one service what another may write
    return "read_only" if mount is not None and mount.read_only else None
