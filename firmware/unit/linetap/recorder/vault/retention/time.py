# SPDX-License-Identifier: Apache-2.0
"""Retention time of this unit: the machine's clocks, the state machine over them, and its memory in the vault.

Used by the vault's thread; other threads may read `now_ns`, `waiting` and `challenge`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.recorder.vault.retention.clock import TOLERANCE_NS, Memory, RetentionClock, Sample, Span
from linetap_core.clock import FIRST_NS, NS_PER_DAY, NS_PER_S, Clock, kernel_clock, rfc3339
from linetap_core.durable import copies
from linetap_core.durable.smallfile import SmallFile
from linetap_core.records import CountedMoment, RetentionTimeState
from linetap_core.timekeeping import earliest_ns

NAME = "clock.json"  # in the vault
SAVE_EVERY_NS = 600 * NS_PER_S  # the most of a boot that counts as unexplained after a power cut
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

log = logging.getLogger("linetap.recorder.vault")


class _Saved(msgspec.Struct, kw_only=True):
    """The stored state. `challenge` was issued in the boot of `memory`."""

    memory: Memory
    challenge: str = ""
    asked_mono_ns: int = 0


_FILE = SmallFile("clock", _Saved)


def this_boot() -> str:
    """Returns the kernel's random id of this boot."""
    return _BOOT_ID.read_text("ascii").strip()


def kernel_is_synced() -> bool:
    return kernel_clock()[0]


