# SPDX-License-Identifier: Apache-2.0
"""The wait of a service that cannot start: one log entry, and the start as soon as it is possible.

Either its folders cannot be written (`stand_by`) or its configuration is missing, empty or wrong (`wait_for_config`).
Otherwise systemd would restart it for ever, and each start would write the same lines into a log on the disk. The state
file has the reason, so that panel and checks name it instead of reporting a dead service.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linetap.config import load_config
from linetap.config.schema import RUN_DIR, Config
from linetap_core import __version__
from linetap_core.clock import NS_PER_S, SYSTEM, Clock
from linetap_core.errors import BadInput, file_and_reason
from linetap_core.records import CaptureState, Fault, RecorderState, ReporterState, ServiceState
from linetap_core.rundir import capture_service
from linetap_core.service import START_AGAIN, StateFile, Stop, lock_of, start_logging
from linetap_core.tomlfile.source import Source

CANNOT_BEGIN = "cannot_begin"  # the fault's code
TRY_EVERY_S = 3
_TURN_S = 0.1
_PROBE = b"\0" * 4096

log = logging.getLogger("linetap.service")


def stand_by(
    error: OSError, places: Sequence[Path], state: ServiceState, file: StateFile, stop: Stop, clock: Clock
) -> int:
    """Waits. Returns START_AGAIN once a file can be written in all of `places`, or 0 if the service is stopped."""
    why = file_and_reason(error)
    log.error("%s: %s; tries again when its folders can be written", CANNOT_BEGIN, why)
    state.fault = Fault(CANNOT_BEGIN, why)
    next_ns = clock.monotonic_ns() + TRY_EVERY_S * NS_PER_S
    while not stop.requested:
        state.progress += 1
        if file.due():
            file.write(state, idle=True, despite_fault=True)  # standing by counts as work
        if clock.monotonic_ns() >= next_ns:
            next_ns += TRY_EVERY_S * NS_PER_S
            if all(map(_takes_a_file, places)):
                return START_AGAIN
        clock.sleep(_TURN_S)
    return 0


def _takes_a_file(folder: Path) -> bool:
    """Whether a probe file can be written: access(2) misses a full file system, and an ext4 stopped by an error."""
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


# --- Without a usable configuration -----------------------------------------------------------------------------------


LOOK_EVERY_S = 3


def is_supervised() -> bool:
    """Whether systemd started the service and is notified of its wait. A person at a terminal gets the error."""
    return "NOTIFY_SOCKET" in os.environ


def wait_for_config(service: str, card: int, file: Path, why: BadInput, clock: Clock = SYSTEM) -> int:
    """Waits. Returns START_AGAIN once the file is usable, or 0 if the service is stopped."""
    stop = Stop()
    start_logging(service)
    log.error("%s: %s; starts when the configuration can be used", why.code, str(why).replace("\n", "; "))
    name, run_dir = capture_service(card) if service == "capture" else service, run_dir_of(file)
    state = _first_state(service, name, card, clock)
    state.fault = Fault(why.code, str(why))
    with lock_of(run_dir, name):
        state_file = StateFile(run_dir, name, clock)
        next_ns = clock.monotonic_ns()
        while not stop.requested:
            if clock.monotonic_ns() >= next_ns:
                next_ns = clock.monotonic_ns() + LOOK_EVERY_S * NS_PER_S
                if _can_be_used(file):
                    return START_AGAIN
            state.progress += 1
            if state_file.due():
                state_file.write(state, idle=True, despite_fault=True)  # waiting counts as work
            clock.sleep(_TURN_S)
    return 0


def run_dir_of(file: Path) -> Path:
    """The run_dir in the readable part of the file."""
    try:
        return Path(Source(file).partial(Config).run_dir)
    except BadInput:
        return Path(RUN_DIR)


def _can_be_used(file: Path) -> bool:
    try:
        load_config(file)
    except BadInput:
        return False
    return True


def _first_state(service: str, name: str, card: int, clock: Clock) -> ServiceState:
    known: dict[str, Any] = {
        "service": name, "version": __version__, "pid": os.getpid(), "started_ns": clock.monotonic_ns(), "mono_ns": 0,
        "progress": 0,
    }  # fmt: skip
    if service == "capture":
        return CaptureState(
            card=card, device_rate_hz=0, device_format="", channels=0, lines=[], ring_locked=False, realtime=False,
            **known,
        )  # fmt: skip
    if service == "recorder":
        return RecorderState(unit="", lines=[], config_sha256="", **known)
    return ReporterState(connected=False, session="", **known)
