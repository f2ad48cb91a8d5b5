# SPDX-License-Identifier: Apache-2.0
"""At which time a unit's key must have counted: as its own clock said, or as somebody else says of it.

A clock that stood before there was any linetap says nothing (evidence/signers.require_trust). Then the time is that of
the call's amendment, which is from counted time; or when witnesses had what is signed; or now. Which of them it was,
the verdict says.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.keys.keys import PublicKey
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
from linetap_core.records import CallRecord
from linetap_desk.proofs import amended, callfolder
from linetap_desk.proofs.verdict import Verdict


def note(at: datetime, counted: datetime | None = None, seen: datetime | None = None) -> str:
    """`at`: what its clock said. `counted`: when it was by counted time; `seen`: when witnesses had it."""
    stood = f"its clock stood at {_text(at)}"
    if counted is not None:
        return f"{stood}; by counted time it was {_text(counted)}, and its key is judged as of then"
    if seen is not None:
        return f"{stood}; witnesses had it at {_text(seen)}, and its key is judged as of then"
    return f"{stood}, and nobody says when it was: its key is judged as of now"


def judge(
    verdict: Verdict,
    record: CallRecord,
    key: PublicKey | None,
    signers: list[Signer] | None,
    call_dir: Path,
    seen: datetime | None,
) -> None:
    """The unit named in the record must be the signer, with a key that was valid when the call began: by its name, or,
    where a wrong clock gave that, by the time that the unit has signed later. Where there is none, by when it was seen.
    """
    if key is None or signers is None:
        return
    try:
        at = sealed.call_time(record.call_id)
        undated = is_undated(at)
        if undated or record.actual:
            verdict.counted = _counted(verdict, record, signers, call_dir)
        try:
            before = verdict.counted if undated else None
            require_trust(key, namespaces.RECORD, signers, record.unit, before or at, seen)
        except (SignerNotYetValid, SignerExpired):
            if undated:
                raise
            verdict.counted = verdict.counted or _counted(verdict, record, signers, call_dir)
            if verdict.counted is None:
                raise
            require_trust(key, namespaces.RECORD, signers, record.unit, verdict.counted, seen)
        if undated and has_times(key, signers):
            verdict.notes.append(note(at, verdict.counted, seen))
    except SignerUndated as error:
        verdict.notes.append(f"{error} [{error.code}]")
    except Refusal as error:
        verdict.add(error)
    except BadInput:
        return  # no call id: it was said
    else:
        verdict.trusted = True


def _counted(verdict: Verdict, record: CallRecord, signers: list[Signer], call_dir: Path) -> datetime | None:
    """When the call began by its newest amendment, or by the record's own counted time; None: neither is there."""
    path = amended.path_of_newest(amended.home(call_dir), record.call_id)
    if path is not None:
        data = callfolder.read(path, amendment.LIMIT_BYTES)
        armored = callfolder.read(namespaces.beside(path), sshsig.SIGNATURE_LIMIT_BYTES)
        found = amendment.check(data, armored, record.unit, record.call_id, verdict.record_sha256 or "", signers)
        return from_utc_ns(parse_rfc3339(found.began_at))
    return from_utc_ns(parse_rfc3339(record.actual.began_at)) if record.actual else None


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
