# SPDX-License-Identifier: Apache-2.0
"""Finds calls whose period is over: each tick scans and destroys a bounded number, in the vault's thread.

A call is destroyed when retention time has reached its record's `until` and its whole period has elapsed in counted
time, unless it is held. A call of an overflow epoch, which has no day yet, is never destroyed. The next calls are known
from a scan at the start and from each seal: a heap of the MOST_KNOWN that end first. If there are more calls, the scan
is repeated when these are gone. Calls whose day has come before their counted time wait in a second heap.

`Stored` counts the bytes of calls by the days of their arrival and of their end, for the forecast; its size depends on
the longest class, not on the number of calls.
"""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from linetap.recorder.vault.retention import lifetime
from linetap.recorder.vault.retention.destruction import Destruction, remove_remnant
from linetap.recorder.vault.retention.holds import Holds
from linetap.recorder.vault.retention.lifetime import Lifetime
from linetap.recorder.vault.retention.time import RetentionTime
from linetap_core.clock import NS_PER_DAY, NS_PER_S
from linetap_core.durable import broken, folders
from linetap_core.durable.files import prune
from linetap_core.durable.unreadable import is_missing
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord

FOLDERS_A_TICK = 64  # per tick, in the scan
CALLS_A_TICK = 4  # each costs about five syncs
MOST_KNOWN = 50_000
RETRY_NS = 3600 * NS_PER_S
_ALWAYS = 1 << 63  # later than any time

log = logging.getLogger("linetap.recorder.vault")