class RetentionTime:
    def __init__(
        self,
        vault: Path,
        largest_gap_days: int,
        clock: Clock,
        boot: Callable[[], str] = this_boot,
        synced: Callable[[], bool] = kernel_is_synced,
        earliest: Callable[[], int] = lambda: 0,
    ) -> None:
        """`earliest`: a time that has passed by the signature of others; 0: none is known."""
        self._path = vault / NAME
        self._clock, self._boot, self._synced, self._earliest = clock, boot(), synced, earliest
        self._is_early = False
        saved = self._load(vault)
        if saved.memory.now_ns and saved.memory.now_ns < FIRST_NS:
            log.error("clock_early: the time agreed on was %s, which cannot be: it is forgotten",
                      rfc3339(saved.memory.now_ns))  # fmt: skip
            saved.memory.forget_date()
        self.machine = RetentionClock(saved.memory, largest_gap_days * NS_PER_DAY)
        if saved.memory.boot != self._boot:
            saved.challenge = ""
        self.challenge, self._asked_mono_ns = saved.challenge, saved.asked_mono_ns
        self._saved_at_ns: int | None = None
        self._figures: tuple[object, ...] = ()

    @property
    def now_ns(self) -> int | None:
        """Retention time; None: the time was never known, and no call is over."""
        return self.machine.memory.now_ns

    @property
    def certain_ns(self) -> int | None:
        """Retention time without its unconfirmed part, so that a changed date does not make others' commands expire."""
        memory = self.machine.memory
        return None if memory.now_ns is None else memory.now_ns - memory.unexplained_ns

    @property
    def is_dated(self) -> bool:
        """Whether the date was confirmed in this boot and no clock contradicts it."""
        return self.machine.is_dated

    @property
    def date_ns(self) -> int:
        """The date, counted on while no clock is agreed. Only valid if `is_dated`."""
        return self.machine.date_ns

    @property
    def dating(self) -> int:
        """A number that grows when the date is confirmed or set back."""
        return self.machine.memory.dating

    def span(self, moment: CountedMoment | None) -> Span | None:
        """The span of a moment: see RetentionClock.span."""
        return self.machine.span(moment)

    def counted_now(self) -> CountedMoment:
        """Returns the present moment, for a thread other than the vault's."""
        return self.machine.moment_at(self._clock.unsteered_ns())

    def moment(self) -> CountedMoment:
        """Returns the present moment, for the record of a call or a hold."""
        return self.machine.moment(self._sample())

    def age_ns(self, moment: CountedMoment | None, at_ns: int | None) -> int:
        """The time that has certainly passed: see RetentionClock.age_ns."""
        return self.machine.age_ns(moment, at_ns)

    @property
    def elapsed_ns(self) -> int:
        return self.machine.memory.elapsed_ns

    @property
    def credits(self) -> int:
        """The number of credits of uncounted time by two officers; after each credit calls may be over."""
        return len(self.machine.memory.credits)

    @property
    def is_distrusted(self) -> bool:
        """Whether the agreed clock contradicts counted time, so that the date is not certain."""
        memory = self.machine.memory
        return bool(memory.waiting_ns or memory.behind_ns)

    def refresh(self) -> None:
        """Samples the clocks before the first tick, so that calls left by a power cut are dated if possible."""
        self.machine.see(self._sample())

    def tick(self) -> None:
        """Samples the clocks. OSError if the memory cannot be written."""
        self.machine.see(self._sample())
        if not self.challenge:
            self._new_challenge()
        self._remember()

    def answer(self, challenge: str, utc_ns: int, confirms: bool) -> str | None:
        """Applies an answer: see RetentionClock.answer; or `time_challenge`: not the open challenge of this boot."""
        if not self.challenge or challenge != self.challenge:
            return "time_challenge"
        if utc_ns < max(earliest_ns(), self._earliest()):
            return "time_early"
        refused = self.machine.answer(utc_ns, self._asked_mono_ns, self._sample(), confirms)
        if refused != "time_ahead":  # two officers may still answer that challenge
            self._new_challenge()
        self._remember()
        return refused

    def state(self) -> RetentionTimeState:
        memory = self.machine.memory
        return RetentionTimeState(
            now=None if memory.now_ns is None else rfc3339(memory.now_ns),
            agreed=memory.agreed,
            ahead_s=memory.waiting_ns // NS_PER_S,
            behind_s=memory.behind_ns // NS_PER_S,
            early=rfc3339(self._earliest_ns()) if self._is_early else None,
            unconfirmed_s=memory.unexplained_ns // NS_PER_S,
            challenge=self.challenge,
        )

    def _sample(self) -> Sample:
        """A sample of the clocks. A clock that is synchronised to an impossible time counts as unsynchronised."""
        utc_ns, synced = self._clock.utc_ns(), self._synced()
        early = synced and utc_ns < self._earliest_ns()
        if early and not self._is_early:
            log.error("clock_early: the clock is synchronised and shows %s, but it is later than %s; it is not used",
                      rfc3339(utc_ns), rfc3339(self._earliest_ns()))  # fmt: skip
        self._is_early = early
        return Sample(utc_ns, self._clock.unsteered_ns(), self._boot, synced and not early)

    def _earliest_ns(self) -> int:
        confirmed = self.machine.memory.confirmed
        return max(earliest_ns(), self._earliest(), 0 if confirmed is None else confirmed.utc_ns - TOLERANCE_NS)

    def _new_challenge(self) -> None:
        self.challenge, self._asked_mono_ns = secrets.token_hex(16), self._clock.unsteered_ns()

    def _remember(self) -> None:
        memory, mono_ns = self.machine.memory, self._clock.unsteered_ns()
        figures = (
            memory.boots,
            memory.agreed,
            memory.base_ns,
            memory.confirmed,
            memory.waiting_ns > 0,
            memory.behind_ns > 0,
            self.challenge,
        )
        old = self._saved_at_ns is None or mono_ns - self._saved_at_ns >= SAVE_EVERY_NS
        if figures == self._figures and not old:
            return
        if figures[4:6] != self._figures[4:6]:
            self._publish()
        saved = _Saved(memory=memory, challenge=self.challenge, asked_mono_ns=self._asked_mono_ns)
        copies.replace_both(_FILE, self._path, saved)
        self._figures, self._saved_at_ns = figures, mono_ns

    def _publish(self) -> None:
        memory = self.machine.memory
        if memory.waiting_ns:
            ahead = memory.waiting_ns // NS_PER_S
            log.error(
                "clock_ahead: the clock is %d s ahead of what can be explained: nothing is destroyed by it until the "
                "two vault officers confirm the time (linetap command state; verb `time`, cosigned)", ahead,
            )  # fmt: skip
        elif memory.behind_ns:
            log.error("clock_behind: the clock was put back by %d s: retention goes on", memory.behind_ns // NS_PER_S)

    def _load(self, vault: Path) -> _Saved:
        """Loads the memory. In a vault with calls it may be lost: only two vault officers can then set the time, and
        each call waits for its whole period again.
        """
        name = secrets.token_hex(8)
        try:
            saved = copies.read_file_or_twin(_FILE, self._path)
            if not saved.memory.name:  # from an older version; its calls have no counted time
                saved.memory.name, saved.memory.since_ns = name, saved.memory.now_ns or None
            return saved
        except FileNotFoundError:
            if next(vault.glob("[0-9][0-9][0-9][0-9]"), None) is None:
                return _Saved(memory=Memory(name=name))
            log.error(
                "clock_forgotten: %s is gone: nothing is destroyed until two vault officers confirm the time",
                self._path,
            )
        except (OSError, ValueError) as error:
            log.error(
                "clock_forgotten: %s: %s: nothing is destroyed until two vault officers confirm the time",
                self._path, error,
            )  # fmt: skip
        return _Saved(memory=Memory(now_ns=0, name=name))
