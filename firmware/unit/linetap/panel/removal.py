# SPDX-License-Identifier: Apache-2.0
"""The removal of the disk after a press of ten seconds. The panel has no right to unmount anything.

The panel requests the recorder's stop, waits until all calls are sealed, and creates a file in its own folder. systemd
detects the file (linetap_removal.path), stops the services that use the disk, unmounts the disk, and writes the outcome
to a file in root's folder. A panel that restarts meanwhile continues the removal.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from linetap.checks.watch import Seen
from linetap_core import rundir
from linetap_core.durable.files import replace_in_ram
from linetap_core.records import RecorderState

WANTED, DONE = "removal", "removal"  # in the panel's folder, and in root's
SEALED_MS = 90_000  # a PBX may print for a minute; calls not sealed by then are left to the next start
UNMOUNTED_MS = 90_000  # longer than the services need to stop
CANCEL_AGAIN_MS = 10_000  # a recorder that restarts does not receive a command

Shows = Literal["removing", "pull", "removal_failed"]

log = logging.getLogger("linetap.panel")


class Removal:
    """The removal. `update`, called once a tick, returns the removal's condition for the LEDs."""

    def __init__(self, run_dir: Path, cancel: Callable[[], None]) -> None:
        """`cancel` notifies the recorder that the removal is cancelled."""
        self._wanted, self._root, self._cancel = (
            rundir.service_folder(run_dir, "panel") / WANTED,
            run_dir / rundir.ROOT,
            cancel,
        )
        self._over: tuple[int, int] | None = None  # stamp of an earlier removal's outcome
        self._asked_ms: int | None = None
        self._wanted_ms: int | None = None
        self._cancelled_ms = 0
        self._failed = False

    def begin(self, now_ms: int) -> None:
        log.warning("removal_asked: the button was pressed for ten seconds")
        self._asked_ms, self._wanted_ms, self._failed = now_ms, None, False
        self._forget()

    def acknowledge(self) -> None:
        """Clears the failure of a removal: a person has seen it."""
        if self._failed:
            self._failed = False
            self._over = rundir.stamp(self._root / DONE)

    def update(self, recorder: Seen[RecorderState], now_ms: int) -> Shows | None:
        outcome = self._outcome()
        if outcome == "pull" and recorder.status == "dead":
            return "pull"
        if outcome is not None:  # the removal failed; or the disk and the recorder are back
            self._withdraw_request()
            self._asked_ms, self._failed = None, self._failed or outcome != "pull"
        if self._asked_ms is None and recorder.live is not None and recorder.live.removal is not None:
            self._resume_removal(now_ms)
        if self._asked_ms is not None:
            self._advance(recorder, self._asked_ms, now_ms)
        if self._failed:
            return "removal_failed"
        return "removing" if self._asked_ms is not None else None

    def _resume_removal(self, now_ms: int) -> None:
        """Continues a removal that an earlier panel has begun, or cancels a failed one again: until then the recorder
        refuses calls.
        """
        if not self._failed:
            log.warning("removal_goes_on: an earlier panel has begun it")
            self._asked_ms, self._wanted_ms, self._over = now_ms, None, rundir.stamp(self._root / DONE)
        elif now_ms - self._cancelled_ms >= CANCEL_AGAIN_MS:
            self._cancelled_ms = now_ms
            self._cancel()

    def _advance(self, recorder: Seen[RecorderState], asked_ms: int, now_ms: int) -> None:
        if self._wanted_ms is not None:
            if now_ms - self._wanted_ms >= UNMOUNTED_MS:
                self._fail("it was not unmounted: linetap_removal.path is not enabled", now_ms)
            return
        sealed = recorder.live is not None and recorder.live.removal == "ready"
        if not sealed and recorder.status == "alive" and now_ms - asked_ms < SEALED_MS:
            return
        try:
            replace_in_ram(self._wanted, b"")
            self._wanted_ms = now_ms
        except OSError as error:
            self._fail(f"{self._wanted}: {error.strerror}", now_ms)

    def _fail(self, why: str, now_ms: int) -> None:
        log.error("removal_failed: %s", why)
        self._asked_ms, self._failed, self._cancelled_ms = None, True, now_ms
        self._forget()
        self._cancel()

    def _outcome(self) -> str | None:
        """The report of the removal's systemd service; None: no new report."""
        if rundir.stamp(self._root / DONE) == self._over:
            return None
        try:
            return rundir.read(self._root, DONE, 32).decode().strip() or None
        except (OSError, ValueError):
            return None

    def _forget(self) -> None:
        self._over = rundir.stamp(self._root / DONE)
        self._withdraw_request()

    def _withdraw_request(self) -> None:
        with contextlib.suppress(OSError):
            self._wanted.unlink()
