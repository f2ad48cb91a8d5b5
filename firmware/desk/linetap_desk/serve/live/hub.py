# SPDX-License-Identifier: Apache-2.0
"""Runs the watcher in its own thread, and turns its state into pictures and numbered changes for readers.

Two threads share the state: the watcher's writes it, the pages' reads it. Both use one lock, held only while copying.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock, rfc3339
from linetap_core.records import LineRelease
from linetap_desk.serve.live.causes import Neighbours, PlacedUnit
from linetap_desk.serve.live.journal import (
    Absences,
    Acknowledged,
    Entry,
    Journal,
    Picture,
    Reader,
    difference,
    event,
    picture,
    visible_fields,
)
from linetap_desk.watch.units import AWAY
from linetap_desk.watch.watcher import TURN_S, Settings, Watcher

JOIN_MS = 20  # changes of a unit within this time become one
COUNT_MS = 1000  # interval of sending the number of hidden messages
PAUSE_S, MOST_PAUSE_S = 0.001, 0.5  # between two writes to a reader: for each reader, and the maximum
SHARED_NS = NS_PER_S  # maximum age of a snapshot: later changes follow it
MOST_STREAMS = 300  # leaves room for requests of pages: service.py has 500 connections
MOST_OF_A_SESSION = 8
END_S = 5.0

log = logging.getLogger("linetap.serve")


class TooManyStreams(Exception):
    """Too many streams are open."""


class ShiftNote(msgspec.Struct, frozen=True):
    """The last note of the shift log (fleet/shiftlog.py)."""

    text: str
    by: str  # display name
    at: str


@dataclass(slots=True)
class DeskConnection:
    """The desk's own connection. `since`: when the live state was complete, otherwise since when the state is out of
    date."""

    link: str  # live, reading, away
    since: str
    why: str = ""
    not_shown: int = 0  # messages beyond the bounds
    bad: int = 0  # messages that were invalid
    note: ShiftNote | None = None


class Hub:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        """BadInput for unusable certificates."""
        self._clock, self.places = clock, settings.places
        self._watcher = Watcher(settings, clock)
        self._lock = threading.Lock()
        self._journal = Journal(secrets.token_hex(4))
        self._pictures: dict[str, Picture] = {}
        self._desk = DeskConnection("away", rfc3339(clock.utc_ns()), "not connected yet")
        self._touched: dict[str, int] = {}  # unit -> monotonic time of its first unsent change
        self._utc_ns = clock.utc_ns() - clock.monotonic_ns()
        self._count_ns = 0
        self._neighbours: Neighbours | None = None  # valid until a standing changes
        self._absences = self._shown_absences = Absences()
        self._acknowledged: dict[str, Acknowledged] = {}
        self._newly_acknowledged: deque[str] = deque()  # units of new acknowledgements
        self._note: ShiftNote | None = None
        self._snapshots: dict[Reader, tuple[int, int, bytes]] = {}  # of all units, one for each language
        self._encoded: tuple[tuple[int, int, Reader], tuple[int, bytes]] | None = None
        self._readers: dict[asyncio.Event, tuple[asyncio.AbstractEventLoop, str]] = {}
        self._stop = threading.Event()
        self.leaving = False
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(END_S)

    def end_streams(self) -> None:
        """Ends the streams; called before the pages end, which wait for them."""
        self.leaving = True
        self._wake()

    # --- for readers --------------------------------------------------------------------------------

    def state(self, reader: Reader) -> tuple[str, DeskConnection, list[dict[str, Any]]]:
        """The whole state: the id from which later changes are counted, the desk's connection, the units."""
        with self._lock:
            id, desk, pictures = self._journal.id, self._desk, list(self._pictures.values())
        mine = (one for one in pictures if reader.unit in (None, one["unit"]))
        return id, desk, [visible_fields(dict(one), reader) for one in mine]

    def configuration_of(self, name: str) -> str | None:
        """SHA-256 of the configuration that this unit last reported to be in effect."""
        unit = self._watcher.units.units.get(name)
        return None if unit is None or unit.health is None else unit.health.config_sha256

    @property
    def streams(self) -> int:
        return len(self._readers)

    def figures(self) -> tuple[str, Counter[str]]:
        """The desk's connection, and the number of units by standing."""
        with self._lock:
            return self._desk.link, Counter(one["standing"] for one in self._pictures.values())

    def releases(self) -> dict[tuple[str, int], LineRelease | None] | None:
        """Unit and line -> how its calls are ended, for all reported lines; None while the broker is unavailable."""
        with self._lock:
            if self._desk.link != "live":
                return None
            pictures = list(self._pictures.values())
        return {(one["unit"], int(n)): line.get("release") for one in pictures for n, line in one["lines"].items()}

    def number_of(self, id: str) -> int | None:
        with self._lock:
            return self._journal.number_of(id)

    def after(self, number: int) -> list[Entry] | None:
        """The changes since `number`; None if the journal no longer has them all."""
        with self._lock:
            return self._journal.after(number)

    def pause_s(self) -> float:
        """The pause between two writes to a reader, at moments common to all readers: it bounds the cost of writes, and
        each change is encoded once."""
        return min(MOST_PAUSE_S, len(self._readers) * PAUSE_S)

    def encoded_changes(self, number: int, reader: Reader, most: int) -> tuple[int, bytes] | None:
        """The changes since `number`, at most `most`, encoded for the reader, and the number reached; the same bytes
        for all readers at the same number. None if the journal no longer has them."""
        with self._lock:
            entries, newest = self._journal.after(number), self._journal.number
        if not entries:
            return None if entries is None else (number, b"")
        key = number, newest, reader
        if self._encoded is None or self._encoded[0] != key or reader.unit is not None:
            some = entries[:most]
            made = some[-1].number, b"".join(entry.event(reader, self._journal.of) for entry in some)
            if reader.unit is not None:
                return made
            self._encoded = key, made
        return self._encoded[1]

    def snapshot(self, reader: Reader) -> tuple[int, bytes]:
        """The whole state, in place of changes that are too many or no longer in the journal. All requests within
        SHARED_NS get the same: after a restart all pages reconnect at once."""
        now_ns = self._clock.monotonic_ns()
        made_ns, number, data = self._snapshots.get(reader, (0, -1, b""))
        if not data or now_ns - made_ns > SHARED_NS or self.after(number) is None:
            id, desk, units = self.state(reader)
            number, data = int(id.rpartition("-")[2]), event("snapshot", {"desk": desk, "units": units}, id)
            if reader.unit is None:
                self._snapshots[reader] = now_ns, number, data
        return number, data

    @contextlib.contextmanager
    def subscribe(self, session: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change. TooManyStreams: too many are open, or too many of this session."""
        here = asyncio.Event()
        with self._lock:
            of = Counter(session for _, session in self._readers.values())
            if len(self._readers) >= MOST_STREAMS or of[session] >= MOST_OF_A_SESSION:
                raise TooManyStreams
            self._readers[here] = (asyncio.get_running_loop(), session)
        try:
            yield here
        finally:
            with self._lock:
                del self._readers[here]

    # --- from the databases ---

    def set_absences(self, absences: Absences) -> None:
        """Replaces the absences recorded by the ingest."""
        self._absences = absences

    def acknowledge(self, news: Mapping[str, Acknowledged]) -> None:
        """Adds acknowledgements by unit; each replaces an earlier one of its unit."""
        self._acknowledged = {**self._acknowledged, **news}
        self._newly_acknowledged.extend(news)

    def set_note(self, note: ShiftNote) -> None:
        """Sets the note that is shown until the next one."""
        self._note = note

    # --- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._turn()
        finally:
            with contextlib.suppress(RuntimeError):  # the pages may have ended
                self._publish_desk(link="away", why="the watcher has stopped: see the journal")
            self._watcher.close()

    def _turn(self) -> None:
        now_ns = self._clock.monotonic_ns()
        due_ns = min(self._touched.values(), default=now_ns) + JOIN_MS * NS_PER_MS
        waits = self._touched and self._watcher.is_complete
        changes = self._watcher.turn(max(0.0, (due_ns - now_ns) / NS_PER_S) if waits else TURN_S)
        now_ns = self._clock.monotonic_ns()
        for change in changes:
            if (name := change.get("unit")) is not None:
                self._touched.setdefault(name, now_ns)
        self._mark_changed()
        if not self._watcher.is_complete:  # an incomplete state would look like a major outage
            self._not_live()
            return
        if self._desk.link != "live":
            self._utc_ns = self._clock.utc_ns() - now_ns
            self._touched = dict.fromkeys({**self._pictures, **self._watcher.units.units}, 0)
        if self._touched and now_ns - min(self._touched.values()) >= JOIN_MS * NS_PER_MS:
            self._publish_units(now_ns)
        if self._desk.link != "live":
            self._publish_desk(link="live", why="")
            self._log_complete()
        self._publish_counts(now_ns)

    def _log_complete(self) -> None:
        units = self._watcher.units
        lines = sum(len(unit.lines) for unit in units.units.values())
        took_ms = (self._clock.monotonic_ns() - self._watcher.began_ns) // NS_PER_MS
        log.info(
            "fleet_complete: %d units with %d lines, %d of the register's %d, %d ms after the connection",
            len(units.units), lines, len(units.expected) - units.missing, len(units.expected), took_ms,
        )  # fmt: skip

    def _not_live(self) -> None:
        link = "reading" if self._watcher.connected else "away"
        if (link, self._watcher.why) != (self._desk.link, self._desk.why):
            self._publish_desk(link=link, why=self._watcher.why)

    def _mark_changed(self) -> None:
        if self._absences is not self._shown_absences:
            self._shown_absences = self._absences
            away = (name for name, one in self._pictures.items() if one["heard"] or one["standing"] in AWAY)
            self._touched |= dict.fromkeys((name for name in away if name not in self._touched), 0)
        while self._newly_acknowledged:
            self._touched.setdefault(self._newly_acknowledged.popleft(), 0)

    def _publish_units(self, now_ns: int) -> None:
        news: list[tuple[str, Picture | None, dict[str, Any]]] = []
        units, places = self._watcher.units.units, self.places
        if self._neighbours is None or any(self._standing_changed(name, now_ns) for name in self._touched):
            self._neighbours = Neighbours(
                PlacedUnit(unit, places.of(name), unit.judged(now_ns)) for name, unit in units.items()
            )
            self._touched |= dict.fromkeys((name for name, one in self._pictures.items() if one["cause"]), 0)
        for name in self._touched:
            new = self._picture(name, now_ns) if name in units else None
            if (changed := difference(self._pictures.get(name), new, name)) is not None:
                news.append((name, new, changed))
        self._touched = {}
        if not news:
            return
        with self._lock:
            for name, new, changed in news:
                if new is None:
                    del self._pictures[name]
                else:
                    self._pictures[name] = new
                self._journal.add("unit", changed)
        self._wake()

    def _standing_changed(self, name: str, now_ns: int) -> bool:
        """Whether its standing differs from its picture: then the causes of others may change."""
        unit, known = self._watcher.units.units.get(name), self._pictures.get(name)
        return unit is None or known is None or unit.judged(now_ns) != known["standing"]

    def _picture(self, name: str, now_ns: int) -> Picture:
        unit, place = self._watcher.units.units[name], self.places.of(name)
        assert self._neighbours is not None
        cause = self._neighbours.cause(PlacedUnit(unit, place, unit.judged(now_ns)))
        return picture(unit, place, now_ns, self._utc, cause, self._shown_absences, self._acknowledged.get(name))

    def _publish_counts(self, now_ns: int) -> None:
        units = self._watcher.units
        if self._note is not self._desk.note:
            self._publish_desk(link=self._desk.link, why=self._desk.why)
        if now_ns >= self._count_ns and (units.passed_over, units.bad) != (self._desk.not_shown, self._desk.bad):
            self._count_ns = now_ns + COUNT_MS * NS_PER_MS
            self._publish_desk(link=self._desk.link, why=self._desk.why)

    def _publish_desk(self, link: str, why: str) -> None:
        was, units = self._desk, self._watcher.units
        turns = (link == "live") != (was.link == "live")
        since = rfc3339(self._clock.utc_ns()) if turns else was.since
        with self._lock:
            self._desk = DeskConnection(link, since, why, units.passed_over, units.bad, self._note)
            self._journal.add("desk", {"desk": self._desk})
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            readers = [(here, loop) for here, (loop, _) in self._readers.items()]
        for loop in {loop for _, loop in readers}:  # once per loop: each call writes to the loop's pipe
            loop.call_soon_threadsafe(_set_all, [here for here, of in readers if of is loop])

    def _utc(self, monotonic_ns: int) -> str:
        return rfc3339(self._utc_ns + monotonic_ns)


def _set_all(events: list[asyncio.Event]) -> None:
    for each in events:
        each.set()
