# SPDX-License-Identifier: Apache-2.0
"""Verifies a payload of the `call` topic. Pure: no database, no network, no file.

The signature is checked before anything is parsed, so that only named units reach the parser. Then the event must
belong to the unit of its topic and to the key that signed it, and must fit the chain: its `prev` is the hash of the
preceding event, and its own hash the `prev` of the following one, as far as the two are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.clock import LATEST_NS, NS_PER_S, from_utc_ns, parse_rfc3339
from linetap_core.evidence.digest import Sha256
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer, require_trust
from linetap_core.evidence.signing.sshsig import SignatureFault, armored
from linetap_core.vaultformat import vaultname
from linetap_core.vaultformat.outboxfiles import GENESIS
from linetap_desk.ingest.vaults import chain_name

LIMIT_BYTES = 64 << 10  # of a payload; typical ones have about 700
LATE_S = 60  # an event received this much after its own time is marked as late

Kind = Literal["good", "hole", "double", "out_of_chain", "bad_signature", "bad_payload"]
SEQ_TAKEN = "seq_taken"  # two signed events with the same number
STORED: tuple[Kind, ...] = ("good", "hole")

# No control characters: PostgreSQL accepts no NUL in a text, and no field needs the others.
_Text = Annotated[str, Meta(max_length=500, pattern=r"\A[^\x00-\x1f]*\Z")]
_Document = Annotated[str, Meta(max_length=4096, pattern=r"\A[^\x00-\x1f]*\Z")]
_Name = Annotated[str, Meta(max_length=64, pattern=r"\A[^\x00-\x1f]*\Z")]
_Seq = Annotated[int, Meta(ge=1, lt=1 << 62)]


@dataclass(frozen=True, slots=True)
class Report:
    """A publication as received: `unit` from its topic, `sig` from its property, the time of receipt in UTC."""

    unit: str
    payload: bytes
    sig: str
    received_ns: int


class ChainFields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that the chain requires; a payload without them is not an event."""

    seq: _Seq
    event: _Name
    at: _Name
    unit: _Name
    origin: _Name
    prev: Sha256
    vault: Annotated[str, Meta(pattern=r"\A([0-9a-f]{16})?\Z")] = ""


class EventFields(ChainFields, frozen=True, kw_only=True):
    """A CallEvent as the desk decodes it. Kinds and fields of later versions are accepted."""

    call_id: _Name | None = None
    line: Annotated[int, Meta(ge=1, lt=1 << 31)] | None = None
    direction: _Name | None = None
    disposition: _Name | None = None
    why: _Text | None = None
    duration_s: float | None = None
    notice: _Name | None = None
    mark: _Name | None = None
    situation: _Name | None = None
    seen_by: _Name | None = None
    proof: _Name | None = None
    steps: tuple[_Name, ...] = ()
    gaps_ms: float | None = None
    record_sha256: _Name | None = None
    amendment: _Document | None = None
    amendment_sig: _Document | None = None
    from_seq: _Seq | None = msgspec.field(default=None, name="from")
    to_seq: _Seq | None = msgspec.field(default=None, name="to")
    rebuilt: bool = False
    began_at: _Name | None = None
    answered_at: _Name | None = None
    ended_at: _Name | None = None
    number: Annotated[int, Meta(ge=1, lt=1 << 31)] | None = None
    before: _Name | None = None

    @property
    def chain(self) -> str:
        """The chain's name in the tables."""
        return chain_name(self.origin, self.vault)


