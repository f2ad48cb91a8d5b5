# SPDX-License-Identifier: Apache-2.0
"""Carries out one wanted update up to the reboot that tries it: download, checks, installation, a pause without calls.

A power cut at any moment leaves the wish and the state: the next start continues there. The wish is removed just before
the reboot, so that a version that fell back is not tried again by itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from linetap.config import Config
from linetap.idle import wait_for_idle
from linetap.update import state
from linetap.update.judge import require_fit, require_newer, require_running
from linetap.update.rauc import Info, Slots
from linetap.update.state import UpdateFault, Wish
from linetap_core.clock import NS_PER_DAY, NS_PER_S, Clock, rfc3339
from linetap_core.durable import files
from linetap_core.errors import BadInput, Refusal
from linetap_core.records import UpdateBy, UpdateState, UpdateStep
from linetap_core.service import remove_quietly

MOST_STARTS = 5
TELL_EVERY_S = 5
WAIT_DAYS = 7  # for a pause: a line that is never idle then needs a person
LOOKS, LOOKS_EVERY_S = 5, 3  # before a trial: a codec that is retried alternates between two faults
LOOK_AGAIN_S = 60  # how often to check whether another version is wanted
TRIAL_S = 1800  # longer than a trial (systemd/linetap_overdue.timer)
_MB = 1 << 20

log = logging.getLogger("linetap.update")

Told = Callable[[int, str], None]
Fetch = Callable[[Wish, Path, Told], None]


class Machine(Protocol):
    """RAUC and the boot loader: rauc.Rauc."""

    def info(self, bundle: Path) -> Info: ...
    def install(self, bundle: Path) -> None: ...
    def slots(self) -> Slots: ...
    def try_other(self) -> None: ...
    def keep(self) -> None: ...
    def reboot(self) -> None: ...


class _AnotherIsWanted(Exception):
    """Another version is wanted now."""


class Install:
    def __init__(
        self, config: Config, machine: Machine, fetch: Fetch, look: Callable[[], list[str]], clock: Clock
    ) -> None:
        """`look`: returns what is red now, judge.red."""
        self._config, self._machine, self._fetch, self._look, self._clock = config, machine, fetch, look, clock
        self._folder = state.folder_of(config)
        self._told_ns = 0

    def run(self) -> None:
        """Carry out everything that is wanted, one after the other; ends in a reboot, or when nothing is wanted any
        more.
        """
        self._wait_for_trial()
        for path, by in self._wanted():
            found: Wish | None = None
            try:
                found = state.read_wish(path)
                if found is not None and self._carry_out(found, by, path):
                    return
            except _AnotherIsWanted:
                continue
            except BadInput as error:
                log.error("update_wish: %s", error)
            _forget(path, found)

    def _wanted(self) -> Iterator[tuple[Path, UpdateBy]]:
        """Checked again each time: an operator's command takes precedence over a stick."""
        places: tuple[tuple[Path, UpdateBy], ...] = (
            (self._config.vault_path / state.WISH, "command"), (self._folder / state.STICK, "stick"),
        )  # fmt: skip
        while (found := next((each for each in places if os.path.lexists(each[0])), None)) is not None:
            yield found

    def _carry_out(self, wanted: Wish, by: UpdateBy, path: Path) -> bool:
        """Returns whether the machine reboots for it."""
        old = state.load(self._folder)
        if old is not None and _is_of(old, wanted):
            self._state = old
        else:
            self._state = UpdateState(
                step="fetching", version=wanted.version, sha256=wanted.sha256, by=by, at="", size=wanted.size
            )
        try:
            running = require_running()
            if wanted.version == running:
                log.info("update_not_needed: version %s runs", running)
                self._clear(by)
                return False
            require_newer(wanted.version, running)
            if self._state.step != "waiting":
                self._install(wanted, running)
            self._wait_for_pause(wanted, path)
            self._try(wanted, path)
        except UpdateFault as fault:
            self._failed(fault)
            self._clear(by)
            return False
        return True

    def _install(self, wanted: Wish, running: str) -> None:
        starts = self._state.starts + 1
        if starts > MOST_STARTS:
            raise UpdateFault("update_gave_up", f"begun {MOST_STARTS} times, and never brought to an end")
        self._step("fetching", starts=starts)
        slots = self._machine.slots()
        if slots.current != slots.primary:
            raise UpdateFault("update_on_trial", f"slot {slots.current} is tried, and {slots.primary} is the way back")
        bundle = self._bring(wanted)
        require_fit(self._machine.info(bundle), running, wanted.version)
        self._step("installing")
        self._machine.install(bundle)
        self._clear(self._state.by)

    def _bring(self, wanted: Wish) -> Path:
        """Returns the bundle, complete and with its hash."""
        bundle = self._folder / (state.FETCHED if wanted.url is not None else state.FROM_STICK)
        if bundle.exists() and bundle.stat().st_size == wanted.size and files.sha256(bundle) == wanted.sha256:
            return bundle
        if wanted.url is None:
            raise UpdateFault("update_sha256", f"{bundle}: not what was on the stick")
        bundle.unlink(missing_ok=True)
        require_room(self._folder, wanted.size, self._config)
        self._fetch(wanted, bundle, self._fetched)
        return bundle

    def _fetched(self, size: int, trouble: str) -> None:
        now_ns = self._clock.monotonic_ns()
        if trouble:
            log.warning("update_fetch_later: %s", trouble)
        elif now_ns - self._told_ns < TELL_EVERY_S * NS_PER_S:
            return
        self._told_ns = now_ns
        self._state = msgspec.structs.replace(self._state, fetched=size, text=trouble)
        state.save(self._folder, self._state)

    def _wait_for_pause(self, wanted: Wish, path: Path) -> None:
        self._step("waiting")
        self._state = msgspec.structs.replace(self._state, before=self._reds(LOOKS))
        state.save(self._folder, self._state)
        end_ns = self._clock.monotonic_ns() + WAIT_DAYS * NS_PER_DAY
        while True:
            try:
                return wait_for_idle(self._config, None, LOOK_AGAIN_S, self._clock)
            except Refusal as busy:
                if self._clock.monotonic_ns() >= end_ns:
                    raise UpdateFault("update_busy", f"in {WAIT_DAYS} days: {busy}") from None
            if state.read_wish(path) != wanted:
                raise _AnotherIsWanted

    def _try(self, wanted: Wish, path: Path) -> None:
        before = self._reds(1)
        slot = self._machine.slots().other
        self._machine.try_other()
        self._step("trying", slot=slot, before=before)
        _forget(path, wanted)
        self._machine.reboot()

    def _reds(self, looks: int) -> list[str]:
        """Returns what was red at any of these looks, or of the earlier ones."""
        found = {*self._state.before, *self._look()}
        for _ in range(looks - 1):
            self._clock.sleep(LOOKS_EVERY_S)
            found |= {*self._look()}
        return sorted(found)

    def _wait_for_trial(self) -> None:
        """The running version may still be on trial: the slot that it would fall back to must not be written."""
        end_ns = self._clock.monotonic_ns() + TRIAL_S * NS_PER_S
        while (found := state.load(self._folder)) is not None and found.step == "trying":
            if self._clock.monotonic_ns() >= end_ns:
                return
            self._clock.sleep(TELL_EVERY_S)

    def _step(self, step: UpdateStep, **more: Any) -> None:
        at = rfc3339(self._clock.utc_ns())
        self._state = msgspec.structs.replace(self._state, step=step, at=at, code="", text="", **more)
        state.save(self._folder, self._state)
        log.info("update_%s: version %s", step, self._state.version)

    def _failed(self, fault: UpdateFault) -> None:
        self._state = failed(self._state, fault, self._clock)
        state.save(self._folder, self._state)
        log.error("%s: version %s: %s", fault.code, self._state.version, fault)

    def _clear(self, by: UpdateBy) -> None:
        """Bundles are large, and an installed one is not needed."""
        for path in self._folder.glob(f"{state.FETCHED if by == 'command' else state.FROM_STICK}*"):
            remove_quietly(path)


def _is_of(found: UpdateState, wanted: Wish) -> bool:
    """Whether the state is of this update, and it is under way."""
    same = (found.version, found.sha256) == (wanted.version, wanted.sha256)
    return same and found.step in ("fetching", "installing", "waiting")


def failed(of: UpdateState, fault: UpdateFault, clock: Clock) -> UpdateState:
    return msgspec.structs.replace(of, step="failed", at=rfc3339(clock.utc_ns()), code=fault.code, text=str(fault))


def require_room(folder: Path, size: int, config: Config) -> None:
    """The reserve is for records: no update may use it."""
    figures = os.statvfs(folder)
    free = figures.f_bavail * figures.f_frsize - config.storage.reserve_mb * _MB
    if free < size:
        told = f"{max(0, free) // _MB} MB are free above the reserve, and {size // _MB} are needed"
        raise UpdateFault("update_no_room", f"{folder}: {told}")


def _forget(path: Path, done: Wish | None) -> None:
    """`done` None: the file is invalid. Another wish that arrived meanwhile stays."""
    try:
        found = state.read_wish(path)
    except BadInput:
        found = None
    if found == done or found is None:
        path.unlink(missing_ok=True)
        files.sync_directory(path.parent)
