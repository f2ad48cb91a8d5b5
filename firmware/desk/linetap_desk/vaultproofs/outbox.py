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
from linetap_desk.vaultproofs.logclaims import LogClaims

FOLDER = "outbox"
_UndatedEvent = tuple[int, PublicKey, datetime]  # number, signer, time of its clock
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
    def __init__(self, folder: Path, unit: str, signers: list[Signer] | None, claims: LogClaims) -> None:
        self._folder, self._unit, self._signers, self._claims = folder, unit, signers, claims
        self._last_seq = 0
        self._last_sha256: str | None = None
        self._reported_calls: set[str] = set()  # calls with an event after the last close's
        self.first_seq = 0
        self.undated_seqs: list[int] = []  # events of unknown time, available after `notes`
        self._undated: list[_UndatedEvent] = []  # no dated event follows yet
        self._trusted_by_next: list[_UndatedEvent] = []
        self._doubtful: list[_UndatedEvent] = []  # not valid at the time of the next dated event
        self._seq_before_vault = 0  # number before this vault's first event
        self._last_dropped_seq = 0  # the unit dropped events up to this one, for lack of space

    def problems(self, names: list[str]) -> Iterator[tuple[str, Problem]]:
        """Problems of these segments, in order, each with its file."""
        for name in sorted(names):
            try:
                data = callfolder.read(self._folder / name, _LIMIT_BYTES)
                for problem in self._check_segment(name, data):
                    yield f"{FOLDER}/{name}", problem
            except Refusal as error:
                yield f"{FOLDER}/{name}", Problem(error.code, str(error))
        yield from ((FOLDER, problem) for problem in self._completeness_problems(bool(names)))

    def _check_segment(self, name: str, data: bytes) -> Iterator[Problem]:
        frames = list(outboxfiles.scan(data))
        if b"".join(_encoded_frame(frame) for frame in frames) != data or not frames:
            yield Problem(
                "outbox_damaged", "holds what is no event, or ends within one; the recorder's start mends its end"
            )
            return
        if name != outboxfiles.name_of(frames[0].entry.seq):
            yield Problem("outbox_name", f"begins with event {frames[0].entry.seq}")
        for frame in frames:
            yield from self._check_event(frame.entry)

    def _check_event(self, entry: outboxfiles.Entry) -> Iterator[Problem]:
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
        self.first_seq = self.first_seq or entry.seq
        if not event.vault or vaultname.NAME.fullmatch(event.vault):
            self._seq_before_vault = vaultname.first_seq(event.vault) - 1
        if (event.seq, event.unit) != (entry.seq, self._unit) or (
            event.origin and event.origin != keys.fingerprint(key)
        ):
            yield Problem("outbox_event", f"event {entry.seq} contains {event.seq} of {event.unit}, or another key")
        is_chain_restart = event.event == "dropped" and event.prev == GENESIS and event.to_seq == entry.seq - 1
        if is_chain_restart:  # the unit's signed statement that the end was damaged
            yield Problem(
                "outbox_lost", f"events {event.from_seq} to {event.to_seq} were lost, by the unit's own statement"
            )
        elif self._last_seq and entry.seq != self._last_seq + 1:
            yield Problem("outbox_gap", f"event {self._last_seq} is followed by {entry.seq}")
        elif event.prev != (self._last_sha256 or GENESIS) and (
            self._last_sha256 is not None or entry.seq == self._seq_before_vault + 1
        ):
            yield Problem("outbox_chain", f"event {entry.seq} does not name the one before it")
        self._last_seq, self._last_sha256 = entry.seq, hashlib.sha256(payload).hexdigest()
        if event.event == "dropped":
            self._last_dropped_seq = max(self._last_dropped_seq, event.to_seq)
        last_close = self._claims.last_close
        if last_close is not None and entry.seq > last_close[1] and event.call_id is not None:
            self._reported_calls.add(event.call_id)

    def notes(self) -> Iterator[str]:
        """The judgement of events whose clock was before the first version of linetap."""
        self._doubtful += self._undated
        self._undated = []
        self.undated_seqs = [seq for seq, key, at in self._doubtful if not self._is_trusted(key, at, None)]
        counts = {
            "the next event's time": len(self._trusted_by_next), "now": len(self._doubtful) - len(self.undated_seqs),
        }  # fmt: skip
        for basis, count in counts.items():
            if count:
                yield f"{count} events of an unset clock: their key is judged as of {basis}"
        if self.undated_seqs:
            text = "of an unset clock, by a key that does not count now: their time is unknown"
            yield f"{len(self.undated_seqs)} events {text}, the first is {self.undated_seqs[0]} [{SignerUndated.code}]"

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
            for undated in self._undated:
                (self._trusted_by_next if self._is_trusted(undated[1], undated[2], at) else self._doubtful).append(
                    undated
                )
            self._undated = []

    def _is_trusted(self, key: PublicKey, at: datetime, existed_at: datetime | None) -> bool:
        assert self._signers is not None
        try:
            require_trust(key, namespaces.EVENT, self._signers, self._unit, at, existed_at)
        except SignerUndated:
            return False
        return True

    def _completeness_problems(self, has_segments: bool) -> Iterator[Problem]:
        """Problems unless the end is complete, and at the beginning only confirmed events are missing."""
        if self._last_seq < self._claims.seq:
            yield Problem("outbox_short", f"the log has event {self._claims.seq}, the newest here is {self._last_seq}")
        elif self._claims.last_close is not None and self._claims.last_close[0] not in self._reported_calls:
            yield Problem("outbox_short", f"{self._claims.last_close[0]} was sealed, and there is no event of it")
        if has_segments and self.first_seq - 1 > max(
            self._seq_before_vault, self._last_dropped_seq, self._last_removable_seq()
        ):
            yield Problem(
                "outbox_gap", f"begins with event {self.first_seq}, and no earlier one was confirmed or given up"
            )

    def _last_removable_seq(self) -> int:
        """The last event that the unit may have removed, by its own unsigned statement. The desk has these events."""
        try:
            confirmed = CONFIRMED_FILE.decode(callfolder.read(self._folder / CONFIRMED, 4096))
        except (Refusal, ValueError, RecursionError):
            return 0
        return max(confirmed.through, confirmed.lost.last if confirmed.lost is not None else 0)


def _encoded_frame(frame: outboxfiles.Frame) -> bytes:
    line = outboxfiles.encode(frame.entry)
    return line[: -len(outboxfiles.OPEN)] + (outboxfiles.COMMITTED if frame.committed else outboxfiles.OPEN)
