# SPDX-License-Identifier: Apache-2.0
"""Reads the content of a bundle from its members only, both for packing and for checking."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import amendment, hold, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.calls.hold import Hold, Rewrap
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey
from linetap_core.evidence.merklelog import closing, leaflog, unitlog
from linetap_core.evidence.merklelog.closing import Inclusion
from linetap_core.evidence.merklelog.unitlog import Head
from linetap_core.evidence.sealing import group
from linetap_core.evidence.signing import document, namespaces, sshsig, unitnames
from linetap_core.evidence.signing.signers import is_undated
from linetap_core.evidence.witness import quorum, tlogproof
from linetap_core.evidence.witness.quorum import Policy
from linetap_core.evidence.witness.tlogproof import Proof
from linetap_core.records import PERSONAL_FIELDS, CallRecord
from linetap_desk.bundle import layout
from linetap_desk.bundle.container import BadBundle, Source
from linetap_desk.ceremony import certificate as certificates
from linetap_desk.ceremony.certificate import Certificate
from linetap_desk.inputs import strict
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES
from linetap_desk.witnessing.signedheads import PRINCIPAL, WITNESS_SUFFIX


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """bundle.json."""

    case: str
    format: int = layout.FORMAT
    texts: int = layout.TEXTS
    checker: int = layout.CHECKER_VERSION  # which the reports name


class _AnyFormat(msgspec.Struct):
    """The format of bundle.json, whose other fields it determines."""

    format: int


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature: its required signer (empty: any signer named for the namespace), and its time. `counted`: of a call
    by counted time, where its key was not valid at `at` by the unit's clock."""

    name: str
    signature: str
    namespace: str
    who: str
    at: datetime
    key: PublicKey
    counted: datetime | None = None


@dataclass(frozen=True, slots=True)
class Destroyed:
    """The certificates of a call's day. `is_closed`: too few officers have their keys, by the group that the call's key
    is sealed to; `signed`: by whom, which may be one person alone."""

    at: str
    is_closed: bool
    signed: list[Signed]


@dataclass(frozen=True, slots=True)
class Call:
    record: CallRecord
    record_sha256: str
    signed: Signed
    close: unitlog.Leaf
    paths: dict[str, Inclusion]  # by the kind of head
    kept: Hold | Rewrap | None
    destroyed: Destroyed | None
    opened: bool
    unreleased: bool
    proven: bool  # has a Sigsum proof
    line: bytes  # the close, as hashed
    witnessed: Proof | None
    amended: Amendment | None
    ended: Inclusion | None  # the log's place of the leaf of how it was ended


@dataclass(slots=True)
class EvidenceFacts:
    about: About
    calls: list[Call] = field(default_factory=list)
    heads: dict[str, dict[str, Head]] = field(default_factory=dict)  # unit -> kind -> head
    signed: list[Signed] = field(default_factory=list)
    policy: Policy | None = None  # the policy for the witnessed calls


def load(sources: Mapping[str, Source]) -> EvidenceFacts:
    """The content. A Refusal for unreadable or contradictory members. Whose the signatures are is not checked here."""
    facts = EvidenceFacts(_about(layout.read(sources, layout.ABOUT, 4096)))
    if layout.QUORUM in sources:
        facts.policy = layout.exact_policy(layout.read(sources, layout.QUORUM, quorum.LIMIT_BYTES), layout.QUORUM)
    for call_id in layout.call_ids(sources):
        data = layout.read(sources, layout.call(call_id, sealed.RECORD), sealed.RECORD_LIMIT_BYTES)
        record = _decode(sealed.decode_record, data, layout.call(call_id, sealed.RECORD))
        if record.call_id != call_id or not _is_call_id(call_id) or not unitnames.is_name(record.unit):
            raise BadBundle("other_call", f"calls/{call_id}: holds {record.call_id!r} of {record.unit!r}")
        if record.unit not in facts.heads:
            facts.heads[record.unit] = dict(_heads(sources, record.unit, facts))
        facts.calls.append(_call(sources, call_id, record, data, facts))
    if not facts.calls:
        raise BadBundle("no_call", "there is no call in it")
    return facts


