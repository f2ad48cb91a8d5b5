# SPDX-License-Identifier: Apache-2.0
"""For every copied call, the proof that its unit's log closes it (evidence/merklelog/closing.py): asked for, checked.

One of a unit at a time, apart from the copies: a unit of an earlier version has none to give, and is copied as before.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator

from sqlalchemy import Connection

from linetap_core.broker.connection import Arrived
from linetap_core.clock import Clock
from linetap_core.errors import Refusal
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.fetch import Close
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import Closing
from linetap_desk import foreign
from linetap_desk.copy import worklist
from linetap_desk.copy.asking import Asking
from linetap_desk.copy.incoming import Call
from linetap_desk.ingest.confirm import ANSWER_LIMIT_BYTES
from linetap_desk.ingest.signersfile import SignersFile

_CORRELATION_BYTES = 12


class Closings:
    """`complain`: unit and what is wrong with it."""

    def __init__(
        self, signers: SignersFile, most_units: int, complain: Callable[[str, str], None], clock: Clock
    ) -> None:
        self._signers, self._most_units, self._complain, self._clock = signers, most_units, complain, clock
        self._units: dict[str, Asking] = {}
        self._calls: dict[str, Call] = {}  # unit -> the one that it is being asked for

    def look(self, db: Connection, under_way: Callable[[str], Collection[str]]) -> Iterator[tuple[Close, str, bytes]]:
        """What to ask for now: of which unit, and with which correlation data. `under_way`: calls of a unit that are
        with the store."""
        now_ns = self._clock.monotonic_ns()
        for asking in self._units.values():
            asking.stalled(now_ns)
        room = self._most_units - sum(bool(asking.correlation) for asking in self._units.values())
        # In turn: those that were asked last stand behind the others.
        for unit in sorted(worklist.units_unclosed(db), key=lambda unit: self._asking(unit).asked_ns):
            asking = self._asking(unit)
            if room <= 0 or asking.correlation or now_ns < asking.next_ns:
                continue
            call = worklist.next_unclosed(db, unit, asking.passed_over(now_ns) | set(under_way(unit)))
            if call is not None:
                room -= 1
                self._calls[unit], asking.correlation = call, secrets.token_bytes(_CORRELATION_BYTES)
                asking.asked_ns = asking.heard_ns = now_ns
                yield Close(call_id=call.call_id, record_sha256=call.record_sha256), unit, asking.correlation

    def arrived(self, unit: str, message: Arrived) -> tuple[Call, Closing] | None:
        """Of `reply/fetch`: the call and its closing, if this is what was asked for, and it is proved."""
        asking = self._units.get(unit)
        if asking is None or not message.correlation or message.correlation != asking.correlation:
            return None
        call, now_ns, asking.correlation = self._calls[unit], self._clock.monotonic_ns(), b""
        try:
            answer = foreign.decode(message.payload[:ANSWER_LIMIT_BYTES], Answer)
            if answer.closing is None:
                raise closing.NotClosed(answer.code, answer.text)
            closing.check(answer.closing, call.unit, call.call_id, call.record_sha256, self._signers.now())
        except (Refusal, ValueError, RecursionError) as error:
            self._complain(unit, f"close_refused: {getattr(error, 'code', 'no_answer'):.64}: {error!s:.200}")
            asking.put_aside(call.call_id, now_ns)
            asking.pause(now_ns)  # an earlier version, or a new vault, says the same of all its calls
            return None
        asking.pause_s = 0
        return call, answer.closing

    def begin_anew(self, unit: str) -> None:
        """There is nobody any more who would answer; and who is there now may be of a version that has it to give."""
        if unit in self._units:
            self._units[unit].begin_anew()
            self._units[unit].aside.clear()

    def lost_connection(self) -> None:
        for asking in self._units.values():
            asking.correlation = b""

    def _asking(self, unit: str) -> Asking:
        return self._units.setdefault(unit, Asking(unit))