@dataclass(frozen=True, slots=True)
class Event:
    """A signed event of a named unit, not yet compared with its chain (`check_chain`). `at_ns`: its own time, or the
    time of receipt if it has none that can be used."""

    fields: EventFields
    sha256: str
    at_ns: int
    report: Report


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The fields of a stored event against which the preceding and following events are checked."""

    sha256: str
    prev: str


@dataclass(frozen=True, slots=True)
class EventVerdict:
    """`code` and `text` name the fault; both are empty for a good event."""

    kind: Kind
    code: str = ""
    text: str = ""


def judge_event(report: Report, signers: list[Signer]) -> Event | EventVerdict:
    """The event, or the fault of an invalid report. The signer must be trusted at the event's own time, as for a
    record."""
    if len(report.payload) > LIMIT_BYTES:
        return EventVerdict("bad_payload", "payload_too_large", f"{len(report.payload)} bytes, {LIMIT_BYTES} at most")
    try:
        key = sshsig.check(report.payload, armored(report.sig).encode("utf-8"), namespaces.EVENT)
    except SignatureFault as fault:
        return EventVerdict("bad_signature", fault.code, str(fault))
    try:
        parts = event_fields(report.payload)
    except (ValueError, RecursionError) as error:
        return EventVerdict("bad_payload", "payload_malformed", f"not an event: {error}")
    at_ns = time_ns(parts.at)
    at_ns = report.received_ns if at_ns is None else at_ns
    event = Event(parts, hashlib.sha256(report.payload).hexdigest(), at_ns, report)
    return _trust_verdict(event, key, signers) or event


def check_chain(event: Event, stored: Mapping[int, Neighbour]) -> EventVerdict:
    """Checks an event against the stored events of its chain. `stored`: its neighbours and itself, by seq."""
    seq, prev = event.fields.seq, event.fields.prev
    if (double := stored.get(seq)) is not None:
        if double.sha256 == event.sha256:
            return EventVerdict("double")
        return EventVerdict("out_of_chain", SEQ_TAKEN, f"another event has number {seq} already")
    predecessor, successor = stored.get(seq - 1), stored.get(seq + 1)
    required_prev = (
        GENESIS if seq == vaultname.first_seq(event.fields.vault) else predecessor.sha256 if predecessor else None
    )
    if _begins_anew(event.fields):
        required_prev = GENESIS
    if required_prev is not None and prev != required_prev:
        return EventVerdict("out_of_chain", "chain_broken", f"its prev is not the hash of event {seq - 1}")
    if successor is not None and successor.prev != event.sha256:
        return EventVerdict("out_of_chain", "chain_broken", f"its hash is not the prev of event {seq + 1}")
    return EventVerdict("hole" if required_prev is None else "good")


def _begins_anew(fields: EventFields) -> bool:
    """Whether the unit's disk lost the preceding events, by the signed `dropped`."""
    return fields.event == "dropped" and fields.prev == GENESIS and fields.to_seq == fields.seq - 1


def is_late(event: Event, newest_seq: int) -> bool:
    """Whether later events arrived first, or the event arrived long after its own time."""
    behind_ns = event.report.received_ns - event.at_ns
    return event.fields.seq < newest_seq or behind_ns > LATE_S * NS_PER_S


def event_fields(payload: bytes) -> EventFields:
    """The event without unusable fields: a refused event would leave a permanent gap. ValueError if the fields of
    `ChainFields` are unusable."""
    try:
        return jsontext.decode(payload, type=EventFields)
    except msgspec.ValidationError:
        return EventFields(**msgspec.structs.asdict(jsontext.decode(payload, type=ChainFields)))


def time_ns(text: str) -> int | None:
    """The time that a unit states; None if it is no time or not before LATEST_NS."""
    try:
        found = parse_rfc3339(text)
    except (ValueError, OverflowError):
        return None
    return found if found < LATEST_NS else None


def _trust_verdict(event: Event, key: PublicKey, signers: list[Signer]) -> EventVerdict | None:
    fields, unit = event.fields, event.report.unit
    if fields.unit != unit:
        return EventVerdict("bad_payload", "payload_unit", f"it names unit {fields.unit!r} and came under {unit!r}")
    if fields.origin != keys.fingerprint(key):
        return EventVerdict("bad_payload", "payload_origin", f"it names key {fields.origin!r}, and another has signed")
    if not vaultname.is_of(fields.vault, fields.seq):
        return EventVerdict("bad_payload", "payload_vault", f"vault {fields.vault or '-'} has no event {fields.seq}")
    try:
        came = from_utc_ns(event.report.received_ns)
        require_trust(key, namespaces.EVENT, signers, unit, from_utc_ns(event.at_ns), seen=came)
    except SignatureFault as fault:
        return EventVerdict("bad_signature", fault.code, str(fault))
    return None
