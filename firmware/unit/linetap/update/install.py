# SPDX-License-Identifier: Apache-2.0
"""Executes one requested update up to the reboot that tries it: fetch, check, installation, a pause without calls.

A power cut at any moment leaves the request and the state: the next start continues there. The request is removed just
before the reboot, so that a version that fell back is not tried again by itself. All that takes time comes before the
last look at the lines, so that the reboot ends no call that began meanwhile.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from linetap.config import Config
from linetap.idle import UNKNOWN, line_in_use, wait_for_idle
from linetap.update import state, versionlog
from linetap.update.fetch import Progress, begun_bytes
from linetap.update.judge import require_fit, require_newer, require_running
from linetap.update.rauc import Info, Slots
from linetap.update.state import UpdateFault, UpdateRequest
from linetap_core.clock import NS_PER_DAY, NS_PER_S, Clock, rfc3339
from linetap_core.durable import files
from linetap_core.errors import BadInput, Refusal
from linetap_core.records import UpdateBy, UpdateState, UpdateStep

MOST_STARTS = 5
TELL_EVERY_S = 5
WAIT_DAYS = 7  # wait for a pause: after that a person must look at a line that is never idle
READINGS, READINGS_EVERY_S = 5, 3  # before a trial: a codec in retries alternates between two faults
LOOK_AGAIN_S = 60  # interval of checks for a request of another version
# As long as the longest ring holds: a restart cuts no call that the recorder could still record.
SILENT_S = 900
TRIAL_S = 1800  # longer than a trial (systemd/linetap_overdue.timer)
_MB = 1 << 20

log = logging.getLogger("linetap.update")

Fetch = Callable[[UpdateRequest, Path, Progress], None]


class Machine(Protocol):
    """RAUC and the boot loader: rauc.Rauc."""

    def info(self, bundle: Path) -> Info: ...
    def install(self, bundle: Path) -> None: ...
    def slots(self) -> Slots: ...
    def try_other(self) -> None: ...
    def keep(self) -> None: ...
    def reboot(self) -> None: ...


class _AnotherIsWanted(Exception):
    """Another version is requested now."""


class Install:
    def __init__(
        self, config: Config, machine: Machine, fetch: Fetch, red_checks: Callable[[], list[str]], clock: Clock
    ) -> None:
        """`red_checks`: returns the present critical checks (judge.critical_findings)."""
        self._config, self._machine, self._fetch, self._clock = config, machine, fetch, clock
        self._red_checks = red_checks
        self._folder = state.folder_of(config)
        self._told_ns = 0
        self._skipped: set[Path] = set()  # places of requests that cannot be removed

    def run(self) -> None:
        """Executes all requests in turn; ends in a reboot, or with no request left."""
        self._wait_for_trial()
        for path, by in self._requests():
            found: UpdateRequest | None = None
            try:
                found = state.read_request(path)
                if found is not None and self._carry_out(found, by, path):
                    return
            except _AnotherIsWanted:
                continue
            except BadInput as error:
                log.error("update_wish: %s", error)
            try:
                _forget(path, found)
            except OSError as error:
                self._skip(path, by, error)
        if self._skipped:
            self._clock.sleep(LOOK_AGAIN_S)  # systemd starts this again at once while a request is there

    def _skip(self, path: Path, by: UpdateBy, error: OSError) -> None:
        """Leaves a request that cannot be removed for this run, so that the other place has its turn. An update in
        progress, and one that a stick may not repeat, keep their state.
        """
        self._skipped.add(path)
        fault = UpdateFault("update_wish", f"{path}: not removed: {error.strerror}")
        log.error("%s: %s", fault.code, fault)
        now = state.load(self._folder)
        if now is None or now.step == "done":
            nothing = UpdateState(step="failed", version="?", sha256="", by=by, at="")
            state.save(self._folder, failed(nothing, fault, self._clock))

    def _requests(self) -> Iterator[tuple[Path, UpdateBy]]:
        """Yields the requests, checked again each time: an operator's command has priority over a stick."""
        places: tuple[tuple[Path, UpdateBy], ...] = (
            (self._config.vault_path / state.WISH, "command"), (self._folder / state.STICK, "stick"),
        )  # fmt: skip
        while (found := self._next(places)) is not None:
            yield found

    def _next(self, places: tuple[tuple[Path, UpdateBy], ...]) -> tuple[Path, UpdateBy] | None:
        return next((each for each in places if each[0] not in self._skipped and os.path.lexists(each[0])), None)

    def _carry_out(self, requested: UpdateRequest, by: UpdateBy, path: Path) -> bool:
        """Executes a request; returns whether the machine reboots for it."""
        old = state.load(self._folder)
        if old is not None and _is_of(old, requested):
            self._state = old
        else:
            self._state = UpdateState(
                step="fetching", version=requested.version, sha256=requested.sha256, by=by, at="", size=requested.size
            )
        try:
            running = require_running()
            if requested.version == running:
                log.info("update_not_needed: version %s runs", running)
                self._clear(by)
                return False
            require_newer(requested.version, running)
            if self._state.step != "waiting":
                self._install(requested, running)
            self._try(requested, path)
        except UpdateFault as fault:
            self._failed(fault)
            self._clear(by)
            return False
        return True

    def _install(self, requested: UpdateRequest, running: str) -> None:
        starts = self._state.starts + 1
        if starts > MOST_STARTS:
            raise UpdateFault("update_gave_up", f"begun {MOST_STARTS} times, and never brought to an end")
        self._step("fetching", starts=starts)
        slots = self._machine.slots()
        if slots.current != slots.primary:
            raise UpdateFault("update_on_trial", f"slot {slots.current} is tried, and {slots.primary} is the way back")
        bundle = self._fetched_bundle(requested)
        info = self._machine.info(bundle)
        require_fit(info, running, requested.version)
        versionlog.require_in_log(self._config, bundle, info)
        self._step("installing")
        self._machine.install(bundle)
        self._clear(self._state.by)

    def _fetched_bundle(self, requested: UpdateRequest) -> Path:
        """The bundle, complete and with its hash."""
        bundle = self._folder / (state.FETCHED if requested.url is not None else state.FROM_STICK)
        if bundle.is_file() and bundle.stat().st_size == requested.size and files.sha256(bundle) == requested.sha256:
            return bundle
        if requested.url is None:
            raise UpdateFault("update_sha256", f"{bundle}: not what was on the stick")
        files.remove(bundle)
        require_room(self._folder, requested.size - begun_bytes(requested, bundle), self._config)
        self._fetch(requested, bundle, self._fetched)
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

    def _try(self, requested: UpdateRequest, path: Path) -> None:
        """Reboots into the other slot in a pause without calls. A call that begins while the reboot is prepared is
        waited for: the prepared trial has no effect without the reboot, so a power cut then starts the old version,
        which continues to wait.
        """
        end_ns = self._clock.monotonic_ns() + WAIT_DAYS * NS_PER_DAY
        self._step("waiting")
        self._state = msgspec.structs.replace(self._state, before=self._critical_checks(READINGS))
        state.save(self._folder, self._state)
        is_dead = self._wait_for_pause(requested, path, end_ns)
        slot = self._machine.slots().other
        self._machine.try_other()
        while True:
            self._step("trying", slot=slot, before=self._critical_checks(1))
            if (busy := line_in_use(self._config, None, self._clock)) is None or (is_dead and busy == UNKNOWN):
                break
            self._step("waiting", slot="")
            is_dead = self._wait_for_pause(requested, path, end_ns)
        try:
            _remove(path, requested)
        except OSError as error:  # else the version would be tried again and again
            raise UpdateFault("update_wish", f"{path}: not removed: {error.strerror}") from None
        self._machine.reboot()
        files.sync_directory(path.parent)  # a sync may take long on a bad card: not between the look and the reboot

    def _wait_for_pause(self, requested: UpdateRequest, path: Path, end_ns: int) -> bool:
        """Waits for a pause. True if the recorder was silent for SILENT_S instead: it records no call, and the version
        may be its remedy.
        """
        heard_ns = self._clock.monotonic_ns()
        while True:
            try:
                wait_for_idle(self._config, None, LOOK_AGAIN_S, self._clock)
                return False
            except Refusal as busy:
                now_ns = self._clock.monotonic_ns()
                if line_in_use(self._config, None, self._clock) != UNKNOWN:
                    heard_ns = now_ns
                if now_ns - heard_ns >= SILENT_S * NS_PER_S:
                    log.warning("update_no_recorder: it has not reported for %d s: not waited for", SILENT_S)
                    return True
                if now_ns >= end_ns:
                    raise UpdateFault("update_busy", f"in {WAIT_DAYS} days: {busy}") from None
            if state.read_request(path) != requested:
                raise _AnotherIsWanted

    def _critical_checks(self, looks: int) -> list[str]:
        """The critical checks of any of these readings, and of earlier ones."""
        found = {*self._state.before, *self._red_checks()}
        for _ in range(looks - 1):
            self._clock.sleep(READINGS_EVERY_S)
            found |= {*self._red_checks()}
        return sorted(found)

    def _wait_for_trial(self) -> None:
        """Waits for the end of the running version's trial, during which its fallback slot must not be written."""
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
        """Removes the bundle, which is large and not needed after the installation."""
        for path in self._folder.glob(f"{state.FETCHED if by == 'command' else state.FROM_STICK}*"):
            files.remove(path)