def _call(sources: Mapping[str, Source], call_id: str, record: CallRecord, data: bytes, facts: EvidenceFacts) -> Call:
    sha256 = _sha256(data)
    amended = _amendment(sources, record, sha256, facts)
    at = sealed.call_time(call_id)
    counted = _time(true.began_at, call_id) if (true := amended or record.actual) else None
    if is_undated(at) and counted is not None:
        at = counted
    signed = _signature(sources, layout.call(call_id, sealed.RECORD), namespaces.RECORD, record.unit, at)
    signed = replace(signed, counted=counted)
    facts.signed.append(signed)
    line = layout.read(sources, layout.leaf(record.unit, call_id), leaflog.LEAF_LIMIT_BYTES)
    close = _json(line, unitlog.Leaf, layout.leaf(record.unit, call_id))
    if (close.kind, close.call_id, close.record_sha256) != ("close", call_id, sha256):
        raise BadBundle("other_record", f"{layout.leaf(record.unit, call_id)}: is not the close of this record")
    paths = _paths(sources, record, facts, line, layout.path)
    opened = layout.opened(call_id, "call.json")
    return Call(
        record=record,
        record_sha256=sha256,
        signed=signed,
        close=close,
        paths=paths,
        kept=_hold_document(sources, call_id, sha256, facts),
        destroyed=_destruction(sources, record, facts),
        opened=opened in sources,
        unreleased=opened in sources and require_opened(record, data, layout.read(sources, opened, 1 << 20)),
        proven=layout.sigsum(call_id, ".proof") in sources,
        line=line,
        witnessed=_witness_proof(sources, record.unit, call_id, line, facts),
        amended=amended,
        ended=_end_inclusion(sources, record, facts, paths),
    )


def _paths(
    sources: Mapping[str, Source],
    record: CallRecord,
    facts: EvidenceFacts,
    line: bytes,
    name_of: Callable[[str, str, str], str],
) -> dict[str, Inclusion]:
    """Kind of head -> the path of the close's leaf to it."""
    paths = {}
    for kind, head in facts.heads[record.unit].items():
        name = name_of(record.unit, kind, record.call_id)
        paths[kind] = closing.decode_inclusion(layout.read(sources, name, closing.INCLUSION_LIMIT_BYTES))
        if paths[kind].size != head.size or not paths[kind].holds(line, head.root):
            raise BadBundle("not_in_log", f"{name}: does not lead from the call's leaf to the head's root")
    return paths


def _end_inclusion(
    sources: Mapping[str, Source], record: CallRecord, facts: EvidenceFacts, closes: Mapping[str, Inclusion]
) -> Inclusion | None:
    """The log's leaf of the end, which every record of an ended call requires, compared with the record."""
    name = layout.end(record.unit, record.call_id)
    if unitlog.fields_of(record) is None and name not in sources:
        return None
    line = layout.read(sources, name, leaflog.LEAF_LIMIT_BYTES)
    leaf = _json(line, unitlog.Leaf, name)
    if (leaf.kind, leaf.call_id, unitlog.fields_in(leaf)) != ("end", record.call_id, unitlog.fields_of(record)):
        raise BadBundle("other_end", f"{name}: is not how this record says that the call was ended")
    paths = _paths(sources, record, facts, line, layout.end_path)
    if paths[layout.HEAD].index >= closes[layout.HEAD].index:
        raise BadBundle("end_after_close", f"{name}: is behind the call's close")
    return paths[layout.HEAD]


