# SPDX-License-Identifier: Apache-2.0
"""Copies the units' indexes: every few minutes the desk requests a unit's list, and then each new or changed segment
whole, verified against the SHA-256 in the list that the unit signed.

For the desk they are ciphertext. A search opens them on a machine with the index keys (docs/finding.md). Only whole
segments are kept: after an interruption the transfer begins again with the interrupted segment.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from linetap_core.broker.connection import Arrived
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock
from linetap_core.errors import Refusal
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.fetch import BLOCK_BYTES, LIST, MOST_BYTES, IndexWindow, ListSegments
from linetap_core.evidence.calls import indexhead
from linetap_core.evidence.calls.indexhead import BadList, IndexList, ListedSegment, ListHead, SignedListHead
from linetap_desk.copy import indexfolder
from linetap_desk.copy.indexfolder import IndexFolder
from linetap_desk.copy.transfers import PAUSE_S, STALL_S
from linetap_desk.ingest.confirm import ANSWER_LIMIT_BYTES
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.inputs import strict

TIDY_EVERY_S = 600  # the interval of searching for expired segments
LATER_S = 2  # retry while the unit still reads its log
MOST_AT_ONCE = 4  # units: a segment in transfer is in memory
LOOKED_AT = 200  # segments in a turn; each may need its file read
LONGEST_PAUSE_S = 21_600  # for a unit without a list, such as one of an earlier version
_AT_A_TIME_S = 2  # seconds of the rate in one window
_CORRELATION_BYTES = 12

log = logging.getLogger("linetap.copy")

Request = tuple[str, dict[str, str], bytes]  # unit, body, correlation data


@dataclass(slots=True)
class _Round:
    """The transfer of one list and its segments. `head` None: the answer with the head has not arrived."""

    head: ListHead | None = None
    signed: SignedListHead | None = None
    data: bytes | None = None  # of the list; None: incomplete, or unchanged
    index: IndexList | None = None
    todo: deque[ListedSegment] = field(default_factory=deque)
    changed: bool = False  # a segment differed from the list: the unit has rewritten it


@dataclass(slots=True)
class _Unit:
    """The state of one unit. Times are monotonic ns."""

    folder: IndexFolder
    newest: ListHead | None = None
    complete: str = ""  # hash of the last list with all segments stored
    round: _Round | None = None
    correlation: bytes = b""
    window: dict[str, tuple[int, str]] = field(default_factory=dict)  # of the window: name -> size, hash
    parts: dict[str, bytearray] = field(default_factory=dict)
    window_bytes: int = 0
    received_bytes: int = 0
    asked_ns: int = 0  # when its list was requested
    window_ns: int = 0  # when the window was requested
    answered_ns: int = 0
    next_ns: int = 0
    pause_s: int = 0


class Segments:
    """The transfers of all indexes, in the ingest's thread. `complain` receives a unit and its fault."""

    def __init__(
        self, root: Path, every_s: int, zone: str, signers: SignersFile, complain: Callable[[str, str], None],
        clock: Clock, share: Share = ALL_UNITS, is_of_one: Callable[[OSError], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        """`zone`: the time zone of the days on which epochs end. `is_of_one`: whether an error concerns one unit's
        files alone; then the other units' indexes continue."""
        self._is_of_one = is_of_one
        self._root, self._every_s, self._zone, self._signers, self._clock = root, every_s, zone, signers, clock
        self._complain, self._share, self._tidy_ns = complain, share, 0
        self._units: dict[str, _Unit] = {}
        self._kbit_s: int | None = None  # rate of the present hour

    def due_requests(self, online: Collection[str], kbit_s: int | None) -> Iterator[Request]:
        """The requests that are due. OSError: the folder cannot be used."""
        self._kbit_s = kbit_s
        if kbit_s == 0:
            return
        now_ns = self._clock.monotonic_ns()
        for name in self._units.keys() - set(online):
            self._drop(self._units[name])
        under_way = [unit for unit in self._units.values() if unit.round is not None]
        for unit in under_way:
            self._stalled(unit, now_ns)
            try:
                yield from self._request_next(unit, now_ns)
            except OSError as error:
                self._end_failed_round(unit, error, now_ns)
        room = MOST_AT_ONCE - len(under_way)
        for name in sorted(online, key=lambda name: self._units[name].asked_ns if name in self._units else 0):
            if room <= 0:
                return
            unit = self._unit(name)
            if unit.round is None and now_ns >= unit.next_ns:
                room -= 1
                unit.round, unit.asked_ns = _Round(), now_ns
                yield self._begin_window(unit, ListSegments().body(), now_ns)

    def arrived(self, name: str, message: Arrived) -> bool:
        """Processes a message of `reply/fetch`; returns whether it was a requested message of the index. OSError: the
        disk."""
        unit = self._units.get(name)
        if unit is None or unit.round is None or not message.correlation or message.correlation != unit.correlation:
            return False
        now_ns = self._clock.monotonic_ns()
        try:
            if "index" in message.user:
                self._block(unit, unit.round, message, now_ns)
            else:
                self._read_answer(unit, unit.round, message.payload, now_ns)
        except (Refusal, ValueError, RecursionError) as error:
            code = getattr(error, "code", "no_answer")
            self._complain(name, f"index_refused: {code:.64}: {error!s:.200}; requested again")
            self._end(unit, now_ns, failed=True)
        except OSError as error:
            self._end_failed_round(unit, error, now_ns)
        return True

    def restart(self, name: str) -> None:
        """Forgets the unit's requests of an earlier session."""
        if (unit := self._units.get(name)) is not None:
            self._drop(unit)
            unit.pause_s = unit.next_ns = 0

    def lost_connection(self) -> None:
        for unit in self._units.values():
            self._drop(unit)

    def remove_expired(self, db: Connection) -> None:
        """At intervals removes the segments of days without calls. OSError: the folder cannot be used."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._tidy_ns:
            return
        self._tidy_ns = now_ns + TIDY_EVERY_S * NS_PER_S
        for name in filter(self._share.has, indexfolder.units_with_index(self._root)):
            known = self._units.get(name)
            folder = IndexFolder(self._root, name) if known is None else known.folder
            try:
                self._remove_expired_of(db, folder)
            except OSError as error:
                if not self._is_of_one(error):
                    raise
                self._complain(name, f"index_waits: {error!s:.200}; it is tried again later")

    def _remove_expired_of(self, db: Connection, folder: IndexFolder) -> None:
        over = indexfolder.over(db, folder, self._signers.now(), self._clock.utc_ns(), self._zone)
        for segment in list(over):
            folder.remove(segment)
            log.info("index_removed: %s %s: its retention has ended", folder.unit, segment)

    # --- requests ------------------------------------------------------------------------------------------------

    def _begin_window(self, unit: _Unit, body: dict[str, str], now_ns: int) -> Request:
        unit.correlation = secrets.token_bytes(_CORRELATION_BYTES)
        unit.window_ns = unit.answered_ns = now_ns
        unit.received_bytes = 0
        return unit.folder.unit, body, unit.correlation

    def _request_next(self, unit: _Unit, now_ns: int) -> Iterator[Request]:
        """Requests the next window of the list or its segments, or ends the round."""
        transfer = unit.round
        if transfer is None or transfer.head is None or unit.correlation or now_ns < unit.next_ns:
            return
        rate = self._kbit_s
        limit = MOST_BYTES if rate is None else min(MOST_BYTES, max(BLOCK_BYTES, rate * 125 * _AT_A_TIME_S))
        if transfer.index is None:
            first = len(unit.parts.get(LIST, b""))
            unit.window = {LIST: (transfer.head.size, transfer.head.sha256)}
            unit.window_bytes = min(limit, transfer.head.size - first)
            yield self._window(unit, LIST, first, now_ns)
            return
        for _ in range(min(LOOKED_AT, len(transfer.todo))):
            if not unit.folder.has(transfer.todo[0]):
                break
            transfer.todo.popleft()
        else:
            if not transfer.todo:
                self._finish(unit, transfer, now_ns)
            return
        window, remaining = dict[str, tuple[int, str]](), limit
        for place, segment in enumerate(transfer.todo):  # a window has its segments in the order of their names
            if remaining <= 0 or (place and unit.folder.has(segment)):
                break
            window[segment.file] = segment.size, segment.sha256
            remaining -= segment.size
        name = next(iter(window))
        first = len(unit.parts.get(name, b""))
        unit.window, unit.parts = window, {name: unit.parts[name]} if first else {}
        unit.window_bytes = min(limit, sum(size for size, _ in window.values()) - first)
        yield self._window(unit, name, first, now_ns)

    def _window(self, unit: _Unit, name: str, first: int, now_ns: int) -> Request:
        return self._begin_window(unit, IndexWindow(file=name, first=first, most=unit.window_bytes).body(), now_ns)

    # --- receiving -----------------------------------------------------------------------------------------------

    def _read_answer(self, unit: _Unit, transfer: _Round, payload: bytes, now_ns: int) -> None:
        answer = strict.decode(payload[:ANSWER_LIMIT_BYTES], Answer)
        if not answer.done:
            raise BadList(f"{answer.code}: {answer.text}")
        if transfer.head is not None:
            return  # the unit permits the window: its blocks follow
        unit.correlation = b""
        if answer.listed is None:
            self._end(unit, now_ns)
            unit.next_ns = now_ns + LATER_S * NS_PER_S
            return
        head = indexhead.check_head(answer.listed, unit.folder.unit, self._signers.now())
        if unit.newest is not None and indexhead.is_older(head, unit.newest):
            raise BadList(f"its list is of {head.at}, and there was one of {unit.newest.at}")
        transfer.head, transfer.signed = head, answer.listed
        if head.sha256 == unit.complete:
            self._finish(unit, transfer, now_ns)

    def _block(self, unit: _Unit, now: _Round, message: Arrived, now_ns: int) -> None:
        user, data = message.user, message.payload
        name = user["index"]
        part = unit.parts.setdefault(name, bytearray()) if name in unit.window else bytearray()
        unit.received_bytes += len(data)
        unit.answered_ns = now_ns
        if len(data) <= BLOCK_BYTES and name in unit.window and user.get("offset") == str(len(part)) and data:
            size, sha256 = unit.window[name]
            part += data
            if len(part) >= size or user.get("total") != str(size):
                del unit.window[name], unit.parts[name]
                self._process_file(unit, now, name, bytes(part), sha256)
        if not unit.window or unit.received_bytes >= unit.window_bytes:
            unit.correlation = b""
            unit.pause_s = 0
            if self._kbit_s:
                unit.next_ns = unit.window_ns + unit.received_bytes * 8 * NS_PER_MS // self._kbit_s

    def _process_file(self, unit: _Unit, now: _Round, name: str, data: bytes, sha256: str) -> None:
        """Processes a complete file, which may differ from the wanted one."""
        if name == LIST:
            assert now.head is not None
            now.index, now.data = indexhead.read(data, now.head), data
            now.todo = deque(now.index.segments)
            if unit.newest is None and now.signed is not None:  # all segments are missing until the first round ends
                unit.folder.put_list(now.head, now.signed, data)
            return
        if indexhead.digest(data) == sha256:
            try:
                unit.folder.put(name, data)
                return
            except OSError as error:  # something else in its place: the other segments are stored
                if not self._is_of_one(error):
                    raise
        now.changed = True
        now.todo = deque(each for each in now.todo if each.file != name)

    # --- the end of a round --------------------------------------------------------------------------------------

    def _finish(self, unit: _Unit, now: _Round, now_ns: int) -> None:
        """Stores the list after its segments, so that each listed segment exists."""
        assert now.head is not None
        assert now.signed is not None
        if not now.changed:
            unit.folder.put_list(now.head, now.signed, now.data)
            unit.newest, unit.complete = now.head, now.head.sha256
            unit.pause_s = 0
        self._end(unit, now_ns, failed=now.changed)

    def _end(self, unit: _Unit, now_ns: int, failed: bool = False) -> None:
        self._drop(unit)
        unit.next_ns = now_ns + self._every_s * NS_PER_S
        if failed:
            unit.pause_s = min(max(PAUSE_S[0], 2 * unit.pause_s), LONGEST_PAUSE_S)
            unit.next_ns = now_ns + unit.pause_s * NS_PER_S

    def _drop(self, unit: _Unit) -> None:
        unit.round, unit.correlation, unit.window, unit.parts = None, b"", {}, {}

    def _stalled(self, unit: _Unit, now_ns: int) -> None:
        """Ends the round after STALL_S without a block. Stored segments are kept."""
        if unit.correlation and now_ns - unit.answered_ns >= STALL_S * NS_PER_S:
            self._complain(unit.folder.unit, "index_stalled: no data arrives; the request is repeated")
            self._end(unit, now_ns, failed=True)

    def _end_failed_round(self, unit: _Unit, error: OSError, now_ns: int) -> None:
        """Ends the round of a unit whose folder is at fault. Raises the error if it is the store's."""
        if not self._is_of_one(error):
            raise error
        self._complain(unit.folder.unit, f"index_waits: {error!s:.200}; requested again later")
        self._end(unit, now_ns, failed=True)

    def _unit(self, name: str) -> _Unit:
        unit = self._units.get(name)
        if unit is None:
            unit = self._units[name] = _Unit(IndexFolder(self._root, name))
            with contextlib.suppress(OSError):  # a folder that cannot be listed takes no list either
                if known := unit.folder.lists(self._signers.now()):
                    unit.newest = known[-1][0]  # its segments are compared with the next list
        return unit
