# SPDX-License-Identifier: Apache-2.0
"""The way from a press of ten seconds to a disk that may be pulled. The panel has no right to unmount anything.

It asks the recorder, waits until all calls are sealed, and puts a file where it alone may put one (tmpfiles.d). systemd
sees it (linetap_removal.path), stops what uses the disk, unmounts it, and says in another file how it went.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from linetap.checks.watch import Seen
from linetap.records import RecorderState

FOLDER, WANTED, DONE = "removal", "wanted", "done"
SEALED_MS = 90_000  # a PBX may print for a minute; then what is not sealed is left to the next start
UNMOUNTED_MS = 90_000  # longer than the services may take to stop

Shows = Literal["removing", "pull", "removal_failed"]

log = logging.getLogger("linetap.panel")


class Removal:
    """`look` once a tick: what is to be shown of it."""

    def __init__(self, run_dir: Path, cancel: Callable[[], None]) -> None:
        """`cancel` tells the recorder that nothing comes of it."""
        self._folder, self._cancel = run_dir / FOLDER, cancel
        self._asked_ms: int | None = None
        self._wanted_ms: int | None = None
        self._failed = False

    def begin(self, now_ms: int) -> None:
        log.warning("removal_asked: the button was pressed for ten seconds")
        self._asked_ms, self._wanted_ms, self._failed = now_ms, None, False
        self._forget(DONE)

    def acknowledge(self) -> None:
        """Somebody has seen that it failed."""
        if self._failed:
            self._failed = False
            self._forget(DONE)

    def look(self, recorder: Seen[RecorderState], now_ms: int) -> Shows | None:
        said = self._said()
        if said == "pull" and recorder.status == "dead":
            return "pull"
        if said is not None:  # it failed; or the disk is back, and so is the recorder
            self._asked_ms, self._failed = None, self._failed or said != "pull"
        if self._asked_ms is not None:
            self._go_on(recorder, self._asked_ms, now_ms)
        if self._failed:
            return "removal_failed"
        return "removing" if self._asked_ms is not None else None

    def _go_on(self, recorder: Seen[RecorderState], asked_ms: int, now_ms: int) -> None:
        if self._wanted_ms is not None:
            if now_ms - self._wanted_ms >= UNMOUNTED_MS:
                self._fail("nobody has unmounted it: linetap_removal.path is not enabled")
            return
        sealed = recorder.word is not None and recorder.word.removal == "ready"
        if not sealed and recorder.status == "alive" and now_ms - asked_ms < SEALED_MS:
            return
        try:
            self._folder.mkdir(exist_ok=True)
            (self._folder / WANTED).touch()
            self._wanted_ms = now_ms
        except OSError as error:
            self._fail(f"{self._folder}: {error.strerror}")

    def _fail(self, why: str) -> None:
        log.error("removal_failed: %s", why)
        self._asked_ms, self._failed = None, True
        self._forget(WANTED)
        self._cancel()

    def _said(self) -> str | None:
        """What systemd's unit has left; None: nothing yet."""
        try:
            with (self._folder / DONE).open() as file:
                return file.read(32).strip() or None
        except (OSError, ValueError):
            return None

    def _forget(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / name).unlink()
