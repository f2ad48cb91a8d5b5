# SPDX-License-Identifier: Apache-2.0
"""A service whose configuration is missing, empty or wrong waits, with one log entry, and begins when it can be used.

Otherwise systemd would start it anew every few seconds for as long as nobody comes, and each start would write the same
lines into a log on the disk. Its state file says why, so that panel and checks name it and call nobody dead.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from linetap.config import load_config
from linetap.config.schema import Config
from linetap_core import __version__
from linetap_core.clock import NS_PER_S, SYSTEM, Clock
from linetap_core.errors import BadInput
from linetap_core.records import CaptureState, Fault, RecorderState, ReporterState, ServiceState
from linetap_core.service import START_AGAIN, StateFile, Stop, lock_of, start_logging
from linetap_core.tomlfile.source import Source

RUN_DIR = "/run/linetap"
LOOK_EVERY_S = 3
_TURN_S = 0.1

log = logging.getLogger("linetap.service")


def is_supervised() -> bool:
    """By systemd, which is told that the service waits. Whoever starts it by hand gets the line and the status."""
    return "NOTIFY_SOCKET" in os.environ


def wait(service: str, card: int, file: Path, why: BadInput, clock: Clock = SYSTEM) -> int:
    """START_AGAIN once the file can be used; 0 if the service is stopped."""
    stop = Stop()
    start_logging(service)
    log.error("%s: %s; it begins when the configuration can be used", why.code, str(why).replace("\n", "; "))
    name, run_dir = f"capture@{card}" if service == "capture" else service, run_dir_of(file)
    state = _state(service, name, card, clock)
    state.fault = Fault(why.code, str(why))
    with lock_of(run_dir, name):
        told = StateFile(run_dir, name, clock)
        next_ns = clock.monotonic_ns()
        while not stop.requested:
            if clock.monotonic_ns() >= next_ns:
                next_ns = clock.monotonic_ns() + LOOK_EVERY_S * NS_PER_S
                if _can_be_used(file):
                    return START_AGAIN
            state.progress += 1
            if told.due():
                told.write(state, idle=True, in_spite=True)  # waiting is what there is to do
            clock.sleep(_TURN_S)
    return 0


def run_dir_of(file: Path) -> Path:
    """By as much of the file as can be read."""
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


def _state(service: str, name: str, card: int, clock: Clock) -> ServiceState:
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
