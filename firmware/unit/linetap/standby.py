# SPDX-License-Identifier: Apache-2.0
"""A service whose folders cannot be written waits, with one log entry, and begins when they can.

Otherwise systemd would restart it for ever, and each start would write the same lines into a log on the disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.records import Fault, ServiceState
from linetap_core.service import START_AGAIN, StateFile, Stop

CANNOT_BEGIN = "cannot_begin"  # the fault's code
TRY_EVERY_S = 3
_TURN_S = 0.1
_PROBE = b"\0" * 4096

log = logging.getLogger("linetap.service")


def stand_by(
    error: OSError, places: Sequence[Path], state: ServiceState, file: StateFile, stop: Stop, clock: Clock
) -> int:
    """START_AGAIN once a file can be written in all of `places`; 0 if the service is stopped."""
    why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    log.error("%s: %s; it begins when its folders can be written again", CANNOT_BEGIN, why)
    state.fault = Fault(CANNOT_BEGIN, why)
    next_ns = clock.monotonic_ns() + TRY_EVERY_S * NS_PER_S
    while not stop.requested:
        state.progress += 1
        if file.due():
            file.write(state, idle=True, in_spite=True)  # standing by is what there is to do
        if clock.monotonic_ns() >= next_ns:
            next_ns += TRY_EVERY_S * NS_PER_S
            if all(map(_takes_a_file, places)):
                return START_AGAIN
        clock.sleep(_TURN_S)
    return 0


def _takes_a_file(folder: Path) -> bool:
    """access(2) does not know of a full file system, nor of an ext4 that has closed itself after an error."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, _PROBE)
        finally:
            os.close(fd)
            with contextlib.suppress(OSError):
                probe.unlink()
    except OSError:
        return False
    return True
