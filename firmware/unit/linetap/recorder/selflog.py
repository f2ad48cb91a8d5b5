# SPDX-License-Identifier: Apache-2.0
"""The recorder's own leaves in the unit's log: start, configuration, heartbeat, clock steps, stop, and an order on
the card.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from linetap import cardresult
from linetap.recorder.vault.writer import VaultWriter
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock, parse_rfc3339
from linetap_core.evidence.merklelog.unitlog import Kind
from linetap_core.records import KernelClockState, OrderState
from linetap_core.timekeeping import clock_quality

HEARTBEAT_S = 3600
STEP_MS = 500  # more than slewing shifts the clock between two turns


class TakesLeaves(Protocol):
    """A log for the leaves: the vault's writer."""

    def log_leaf(self, kind: Kind, at_ns: int, **fields: str | int | float | list[str] | None) -> None: ...


class SelfLog:
    """Writes the leaves of start and configuration when constructed, the others when they are due."""

    _stepped_ns: int | None

    def __init__(
        self,
        clock: Clock,
        log: TakesLeaves,
        version: str,
        config_sha256: str,
        quality: Callable[[], tuple[bool, float | None]] = clock_quality,
    ) -> None:
        self._clock, self._log = clock, log
        self._utc_minus_mono = clock.utc_ns() - clock.monotonic_ns()
        self._beat_ns = clock.monotonic_ns()
        self._quality = quality
        self._synced_ns: int | None = None
        self._step_ms, self._stepped_ns = 0, None
        now = clock.utc_ns()
        log.log_leaf("start", now, version=version)
        log.log_leaf("config", now, sha256=config_sha256)

    def turn(self) -> None:
        """Logs a clock step, and the hourly heartbeat when it is due."""
        utc, mono = self._clock.utc_ns(), self._clock.monotonic_ns()
        step_ms = (utc - mono - self._utc_minus_mono) // NS_PER_MS
        self._utc_minus_mono = utc - mono
        if abs(step_ms) >= STEP_MS:
            self._log.log_leaf("clock_step", utc, ms=step_ms)
            self._step_ms, self._stepped_ns = step_ms, mono
        if mono - self._beat_ns >= HEARTBEAT_S * NS_PER_S:
            self._beat_ns = mono
            self._log.log_leaf("heartbeat", utc)

    def clock_state(self) -> KernelClockState:
        """The state of the kernel's clock for the state file."""
        synced, offset_ms = self._quality()
        if synced:
            self._synced_ns = self._clock.monotonic_ns()
        return KernelClockState(
            synced=synced, offset_ms=offset_ms, synced_ns=self._synced_ns,
            step_ms=self._step_ms, stepped_ns=self._stepped_ns,
        )  # fmt: skip

    def stop(self, why: str) -> None:
        """Logs the stop. `why`: the code of its cause, or "asked"."""
        self._log.log_leaf("stop", self._clock.utc_ns(), why=why)


def log_order(run_path: Path, vault: VaultWriter) -> OrderState | None:
    """Logs the result of an order on the card before this start, and returns the state for its alert; None: no order.

    The leaf is logged once a boot: a restarted recorder logs the same leaf, which the log already has.
    """
    found = cardresult.load(run_path)
    if found is not None:
        vault.log_leaf("order", parse_rfc3339(found.at), code=found.code, sha256=found.sha256 or None)
    return found