def _is_of(found: UpdateState, requested: UpdateRequest) -> bool:
    """Whether the state is of this update, and the update is in progress."""
    same = (found.version, found.sha256) == (requested.version, requested.sha256)
    return same and found.step in ("fetching", "installing", "waiting")


def failed(of: UpdateState, fault: UpdateFault, clock: Clock) -> UpdateState:
    return msgspec.structs.replace(of, step="failed", at=rfc3339(clock.utc_ns()), code=fault.code, text=str(fault))


def require_room(folder: Path, size: int, config: Config) -> None:
    """Raises a fault if the update would use the reserve, which is for records."""
    figures = os.statvfs(folder)
    free = figures.f_bavail * figures.f_frsize - config.storage.reserve_mb * _MB
    if free < size:
        room = f"{max(0, free) // _MB} MB are free above the reserve, and {size // _MB} are needed"
        raise UpdateFault("update_no_room", f"{folder}: {room}")


def _forget(path: Path, done: UpdateRequest | None) -> None:
    _remove(path, done)
    files.sync_directory(path.parent)


def _remove(path: Path, done: UpdateRequest | None) -> None:
    """Removes the request if it is still `done`; `done` None: the file is invalid. A later request stays."""
    try:
        found = state.read_request(path)
    except BadInput:
        found = None
    if found == done or found is None:
        path.unlink(missing_ok=True)
