# SPDX-License-Identifier: Apache-2.0
"""Requests calls from one unit, in windows at the hour's rate, with pauses if it does not answer; and requests the
proofs that its log closes the calls.

By day the unit's line carries its reports; at night there is capacity. The proof of a close
(evidence/merklelog/closing.py) is requested for one call of a unit at a time, independently of the copies: a unit of an
earlier version cannot give it, but its calls are copied.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import time
from typing import Self
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from linetap_core.broker.connection import Arrived
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.fetch import BLOCK_BYTES, MOST_BYTES, Close, Window
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import Closing
from linetap_core.zones import local_time, zone_of
from linetap_desk.copy import worklist
from linetap_desk.copy.incoming import Call, Incoming
from linetap_desk.ingest.confirm import ANSWER_LIMIT_BYTES
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.inputs import strict

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Hours:
    """Rates in kbit/s for one unit; None: unlimited; 0: paused. The night may cross midnight."""

    begin: time
    end: time
    zone: ZoneInfo
    day: int | None
    night: int | None

    @classmethod
    def parse(cls, text: str, zone: str, day: int | None, night: int | None) -> Self:
        """The parsed hours. BadInput for invalid hours or an unknown zone."""
        hours = _HOURS.fullmatch(text)
        if hours is None or hours.group(1, 2) == hours.group(3, 4):
            raise BadInput(f"copy.night {text!r}: 20:00-06:00 expected")
        try:
            zone_info = zone_of(zone)
        except (ValueError, KeyError, OSError):
            raise BadInput(f"copy.zone {zone!r}: a zone as Asia/Seoul expected") from None
        begin, end = time(int(hours[1]), int(hours[2])), time(int(hours[3]), int(hours[4]))
        return cls(begin, end, zone_info, day, night)

    def kbit_s(self, utc_ns: int) -> int | None:
        now = local_time(utc_ns, self.zone).time()
        if self.begin < self.end:
            return self.night if self.begin <= now < self.end else self.day
        return self.day if self.end <= now < self.begin else self.night


STALL_S = 30  # repeat the request after this time without a block
PAUSE_S = (5, 900)  # for a silent unit: the first pause, doubled up to the longest
POSTPONE_S = (60, 21_600)  # for a call that the unit refuses, or with other bytes than the sealed ones
MOST_POSTPONED = 1000  # calls of a unit
_AT_A_TIME_S = 2  # seconds of the rate in one window
_CORRELATION_BYTES = 12


@dataclass(slots=True)
class Transfer:
    """The transfer in progress with a unit; it outlives its calls, and is idle between them. Times are monotonic ns."""

    unit: str
    incoming: Incoming | None = None
    correlation: bytes = b""  # of the requested window; empty: none
    received_bytes: int = 0  # of the window
    window_bytes: int = 0
    asked_ns: int = 0
    answered_ns: int = 0
    next_ns: int = 0  # no request before this time
    pause_s: int = 0
    status: bytes = b""  # the last received status
    postponed: dict[str, tuple[int, int]] = field(default_factory=dict)  # call -> postponed until, and for how long

    def window(self, now_ns: int, kbit_s: int | None) -> Window | None:
        """The next window to request, if any is due."""
        if self.incoming is None or self.correlation or now_ns < self.next_ns or kbit_s == 0:
            return None
        place = self.incoming.place
        if place is None:
            return None
        self.window_bytes = MOST_BYTES
        if kbit_s is not None:
            self.window_bytes = min(MOST_BYTES, max(BLOCK_BYTES, kbit_s * 125 * _AT_A_TIME_S))
        self.correlation, self.received_bytes = secrets.token_bytes(_CORRELATION_BYTES), 0
        self.asked_ns = self.answered_ns = now_ns
        return Window(call_id=self.incoming.call.call_id, file=place[0], first=place[1], most=self.window_bytes)

    def count_received(self, count: int, now_ns: int, kbit_s: int | None) -> None:
        """Counts bytes of the window that were received and stored."""
        self.received_bytes += count
        self.answered_ns, self.pause_s = now_ns, 0
        if self.incoming is None or self.incoming.place is None or self.received_bytes >= self.window_bytes:
            self.correlation = b""
            if kbit_s:
                self.next_ns = self.asked_ns + self.received_bytes * 8 * NS_PER_MS // kbit_s

    def restart(self) -> None:
        """Forgets the requested window: the session of its sender has ended."""
        self.correlation, self.pause_s, self.next_ns = b"", 0, 0

    def stalled(self, now_ns: int) -> bool:
        """Whether no block arrived for STALL_S. If so, the window is dropped, and each next request is delayed
        longer."""
        if not self.correlation or now_ns - self.answered_ns < STALL_S * NS_PER_S:
            return False
        self.correlation = b""
        self.pause(now_ns)
        return True

    def pause(self, now_ns: int) -> None:
        """Doubles the pause up to its limit; a received block resets it."""
        self.pause_s = min(max(PAUSE_S[0], 2 * self.pause_s), PAUSE_S[1])
        self.next_ns = now_ns + self.pause_s * NS_PER_S

    def postpone(self, call_id: str, now_ns: int) -> None:
        """Ends the transfer and postpones its call, longer each time. The unit's other calls continue."""
        self.put_off(call_id, now_ns)
        self.incoming, self.correlation = None, b""

    def put_off(self, call_id: str, now_ns: int) -> None:
        """Postpones a call that is not under way."""
        for_s = min(max(POSTPONE_S[0], 4 * self.postponed.pop(call_id, (0, 0))[1]), POSTPONE_S[1])
        if len(self.postponed) >= MOST_POSTPONED:
            del self.postponed[next(iter(self.postponed))]
        self.postponed[call_id] = (now_ns + for_s * NS_PER_S, for_s)

    def skipped_calls(self, now_ns: int) -> set[str]:
        return {call_id for call_id, (until_ns, _) in self.postponed.items() if now_ns < until_ns}