def _witness_proof(
    sources: Mapping[str, Source], unit: str, call_id: str, line: bytes, facts: EvidenceFacts
) -> Proof | None:
    """The proof, if leaf and quorum are valid by the bundle's own policy, without superfluous lines."""
    name = layout.witnessed(unit, call_id)
    if name not in sources or facts.policy is None:
        return None
    found = tlogproof.decode(layout.read(sources, name, tlogproof.LIMIT_BYTES))
    origin, times = found.require(line).origin, facts.policy.cosigners(found.note)
    own = sum(each.name == origin for each in found.note.lines)
    if not facts.policy.holds(times) or (own, len(times)) != (1, len(found.note.lines) - 1):
        raise BadBundle("not_witnessed", f"{name}: not cosigned by a quorum of the bundle's policy and no one else")
    return found


def require_opened(record: CallRecord, data: bytes, opened: bytes) -> bool:
    """Whether call.json is marked `unreleased`; BadBundle unless it equals this record, field by field."""
    layout.require_exact_json(opened, "call.json")
    whole = _json(opened, dict[str, object], "call.json")
    unreleased = whole.pop("unreleased", False)
    for name in PERSONAL_FIELDS:
        whole.pop(name, None)
    if whole != _json(data, dict[str, object], sealed.RECORD) or unreleased not in (True, False):
        raise BadBundle("other_call", f"call.json differs from the signed record of {record.call_id}")
    return unreleased is True


def _heads(sources: Mapping[str, Source], unit: str, facts: EvidenceFacts) -> Iterator[tuple[str, Head]]:
    for kind in layout.HEADS:
        name = layout.head(unit, kind)
        if kind != layout.HEAD and name not in sources:
            continue
        data = layout.read(sources, name, unitlog.HEAD_LIMIT_BYTES)
        armored = layout.read(sources, name + namespaces.SUFFIX, sshsig.SIGNATURE_LIMIT_BYTES)
        head = unitlog.check_head(data, armored, None)
        if head.unit != unit:
            raise BadBundle("wrong_unit", f"{name}: is of {head.unit}")
        at = from_utc_ns(parse_rfc3339(head.at))
        facts.signed.append(_signature(sources, name, namespaces.HEAD, unit, at))
        if kind == layout.WITNESS:
            facts.signed.append(_signature(sources, name, namespaces.HEAD, PRINCIPAL, at, WITNESS_SUFFIX))
        yield kind, head


def _amendment(
    sources: Mapping[str, Source], record: CallRecord, sha256: str, facts: EvidenceFacts
) -> Amendment | None:
    name = layout.amended(record.call_id)
    if name not in sources:
        return None
    found = amendment.decode(layout.read(sources, name, amendment.LIMIT_BYTES))
    if (found.unit, found.call_id, found.record_sha256) != (record.unit, record.call_id, sha256):
        raise BadBundle("other_call", f"{name}: is of another call")
    facts.signed.append(_signature(sources, name, namespaces.RECORD, record.unit, _time(found.made_at, name)))
    return found


def _hold_document(
    sources: Mapping[str, Source], call_id: str, sha256: str, facts: EvidenceFacts
) -> Hold | Rewrap | None:
    for name in (layout.hold_member(call_id, hold.HOLD), layout.hold_member(call_id, hold.REWRAP)):
        if name in sources:
            found = hold.decode(layout.read(sources, name, hold.LIMIT_BYTES))
            if (found.call_id, found.record_sha256) != (call_id, sha256):
                raise BadBundle("other_call", f"{name}: is of another call")
            key = layout.hold_member(call_id, sealed.KEY)
            if key in sources and _sha256(layout.read(sources, key, KEY_LIMIT_BYTES)) != found.key_sha256:
                raise BadBundle("key_differs", f"{key}: is not the key that {name} names")
            facts.signed.append(_signature(sources, name, namespaces.HOLD, "", _time(found.made_at, name)))
            return found
    return None


