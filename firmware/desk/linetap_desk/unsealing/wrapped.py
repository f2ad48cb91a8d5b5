# SPDX-License-Identifier: Apache-2.0
"""Verifies a re-wrapped call key, for a hold or for the call's own day: its key.age differs from the record's.

Instead a vault officer's signature (of hold.json or rewrap.json beside it) authorises it. A second officer's `linetap
hold check` proves that it opens, before the day's key is destroyed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.command import VAULT
from linetap_core.evidence.authorization.release import NotReleased
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.hold import Hold, Rewrap
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallRecord
from linetap_desk.proofs import callfolder

DOCUMENTS = (hold.HOLD, hold.REWRAP)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The files of a re-wrapped key. `name`: one of DOCUMENTS."""

    name: str
    document: bytes
    sig: bytes
    key_age: bytes

    def members(self) -> dict[str, bytes]:
        """The files by name."""
        return {sealed.KEY: self.key_age, self.name: self.document, f"{self.name}{namespaces.SUFFIX}": self.sig}


def require_wrapped(folder: Path, record: CallRecord, record_sha256: str, key_age: bytes, roles: Roles | None) -> None:
    """NotReleased unless a vault officer signed that this key.age belongs to this call. Without roles in force there
    are no officers, and only the consistency of the documents is checked."""
    path = next((folder / name for name in DOCUMENTS if (folder / name).exists()), None)
    if path is None:
        raise BadInput(f"{folder}: there is neither {' nor '.join(DOCUMENTS)} in it")
    try:
        data = callfolder.read(path, hold.LIMIT_BYTES)
        armored = callfolder.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES) if roles else b""
    except callfolder.Damaged as error:
        raise NotReleased("wrapped_not_signed", f"{folder}: {error}") from None
    document = verify_wrapped(
        Wrapped(path.name, data, armored, key_age), str(path), record.call_id, record_sha256, roles
    )
    if (document.call_id, document.unit) != (record.call_id, record.unit):
        raise NotReleased("record_differs", f"{path}: is of {document.call_id} of {document.unit}")


def verify_wrapped(
    wrapped: Wrapped, where: str, call_id: str, record_sha256: str, roles: Roles | None
) -> Hold | Rewrap:
    """The document's content; NotReleased as in `require_wrapped`."""
    try:
        person = roles.holder(sshsig.check(wrapped.document, wrapped.sig, namespaces.HOLD)) if roles else None
        document = hold.decode(wrapped.document)
    except Refusal as error:
        raise NotReleased("wrapped_not_signed", f"{where}: {error}") from None
    if roles is not None and (person is None or person.role != "vault"):
        raise NotReleased("wrapped_not_signed", f"{where}: not signed by anybody of role vault")
    if document.record_sha256 != record_sha256:
        raise NotReleased("record_differs", f"{where}: is of another call than {call_id}")
    if document.key_sha256 != hashlib.sha256(wrapped.key_age).hexdigest():
        raise NotReleased("key_differs", f"{where}: names another {sealed.KEY} than the one beside it")
    return document


CHECK_SUFFIX = f".check{namespaces.SUFFIX}"


def require_checked(paper: Path, data: bytes, roles: Roles, signer_name: str) -> None:
    """A Refusal unless a vault officer checked that the key opens: another than the signer, if there is another."""
    place = paper.with_name(f"{paper.name}{CHECK_SUFFIX}")
    if not place.exists():
        how = f"`linetap hold check {paper.parent}` by a vault officer{_other_than(roles, signer_name)}"
        raise Refusal(f"it is not shown that its key opens: run {how} first")
    require_check_signature(data, callfolder.read(place, sshsig.SIGNATURE_LIMIT_BYTES), roles, signer_name)


def require_check_signature(data: bytes, armored: bytes, roles: Roles, signer_name: str) -> Person:
    """The vault officer who checked it. A Refusal if the same officer signed the document, and there is another."""
    person = roles.holder(sshsig.check(data, armored, namespaces.HOLD_CHECK))
    if person is None or person.role != VAULT or (_others(roles, signer_name) and person.name == signer_name):
        raise Refusal(f"who checked it may not: a vault officer{_other_than(roles, signer_name)} expected")
    return person


def _others(roles: Roles, signer_name: str) -> bool:
    return any(person.role == VAULT and person.name != signer_name for person in roles.people)


def _other_than(roles: Roles, signer_name: str) -> str:
    return f" who is not {signer_name}" if _others(roles, signer_name) else ""