class Closings:
    """The requests for closings. `complain` receives a unit and its fault."""

    def __init__(
        self,
        signers: SignersFile,
        most_units: int,
        complain: Callable[[str, str], None],
        clock: Clock,
        share: Share = ALL_UNITS,
    ) -> None:
        self._signers, self._most_units, self._complain, self._clock = signers, most_units, complain, clock
        self._share = share
        self._units: dict[str, Transfer] = {}
        self._calls: dict[str, Call] = {}  # unit -> the call in progress

    def due_requests(
        self, db: Connection, under_way: Callable[[str], Collection[str]]
    ) -> Iterator[tuple[Close, str, bytes]]:
        """The requests that are due, with unit and correlation data. `under_way`: a unit's calls that the store is
        processing."""
        now_ns = self._clock.monotonic_ns()
        for transfer in self._units.values():
            transfer.stalled(now_ns)
        room = self._most_units - sum(bool(transfer.correlation) for transfer in self._units.values())
        # In turn: units asked most recently come last.
        for unit in sorted(worklist.units_unclosed(db, self._share), key=lambda unit: self._transfer_of(unit).asked_ns):
            transfer = self._transfer_of(unit)
            if room <= 0 or transfer.correlation or now_ns < transfer.next_ns:
                continue
            call = worklist.next_unclosed(db, unit, transfer.skipped_calls(now_ns) | set(under_way(unit)))
            if call is not None:
                room -= 1
                self._calls[unit], transfer.correlation = call, secrets.token_bytes(_CORRELATION_BYTES)
                transfer.asked_ns = transfer.answered_ns = now_ns
                yield Close(call_id=call.call_id, record_sha256=call.record_sha256), unit, transfer.correlation

    def arrived(self, unit: str, message: Arrived) -> tuple[Call, Closing] | None:
        """Processes a message of `reply/fetch`; returns the call and its closing if it was requested and is valid."""
        transfer = self._units.get(unit)
        if transfer is None or not message.correlation or message.correlation != transfer.correlation:
            return None
        call, now_ns, transfer.correlation = self._calls[unit], self._clock.monotonic_ns(), b""
        try:
            answer = strict.decode(message.payload[:ANSWER_LIMIT_BYTES], Answer)
            if answer.closing is None:
                raise closing.NotClosed(answer.code, answer.text)
            closing.check(answer.closing, call.unit, call.call_id, call.record_sha256, self._signers.now())
        except (Refusal, ValueError, RecursionError) as error:
            self._complain(unit, f"close_refused: {getattr(error, 'code', 'no_answer'):.64}: {error!s:.200}")
            transfer.postpone(call.call_id, now_ns)
            transfer.pause(now_ns)  # a unit of an earlier version or with a new vault would refuse all calls
            return None
        transfer.pause_s = 0
        return call, answer.closing

    def put_off(self, call: Call) -> None:
        """Postpones the request for a closing that cannot be stored."""
        self._transfer_of(call.unit).put_off(call.call_id, self._clock.monotonic_ns())

    def restart(self, unit: str) -> None:
        """Forgets the unit's requests of an earlier session. A new version of the unit may support closings."""
        if unit in self._units:
            self._units[unit].restart()
            self._units[unit].postponed.clear()

    def lost_connection(self) -> None:
        for transfer in self._units.values():
            transfer.correlation = b""

    def _transfer_of(self, unit: str) -> Transfer:
        return self._units.setdefault(unit, Transfer(unit))
