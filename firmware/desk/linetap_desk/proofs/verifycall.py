# SPDX-License-Identifier: Apache-2.0
"""Verifies one sealed call: its record, the record's signature, every file that the record names, and the signer.

Every fault found is reported, with a stable code.

The unit's key must have been valid at the call's time. A clock before the first version of linetap gives no time
(evidence/signing/signers.require_trust). Then the time of the call's amendment counts, which comes from counted time;
else the time at which witnesses had cosigned it; else the present. The verdict names the one used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.codecs.codec import RATE_HZ, Codec, part_offset
from linetap_core.codecs.registry import CODECS
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey
from linetap_core.evidence.keys.publickeys import SSH_ED25519
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import (
    Signer,
    SignerExpired,
    SignerNotYetValid,
    SignerUndated,
    has_times,
    is_undated,
    require_trust,
)
from linetap_core.records import PERSONAL_FIELDS, Audio, CallRecord, Part
from linetap_desk.inputs import strict
from linetap_desk.proofs import amendments, callfolder
from linetap_desk.proofs.callfolder import Damaged, Digest
from linetap_desk.proofs.verdict import Problem, Verdict


def undated_note(at: datetime, counted: datetime | None = None, seen: datetime | None = None) -> str:
    """The note on the time used. `at`: the unit's clock. `counted`: by counted time; `seen`: when witnesses had
    cosigned it."""
    stood = f"its clock stood at {_utc_text(at)}"
    if counted is not None:
        return f"{stood}; by counted time it was {_utc_text(counted)}, and its key is judged as of then"
    if seen is not None:
        return f"{stood}; witnesses had it at {_utc_text(seen)}, and its key is judged as of then"
    return f"{stood}, and its time is unknown: its key is judged as of now"


def _judge_trust(
    verdict: Verdict,
    record: CallRecord,
    key: PublicKey | None,
    signers: list[Signer] | None,
    call_dir: Path,
    seen: datetime | None,
) -> None:
    """Requires that the unit named in the record signed it with a key valid when the call began. The begin is in the
    call's name; if a wrong clock gave that name, it is the time that the unit signed later, or else when witnesses had
    seen it."""
    if key is None or signers is None:
        return
    try:
        at = sealed.call_time(record.call_id)
        undated = is_undated(at)
        if undated or record.actual:
            verdict.counted = _counted_begin(verdict, record, signers, call_dir)
        try:
            before = verdict.counted if undated else None
            require_trust(key, namespaces.RECORD, signers, record.unit, before or at, seen)
        except (SignerNotYetValid, SignerExpired):
            if undated:
                raise
            verdict.counted = verdict.counted or _counted_begin(verdict, record, signers, call_dir)
            if verdict.counted is None:
                raise
            require_trust(key, namespaces.RECORD, signers, record.unit, verdict.counted, seen)
        if undated and has_times(key, signers):
            verdict.notes.append(undated_note(at, verdict.counted, seen))
    except SignerUndated as error:
        verdict.notes.append(f"{error} [{error.code}]")
    except Refusal as error:
        verdict.add(error)
    except BadInput:
        return  # an invalid call id is reported elsewhere
    else:
        verdict.trusted = True


def _counted_begin(verdict: Verdict, record: CallRecord, signers: list[Signer], call_dir: Path) -> datetime | None:
    """The call's begin by its newest amendment, or by the record's own counted time; None without both."""
    path = amendments.path_of_newest(amendments.home(call_dir), record.call_id)
    if path is not None:
        data = callfolder.read(path, amendment.LIMIT_BYTES)
        armored = callfolder.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES)
        sha256 = verdict.record_sha256 or ""
        found = amendment.check(data, armored, record.unit, record.call_id, sha256, signers, path.name)
        return from_utc_ns(parse_rfc3339(found.began_at))
    if not record.actual or any(_check_actual(record, call_dir)):
        return None
    return from_utc_ns(parse_rfc3339(record.actual.began_at))


def _utc_text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


# The audio begins at the answer or later and ends with the call; frame counter and duration are rounded.
_DURATION_SLACK_S = 1.0
_TONE_SLACK_S = 30.0  # a call ended by busy tone ends where the tone began; recording continues until that is certain
_HEADER_READ_BYTES = 4096


def verify_call(
    call_dir: Path, signers: list[Signer] | None, *, with_audio: bool = True, seen: datetime | None = None
) -> Verdict:
    """All faults of one call folder; its content raises no exception.

    `seen`: when witnesses had cosigned it, used if the unit's own clock was wrong; None if unknown. `with_audio=False`:
    missing parts are no fault, since the signed record has their hashes.
    """
    verdict = Verdict(call_dir.name)
    try:
        names = callfolder.entries(call_dir)
        data = _record_bytes(call_dir, names)
    except OSError as error:
        verdict.problems.append(Problem("folder_unreadable", f"cannot be read: {error.strerror}"))
        return verdict
    except Damaged as error:
        verdict.add(error)
        return verdict
    key = _signing_key(call_dir, data, verdict)
    try:
        record = _parse(data)
    except Refusal as error:
        verdict.add(error)
        return verdict
    verdict.record, verdict.record_sha256 = record, hashlib.sha256(data).hexdigest()
    for check in (_check_identity, _check_audio, _check_names, _check_notices, _check_actual):
        _collect(verdict, check(record, call_dir))
    _collect(verdict, _check_files(record, call_dir, names, with_audio))
    _collect(verdict, _check_key(record, key))
    _judge_trust(verdict, record, key, signers, call_dir, seen)
    return verdict


def _collect(verdict: Verdict, problems: Iterator[Problem]) -> None:
    verdict.problems.extend(problems)


def _record_bytes(call_dir: Path, names: set[str]) -> bytes:
    if sealed.RECORD not in names:
        raise Damaged("not_sealed", f"no {sealed.RECORD}: the call is still being recorded, or its record was removed")
    return callfolder.read(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)


def _signing_key(call_dir: Path, data: bytes, verdict: Verdict) -> PublicKey | None:
    try:
        armored = callfolder.read(call_dir / sealed.SIGNATURE, sshsig.SIGNATURE_LIMIT_BYTES)
        return sshsig.check(data, armored, namespaces.RECORD)
    except Refusal as error:
        verdict.add(error)
        return None


def _parse(data: bytes) -> CallRecord:
    """The record. Damaged if it is malformed or has fields of meta.age; UnknownSuite is raised before that."""
    try:
        fields = strict.decode(data, dict[str, msgspec.Raw])
        record = sealed.decode_record(data)
    except (BadInput, msgspec.MsgspecError) as error:
        raise Damaged("record_unreadable", f"{sealed.RECORD}: {error}") from None
    if personal := [name for name in PERSONAL_FIELDS if name in fields]:
        raise Damaged("personal_data", f"{sealed.RECORD} holds {', '.join(personal)}, which only {sealed.META} may")
    return record


def _check_key(record: CallRecord, key: PublicKey | None) -> Iterator[Problem]:
    """A fault if the record names another signing key than the signer's."""
    if key is None or record.unit_key is msgspec.UNSET:
        return
    if record.unit_key.in_ == "tpm" and keys.kind_of(key) == SSH_ED25519:
        yield Problem("unit_key", "states a key in a TPM, and an Ed25519 key has signed it, which no TPM holds")