def _destruction(sources: Mapping[str, Source], record: CallRecord, facts: EvidenceFacts) -> Destroyed | None:
    epoch = record.retention.epoch if record.retention else ""
    found, signed = list[Certificate](), list[Signed]()
    for name, officers in layout.certificates(sources, epoch):
        each = _json(layout.read(sources, name, certificates.LIMIT_BYTES), Certificate, name)
        if each.epoch != epoch or (officers is not None and officers != sorted(set(each.officers))):
            raise BadBundle("other_epoch", f"{name}: is of the epoch {each.epoch}, officers {each.officers}")
        found.append(each)
        signed += _certificate_signatures(sources, name, each)
    known = {each.signature for each in facts.signed}
    facts.signed += [each for each in signed if each.signature not in known]
    if not found:
        return None
    of, needed = _officers(sources, record, found)
    gone = {officer for each in found for officer in each.officers if 1 <= officer <= of}
    is_closed = of == 1 or certificates.still_open(gone, of, needed) is None
    return Destroyed(max(each.destroyed_at for each in found), is_closed, signed)


def _certificate_signatures(sources: Mapping[str, Source], name: str, found: Certificate) -> Iterator[Signed]:
    """The officer's signature, and that of the second person whom the certificate names."""
    at = _time(found.destroyed_at, name)
    first = _signature(sources, name, namespaces.CERTIFICATE, "", at)
    yield first
    if found.second is not None:
        second = _signature(sources, name, namespaces.CERTIFICATE, "", at, layout.SECOND)
        if keys.fingerprint(second.key) != found.second or second.key == first.key:
            raise BadBundle("other_second", f"{second.signature}: is not by the second person whom {name} names")
        yield second


def _officers(sources: Mapping[str, Source], record: CallRecord, found: list[Certificate]) -> tuple[int, int]:
    """The number of officers, and of those who open the call: by its key, which the unit signed, and not by what a
    certificate says of them."""
    name = layout.call(record.call_id, sealed.KEY)
    if name not in sources:  # nothing to open
        return max(each.of for each in found), min(each.needed for each in found)
    data = layout.read(sources, name, KEY_LIMIT_BYTES)
    try:
        progress = group.progress_of(data)
    except Refusal as error:
        raise BadBundle("member_unreadable", f"{name}: {error}") from None
    recipients = data.partition(b"\n---")[0].count(b"\n-> X25519 ")  # of an age file that one of several opens
    return (progress.of, progress.left) if progress.left > 1 else (max(1, recipients), 1)


def _signature(
    sources: Mapping[str, Source], name: str, namespace: str, who: str, at: datetime, suffix: str = namespaces.SUFFIX
) -> Signed:
    data = layout.read(sources, name, sealed.RECORD_LIMIT_BYTES)
    key = sshsig.check(data, layout.read(sources, name + suffix, sshsig.SIGNATURE_LIMIT_BYTES), namespace)
    return Signed(name, name + suffix, namespace, who, at, key)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_call_id(text: str) -> bool:
    try:
        sealed.call_time(text)
    except BadInput:
        return False
    return True


def _about(data: bytes) -> About:
    try:
        made = strict.decode(data, _AnyFormat).format
        if made != layout.FORMAT:
            raise BadBundle("bundle_format", f"a bundle of format {made}; {layout.FORMAT} expected")
        found = document.decode(data, About)
    except (ValueError, BadInput) as error:
        raise BadBundle("not_a_bundle", f"{layout.ABOUT}: {error}") from None
    if document.encode(found) != data:
        raise BadBundle("not_a_bundle", f"{layout.ABOUT}: not spelled as a bundle's")
    return found


def _time(text: str, name: str) -> datetime:
    try:
        return from_utc_ns(parse_rfc3339(text))
    except ValueError as error:
        raise BadBundle("member_unreadable", f"{name}: {error}") from None


def _json[T](data: bytes, kind: type[T], name: str) -> T:
    return _decode(lambda text: strict.decode(text, kind), data, name)


def _decode[T](decode: Callable[[bytes], T], data: bytes, name: str) -> T:
    try:
        return decode(data)
    except (BadInput, msgspec.MsgspecError) as error:
        raise BadBundle("member_unreadable", f"{name}: {error}") from None
