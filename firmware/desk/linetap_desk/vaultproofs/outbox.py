# SPDX-License-Identifier: Apache-2.0
"""Checks the outbox of a vault: every event is signed by the unit and names its predecessor, and none is missing at the
end.

The unit removes the first files once the desk has confirmed their events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer, SignerUndated, has_times, is_undated, require_trust
from linetap_core.vaultformat import outboxfiles, vaultname
from linetap_core.vaultformat.outboxfiles import CONFIRMED, CONFIRMED_FILE, GENESIS, SEGMENT_BYTES
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.verdict import Problem
from linetap_desk.vaultproofs.documents import LogClaims

FOLDER = "outbox"
_Undated = tuple[int, PublicKey, datetime]  # number, signer, time of its clock
_LIMIT_BYTES = 2 * SEGMENT_BYTES[1]


class _Event(msgspec.Struct):
    """The fields checked here; the desk judges the content."""

    seq: int
    at: str
    unit: str
    prev: str = ""
    origin: str = ""
    call_id: str | None = None
    vault: str = ""
    event: str = ""
    from_seq: int = msgspec.field(default=0, name="from")
    to_seq: int = msgspec.field(default=0, name="to")


class OutboxCheck:
    def __init__(self, folder: Path, unit: str, signers: list[Signer] | None, named: LogClaims) -> None:
        self._folder, self._unit, self._signers, self._named = folder, unit, signers, named
        self._seq = 0
        self._prev: str | None = None
        self._reported: set[str] = set()  # calls with an event after the last close's
        self.first = 0
        self.unknown: list[int] = []  # events of unknown time, available after `notes`
        self._undated: list[_Undated] = []  # no dated event follows yet
        self._by_next: list[_Undated] = []
        self._late: list[_Undated] = []  # not valid at the time of the next dated event
        self._before = 0  # number before this vault's first event
        self._dropped = 0  # the unit dropped events up to this one, for lack of space

    def problems(self, names: list[str]) -> Iterator[tuple[str, Problem]]:
        """Problems of these segments, in order, each with its file."""
        for name in sorted(names):
            try:
                data = callfolder.read(self._folder / name, _LIMIT_BYTES)
                for problem in self._segment(name, data):
                    yield f"{FOLDER}/{name}", problem
            except Refusal as error:
                yield f"{FOLDER}/{name}", Problem(error.code, str(error))
        yield from ((FOLDER, problem) for problem in self._completeness_problems(bool(names)))

    def _segment(self, name: str, data: bytes) -> Iterator[Problem]:
        frames = list(outboxfiles.scan(data))
        if b"".join(_spelled(frame) for frame in frames) != data or not frames:
            yield Problem(
                "outbox_damaged", "holds what is no event, or ends within one; the recorder's start mends its end"
            )
            return
        if name != outboxfiles.name_of(frames[0].entry.seq):
            yield Problem("outbox_name", f"begins with event {frames[0].entry.seq}")
        for frame in frames:
            yield from self._event(frame.entry)

    def _event(self, entry: outboxfiles.Entry) -> Iterator[Problem]:
        payload = entry.payload.encode("utf-8")
        try:
            event = strict.decode(payload, _Event)
            at = from_utc_ns(parse_rfc3339(event.at))
            key = sshsig.check(payload, entry.sig.encode("utf-8"), namespaces.EVENT)
            if self._signers is not None:
                self._require_trust(entry.seq, key, at)
        except (ValueError, RecursionError) as error:
            yield Problem("outbox_damaged", f"event {entry.seq}: {error}")
            return
        except Refusal as error:
            yield Problem(error.code, f"event {entry.seq}: {error}")
            return
        self.first = self.first or entry.seq
        if not event.vault or vaultname.NAME.fullmatch(event.vault):
            self._before = vaultname.first_seq(event.vault) - 1
        if (event.seq, event.unit) != (entry.seq, self._unit) or (
            event.origin and event.origin != keys.fingerprint(key)
        ):
            yield Problem("outbox_event", f"event {entry.seq} contains {event.seq} of {event.unit}, or another key")
        begins_anew = event.event == "dropped" and event.prev == GENESIS and event.to_seq == entry.seq - 1
        if begins_anew:  # the unit's signed statement that the end was damaged
            yield Problem(
                "outbox_lost", f"events {event.from_seq} to {event.to_seq} were lost, by the unit's own statement"
            )
        elif self._seq and entry.seq != self._seq + 1:
            yield Problem("outbox_gap", f"event {self._seq} is followed by {entry.seq}")
        elif event.prev != (self._prev or GENESIS) and (self._prev is not None or entry.seq == self._before + 1):
            yield Problem("outbox_chain", f"event {entry.seq} does not name the one before it")
        self._seq, self._prev = entry.seq, hashlib.sha256(payload).hexdigest()
        if event.event == "dropped":
            self._dropped = max(self._dropped, event.to_seq)
        last = self._named.last_close
        if last is not None and entry.seq > last[1] and event.call_id is not None:
            self._reported.add(event.call_id)

    def notes(self) -> Iterator[str]:
        """The judgement of events whose clock was before the first version of linetap."""
        self._late += self._undated
        self._undated = []
        self.unknown = [seq for seq, key, at in self._late if not self._counts(key, at, None)]
        counts = {
            "the next event's time": len(self._by_next), "now": len(self._late) - len(self.unknown),
        }  # fmt: skip
        for whose, count in counts.items():
            if count:
                yield f"{count} events of an unset clock: their key is judged as of {whose}"
        if self.unknown:
            text = "of an unset clock, by a key that does not count now: their time is unknown"
            yield f"{len(self.unknown)} events {text}, the first is {self.unknown[0]} [{SignerUndated.code}]"

    def _require_trust(self, seq: int, key: PublicKey, at: datetime) -> None:
        """Requires a trusted signer. An event with an unset clock is judged at the time of the next dated event, which
        names its hash: it existed by then."""
        assert self._signers is not None
        if is_undated(at) and has_times(key, self._signers):
            with suppress(SignerUndated):
                require_trust(key, namespaces.EVENT, self._signers, self._unit, at)
            self._undated.append((seq, key, at))
            return
        require_trust(key, namespaces.EVENT, self._signers, self._unit, at)
        if not is_undated(at):
            for each in self._undated:
                (self._by_next if self._counts(each[1], each[2], at) else self._late).append(each)
            self._undated = []

    def _counts(self, key: PublicKey, at: datetime, seen: datetime | None) -> bool:
        assert self._signers is not None
        try:
            require_trust(key, namespaces.EVENT, self._signers, self._unit, at, seen)
        except SignerUndated:
            return False
        return True

    def _completeness_problems(self, any_there: bool) -> Iterator[Problem]:
        """Problems unless the end is complete, and at the beginning only confirmed events are missing."""
        if self._seq < self._named.seq:
            yield Problem("outbox_short", f"the log has event {self._named.seq}, the newest here is {self._seq}")
        elif self._named.last_close is not None and self._named.last_close[0] not in self._reported:
            yield Problem("outbox_short", f"{self._named.last_close[0]} was sealed, and there is no event of it")
        if any_there and self.first - 1 > max(self._before, self._dropped, self._last_removable_seq()):
            yield Problem("outbox_gap", f"begins with event {self.first}, and no earlier one was confirmed or given up")

    def _last_removable_seq(self) -> int:
        """The last event that the unit may have removed, by its own unsigned statement. The desk has these events."""
        try:
            found = CONFIRMED_FILE.decode(callfolder.read(self._folder / CONFIRMED, 4096))
        except (Refusal, ValueError, RecursionError):
            return 0
        return max(found.through, found.lost.last if found.lost is not None else 0)


def _spelled(frame: outboxfiles.Frame) -> bytes:
    line = outboxfiles.encode(frame.entry)
    return line[: -len(outboxfiles.OPEN)] + (outboxfiles.COMMITTED if frame.committed else outboxfiles.OPEN)