def _check_notices(record: CallRecord, _call_dir: Path) -> Iterator[Problem]:
    """A fault for a notice that ended before the answer: the caller cannot have heard it, despite any measurement."""
    for notice in record.notices:
        if notice.began_after_answer is False and notice.proof in ("full", "partial"):
            yield Problem(
                "notice_contradicts",
                f"the notice of {notice.started_at} began before the answer and counts as heard ({notice.proof})",
            )


def _check_actual(record: CallRecord, _call_dir: Path) -> Iterator[Problem]:
    """Faults for invalid counted times: other readers compute with them."""
    for text in (record.actual.began_at, record.actual.ended_at) if record.actual else ():
        try:
            parse_rfc3339(text)
        except ValueError:
            yield Problem("actual_time", f"its counted time {text[:40]!r} is none")


def _check_identity(record: CallRecord, call_dir: Path) -> Iterator[Problem]:
    if sealed.CALL_ID.fullmatch(record.call_id) is None:
        yield Problem("bad_call_id", f"the record's call id {record.call_id!r} is none")
    elif record.call_id != call_dir.name:
        yield Problem("wrong_folder", f"the record is of call {record.call_id}")


def _check_audio(record: CallRecord, _call_dir: Path) -> Iterator[Problem]:
    """Faults unless the parts follow one another without a gap and add up to the samples that the record states."""
    audio = record.audio or Audio()
    end = 0
    for number, part in enumerate(audio.parts, 1):
        if part.file != sealed.part_name(number):
            yield Problem("parts", f"part {number} is {part.file!r}, {sealed.part_name(number)} expected")
        if part.first != end or part.samples <= 0:
            yield Problem("parts", f"part {number} holds {part.samples} samples from {part.first}, not from {end}")
        end = part.first + part.samples
    if audio.samples != end:
        yield Problem("samples", f"{audio.samples} samples in the record, {end} in its parts")
    if audio.parts and (audio.codec not in CODECS or audio.rate != RATE_HZ):
        known = " or ".join(CODECS)
        yield Problem("codec", f"{audio.codec} at {audio.rate} Hz is not known, {known} at {RATE_HZ} Hz expected")
    seconds = end / RATE_HZ
    slack_s = _TONE_SLACK_S if record.ended_by == "tone" else _DURATION_SLACK_S
    if record.duration_s is not None and seconds > record.duration_s + slack_s:
        yield Problem("duration", f"{seconds:.1f} s of audio in a call of {record.duration_s:.1f} s")
    for gap in audio.gaps:
        # The audio lost in a power cut comes after the recording.
        end_s = gap.at_s if gap.cause == "power" else gap.at_s + gap.ms / 1000
        if not (gap.at_s >= 0 and gap.ms >= 0 and end_s <= seconds + _DURATION_SLACK_S):
            yield Problem("gaps", f"the gap at {gap.at_s} s lies outside the audio")