class Expiry:
    """The expiry. Each method may raise OSError; the next tick continues."""

    def __init__(
        self, vault: Path, destruction: Destruction, holds: Holds, stored: Stored, time: RetentionTime,
        found_open: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`found_open` is called for each call without a record; most of them are being written."""
        self._found_open = found_open
        self._vault, self._destruction, self._holds, self._stored = vault, destruction, holds, stored
        self._time, self._credits = time, time.credits
        self._too_young: list[tuple[int, str, int]] = []  # heap of (elapsed time at the required age, call, until)
        self._kept_from_ns: int | None = None
        self.waiting: set[str] = set()  # calls without an end date for lack of an agreed clock
        self._next: list[tuple[int, str]] = []  # heap of (until, call)
        self._horizon = _ALWAYS  # later ends are not in the heap
        self._set_aside: dict[str, int] = {}  # overdue but held
        self._sealed_meanwhile: set[str] = set()  # calls sealed while the scan runs
        self._scan: Iterator[None] | None = self._scanned()

    @property
    def scanning(self) -> bool:
        return self._scan is not None

    def sealed(self, record: CallRecord) -> None:
        """Adds a call that has just been sealed."""
        if self._scan is not None:
            self._sealed_meanwhile.add(record.call_id)
        self._know(Lifetime.of(record))

    def amended(self, call_id: str) -> None:
        """Applies the new end date of a call."""
        self.waiting.discard(call_id)
        try:
            found, _ = lifetime.read(self._vault / sealed.call_path(call_id))
        except (OSError, ValueError) as error:
            log.error("vault_damaged: %s: %s; it is not destroyed at its end", call_id, error)
        else:
            self._know(found, again=True)

    def tick(self, now_ns: int | None) -> int:
        """Scans a few more folders and destroys a few expired calls. Returns the number of destroyed calls."""
        self._continue_scan()
        if now_ns is None:
            return 0
        self._wake()
        if not self._destruction.unfinished and not self._write_due_intents(now_ns):
            return 0
        gone, failed = self._destruction.resume(now_ns)
        for found in gone:
            self._stored.remove(found)
        for call_id in failed:
            heapq.heappush(self._next, (now_ns + RETRY_NS, call_id))
        return len(gone)

    def _write_due_intents(self, now_ns: int) -> bool:
        """Writes the intent for the next few calls that are over and not held. False if there are none."""
        due: dict[str, int] = {}
        while self._next and self._next[0][0] <= now_ns and len(due) < CALLS_A_TICK:
            until_ns, call_id = heapq.heappop(self._next)
            if self._holds.until(call_id) is not None:
                self._set_aside[call_id] = until_ns
            elif (missing_ns := self._missing(call_id)) > 0:
                heapq.heappush(self._too_young, (self._time.elapsed_ns + missing_ns, call_id, until_ns))
                self._kept_from_ns = None
            elif not is_missing(self._vault / sealed.call_path(call_id)):
                due[call_id] = until_ns
        if not due:
            self._scan_again_without_horizon()
            return False
        try:
            self._destruction.write_intent(list(due), now_ns)
        except OSError:
            for call_id, until_ns in due.items():
                heapq.heappush(self._next, (until_ns, call_id))
            raise
        return True

    @property
    def kept_from_ns(self) -> int:
        """The earliest end date of the calls that wait only for their counted time; later than any time if no call
        waits.
        """
        if self._kept_from_ns is None:  # cached: read at every tick; may cover a week's calls
            self._kept_from_ns = min((until_ns for _, _, until_ns in self._too_young), default=_ALWAYS)
        return self._kept_from_ns

    @property
    def next_ns(self) -> int | None:
        """The end of the next call that is not held; None without one."""
        return self._next[0][0] if self._next else None

    def _wake(self) -> None:
        """Requeues calls that are no longer held, and those that have reached the required age."""
        for call_id in [call_id for call_id in self._set_aside if self._holds.until(call_id) is None]:
            heapq.heappush(self._next, (self._set_aside.pop(call_id), call_id))
        all_of_them = self._credits != self._time.credits
        self._credits = self._time.credits
        while self._too_young and (all_of_them or self._too_young[0][0] <= self._time.elapsed_ns):
            _, call_id, until_ns = heapq.heappop(self._too_young)
            self._kept_from_ns = None
            heapq.heappush(self._next, (until_ns, call_id))

    def _missing(self, call_id: str) -> int:
        """Returns the time until the call has been kept for its whole period."""
        try:
            found, _ = lifetime.read(self._vault / sealed.call_path(call_id))
        except (OSError, ValueError):
            return 0  # destruction reports the error
        return found.period_ns - self._time.age_ns(found.sealed, found.at_ns)

    def _know(self, found: Lifetime, again: bool = False) -> None:
        if not again:
            self._stored.add(found)
        if found.waits and len(self.waiting) < MOST_KNOWN:
            self.waiting.add(found.call_id)
        if found.until_ns is None or found.until_ns >= self._horizon:
            return
        heapq.heappush(self._next, (found.until_ns, found.call_id))
        if len(self._next) > MOST_KNOWN:
            self._next = heapq.nsmallest(MOST_KNOWN * 3 // 4, self._next)
            self._horizon = self._next[-1][0]
            self._next = [entry for entry in self._next if entry[0] < self._horizon] or self._next

    # --- The scan-----------------------------------------------------------------------------------------------

    def _continue_scan(self) -> None:
        if self._scan is None:
            return
        if sum(1 for _ in islice(self._scan, FOLDERS_A_TICK)) < FOLDERS_A_TICK:
            self._scan = None
            self._sealed_meanwhile.clear()

    def _scan_again_without_horizon(self) -> None:
        if not self._next and not self._too_young and self._scan is None and self._horizon != _ALWAYS:
            self._horizon = _ALWAYS
            self._stored.clear()
            self._scan = self._scanned()

    def _scanned(self) -> Iterator[None]:
        """Scans the vault, one folder for each step."""
        for day in lifetime.days(self._vault):
            for name in folders.names_found(day):
                if sealed.CALL_ID.fullmatch(name) and name not in self._sealed_meanwhile:
                    self._scan_folder(day / name)
                    yield
            self._clean_folder(day)

    def _scan_folder(self, folder: Path) -> None:
        try:
            self._know(lifetime.read(folder)[0])
        except FileNotFoundError:
            self._clean_folder(folder)
            if folder.is_dir():
                self._found_open(folder.name)
        except lifetime.BrokenAmendment as error:
            broken.report(error.path, error.why)  # written again when the date is known
        except PermissionError:
            broken.report(folder, "it is another user's; its call is not destroyed at its end")
        except (OSError, ValueError) as error:
            log.error("vault_damaged: %s: %s; it is not destroyed at its end", folder, error)

    def _clean_folder(self, folder: Path) -> None:
        """Removes remains of a call after a power cut, and empty day folders. An error does not end the scan."""
        try:
            if sealed.CALL_ID.fullmatch(folder.name):
                remove_remnant(folder)
            else:
                prune(folder)
        except OSError as error:
            log.error("vault_damaged: %s: %s", folder, error)


# --- Bytes for the forecast -------------------------------------------------------------------------------------------


RATE_DAYS = 7  # a week includes every kind of day


class Stored:
    def __init__(self) -> None:
        self._going: Counter[int] = Counter()  # bytes by the day of their end, in days of UTC since 1970
        self._came: Counter[int] = Counter()  # bytes by the day of their call
        self._first: int | None = None  # day of the oldest call ever seen

    def clear(self) -> None:
        self._going.clear()
        self._came.clear()

    def add(self, call: Lifetime) -> None:
        day = sealed.call_ns(call.call_id) // NS_PER_DAY
        self._came[day] += call.bytes
        self._first = day if self._first is None else min(self._first, day)
        if call.until_ns is not None:
            self._going[call.until_ns // NS_PER_DAY] += call.bytes

    def remove(self, call: Lifetime) -> None:
        """Removes a destroyed call. It stays in the rate for RATE_DAYS, since it was written."""
        assert call.until_ns is not None
        day = call.until_ns // NS_PER_DAY
        self._going[day] -= call.bytes
        if self._going[day] <= 0:
            del self._going[day]

    def rate(self, now_ns: int) -> float:
        """Returns bytes a day, over the last RATE_DAYS or fewer."""
        today = now_ns // NS_PER_DAY
        for day in [day for day in self._came if day < today - RATE_DAYS]:
            del self._came[day]
        if self._first is None:
            return 0.0
        days = min(RATE_DAYS, max(1, today - self._first))
        return sum(size for day, size in self._came.items() if today - days <= day <= today) / days

    def full_in_days(self, now_ns: int, room: int, kept_days: int) -> int | None:
        """Returns the days until `room` bytes are used up at the present rate; None: never, since old calls make room
        in time.

        `kept_days`: retention of calls from now on. The forecast ends with the last present call.
        """
        today, rate = now_ns // NS_PER_DAY, self.rate(now_ns)
        if rate <= 0:
            return None
        horizon = max([kept_days, *(day - today for day, size in self._going.items() if size)]) + 1
        left = float(room) + sum(size for day, size in self._going.items() if day < today)
        for ahead in range(horizon + 1):
            left += self._going[today + ahead] - rate + (rate if ahead > kept_days else 0)
            if left < 0:
                return ahead
        return None
