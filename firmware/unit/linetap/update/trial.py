# SPDX-License-Identifier: Apache-2.0
"""After a boot: keeps the version on trial, or restarts the machine into the old one. Marks the start of a kept one.

This code may not run: a trial is for one boot, so power, panic, watchdog and linetap_overdue.timer end it too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.update import judge, state
from linetap.update.install import Machine, failed
from linetap.update.state import UpdateFault
from linetap_core.clock import NS_PER_S, Clock, ns_of, rfc3339
from linetap_core.records import UpdateState

PATIENCE_S = 600  # from here on: services, network and time synchronisation start
LOOK_EVERY_S = 5
HOLDS_S = 15  # a service that dies at once works for a moment first
# For a version that was kept before: another slot cannot cure other critical checks, such as an absent codec.
NOT_STARTED = {"nothing_runs", "recorder_dead"}

log = logging.getLogger("linetap.update")


class Trial:
    def __init__(
        self,
        folder: Path,
        machine: Machine,
        red_checks: Callable[[], list[str]],
        clock: Clock,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`red_checks`: returns the present critical checks (judge.critical_findings)."""
        self._folder, self._machine, self._red_checks, self._clock = folder, machine, red_checks, clock
        self._patience_s = patience_s

    def run(self) -> None:
        """Judges the running version. UpdateFault if the slots are unknown."""
        slots = self._machine.slots()
        found = state.load(self._folder)
        tried = found if found is not None and found.step in ("waiting", "trying") else None
        if slots.current == slots.primary:
            if tried is not None and tried.step == "trying" and tried.slot == slots.current:
                self._end(
                    _kept(tried, self._clock)
                )  # before a power cut: the boot loader has stored it, this file has not
            elif tried is not None and tried.step == "trying":
                fault = UpdateFault("update_fell_back", "it did not start, or not to its end")
                self._end(failed(tried, fault, self._clock))
            self._mark_start()
            return
        about = tried if tried is not None else _unknown()
        try:
            self._wait_until_well(set(about.before))
            self._machine.keep()
            if self._machine.slots().primary != slots.current:
                raise UpdateFault("update_keep", f"slot {slots.current} was to be kept, and is not what starts")
        except UpdateFault as fault:
            self._end(failed(about, fault, self._clock))
            self._machine.reboot()
            return
        self._end(_kept(msgspec.structs.replace(about, slot=slots.current), self._clock))

    def _mark_start(self) -> None:
        """Marks the start as good; the initramfs counts an unmarked one as failed, and leaves the slot after some."""
        try:
            self._wait_until_well(set(), NOT_STARTED)
        except UpdateFault as fault:
            log.error("start_not_well: %s", fault)
            return
        self._machine.keep()

    def _wait_until_well(self, before: set[str], of: set[str] | None = None) -> None:
        """Waits until no new check is critical. `of`: only these count; None: all."""
        end_ns = self._clock.monotonic_ns() + ns_of(self._patience_s)
        well_since_ns: int | None = None
        while True:
            red = set(self._red_checks()) - before
            new, now_ns = sorted(red if of is None else red & of), self._clock.monotonic_ns()
            well_since_ns = None if new else well_since_ns or now_ns
            if well_since_ns is not None and now_ns - well_since_ns >= HOLDS_S * NS_PER_S:
                return
            if now_ns >= end_ns:
                faults = ", ".join(new) or "nothing lasting"
                raise UpdateFault("update_self_test", f"not well within {self._patience_s:g} s: {faults}")
            self._clock.sleep(LOOK_EVERY_S)

    def _end(self, found: UpdateState) -> None:
        state.save(self._folder, found)
        if found.step == "failed":
            log.error("%s: version %s: %s", found.code, found.version, found.text)
        else:
            log.info("update_done: version %s is kept", found.version)


def _kept(tried: UpdateState, clock: Clock) -> UpdateState:
    return msgspec.structs.replace(tried, step="done", at=rfc3339(clock.utc_ns()), code="", text="")


def _unknown() -> UpdateState:
    """The state of a trial without one on the disk, judged as if no check had been critical before."""
    return UpdateState(step="trying", version=judge.running_version() or "?", sha256="", by="command", at="")