def _check_names(record: CallRecord, _call_dir: Path) -> Iterator[Problem]:
    """Faults unless audio has keys, the record's files include all parts, and an unrecorded call has no files."""
    parts = {part.file for part in record.audio.parts} if record.audio else set()
    wanted = parts | {sealed.META, sealed.KEY} if parts or record.files else set()
    if record.recovered and sealed.META not in record.files:  # the record was rebuilt from the folder alone
        wanted -= {sealed.META}
    if record.disposition == "recorded" and record.audio is None:
        yield Problem("audio_missing", "recorded, and the record names no audio")
    for name in sorted(wanted - set(record.files)):
        yield Problem("not_signed_for", f"{name} belongs to the call, and the record has no hash of it")
    for name in sorted(set(record.files) - wanted):
        yield Problem("unknown_file", f"the record names {name!r}, which no call has")


def _check_files(record: CallRecord, call_dir: Path, names: set[str], with_audio: bool) -> Iterator[Problem]:
    """Faults unless every named file exists with its hash and a plausible size, and no other file exists."""
    for name in sorted(names - set(record.files) - {sealed.RECORD, sealed.SIGNATURE}):
        yield Problem("extra_file", f"{name} is not named in the record{callfolder.by_a_desktop(name)}")
    parts = {part.file: part for part in record.audio.parts} if record.audio else {}
    codec = CODECS.get(record.audio.codec) if record.audio else None
    for name, expected in sorted(record.files.items()):
        if name not in names and name in parts and not with_audio:
            continue
        if name not in names:
            yield Problem("missing_file", f"{name} is named in the record and missing")
            continue
        try:
            found = callfolder.digest(call_dir / name)
        except Damaged as error:
            yield Problem(error.code, str(error))
            continue
        if found.sha256 != expected:
            yield Problem("wrong_hash", f"{name} is not what was sealed: its SHA-256 differs")
        elif name in parts and codec is not None:
            yield from _check_size(call_dir / name, found, parts[name], codec)


def _check_size(path: Path, found: Digest, part: Part, codec: Codec) -> Iterator[Problem]:
    """A fault if the number of samples implied by a part's size contradicts the record."""
    try:
        offset = age.payload_offset(callfolder.read_head(path, _HEADER_READ_BYTES))
    except Refusal as error:
        yield Problem(error.code, f"{path.name}: {error}")
        return
    possible = codec.possible(part_offset(codec, part.first) + age.plaintext_size(found.size - offset))
    if part.first + part.samples not in possible:
        held = " to ".join(str(end - part.first) for end in sorted({*possible[:1], *possible[-1:]})) or "no"
        yield Problem("part_size", f"{path.name} holds {held} samples, {part.samples} in the record")
