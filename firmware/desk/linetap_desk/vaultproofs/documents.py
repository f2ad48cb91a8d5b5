# SPDX-License-Identifier: Apache-2.0
"""Checks the signed documents in a vault: holds, certificates, walk test reports, amendments, roles.

A document counts if the unit's log has its hash, or if a signer named in the external signers' file signed it. Any
other signed document is reported and not trusted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import msgspec

from linetap_core.clock import compact, from_utc_ns, parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import roles
from linetap_core.evidence.calls import amendment, hold, sealed
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer, SignerUndated, require_named, require_trust
from linetap_core.vaultformat import vaultname, walkreport
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.verdict import Problem
from linetap_desk.vaultproofs.logclaims import LogClaims

HOLDS, WALKS, CERTIFICATES, ROLES = "holds", walkreport.WALKS_FOLDER, "certificates", "roles.json"
MOST_WALKS = 1000  # kept by a recorder
_UNIT_NAMESPACES = (namespaces.WALK, namespaces.HEAD)  # signed by the unit's own key
_LIMIT_BYTES = 1 << 20
_MOST_CHARACTERS = 200  # of a name that the log has
_SIG_LIMIT_BYTES = 64 << 10  # roles may have several signatures


class DocumentResult(NamedTuple):
    """The result for one document: its problems, and those of its files that no log or signature covers."""

    problems: list[Problem]
    uncovered: list[str]


class _DocumentFields(msgspec.Struct):
    """The fields of a document that its name repeats, and its date, which may be in any of these."""

    made_at: str | None = None
    destroyed_at: str | None = None
    ended_at: str | None = None
    began_at: str | None = None
    epoch: str | None = None
    officers: list[int] = []


class DocumentCheck:
    def __init__(self, vault: Path, unit: str, signers: list[Signer] | None, claims: LogClaims) -> None:
        self._vault, self._unit, self._signers, self._claims = vault, unit, signers, claims

    def document(
        self, name: str, namespace: str, logged: str | None, now_ns: int, data: bytes | None = None
    ) -> DocumentResult:
        """Checks a document. `logged`: the hash in the log. `now_ns`: the time of judgement, if the document has no
        date. `data`: its bytes, where the caller has read them: only bytes that were checked are interpreted."""
        result = DocumentResult([], [])
        try:
            data = callfolder.read(self._vault / name, _LIMIT_BYTES) if data is None else data
            armored = callfolder.read(self._vault / (name + namespaces.SUFFIX), _SIG_LIMIT_BYTES)
            signer_keys = sshsig.check_all(data, armored, namespace)
        except Refusal as error:
            result.problems.append(Problem(error.code, f"{name}: {error}"))
            return result
        is_in_log = logged == hashlib.sha256(data).hexdigest()
        if logged is not None and not is_in_log:
            result.problems.append(Problem("other_document", f"{name}: is not the one that the log has the SHA-256 of"))
            return result
        fields = _decode_fields(data)
        at = from_utc_ns(_time_ns(fields.made_at or fields.destroyed_at or fields.ended_at) or now_ns)
        try:
            for key in signer_keys:
                if self._signers is None:
                    raise BadInput("no one is named")
                if namespace in _UNIT_NAMESPACES:
                    require_trust(key, namespace, self._signers, self._unit, at)
                else:
                    require_named(key, namespace, self._signers, at)
        except Refusal as error:
            if namespace in _UNIT_NAMESPACES and not isinstance(error, SignerUndated):
                result.problems.append(Problem(error.code, f"{name}: {error}"))
            result.uncovered.extend([name + namespaces.SUFFIX] if is_in_log else [name, name + namespaces.SUFFIX])
        except BadInput:
            result.uncovered.extend([name + namespaces.SUFFIX] if is_in_log else [name, name + namespaces.SUFFIX])
        return result

    def hold(self, call_id: str, records: dict[str, str], now_ns: int) -> DocumentResult:
        """Checks a call's hold, and the key for the hold's epoch, which the hold names by its hash."""
        name, key_name = f"{HOLDS}/{call_id}/{hold.HOLD}", f"{HOLDS}/{call_id}/{sealed.KEY}"
        result = DocumentResult([], [])
        try:
            data = callfolder.read(self._vault / name, _LIMIT_BYTES)
            result = self.document(name, namespaces.HOLD, self._claims.holds.get(call_id), now_ns, data)
            if result.problems:
                return result
            document = hold.decode(data)
            if (document.call_id, document.unit) != (call_id, self._unit):
                result.problems.append(Problem("other_call", f"{name}: is of {document.call_id} of {document.unit}"))
            if records.get(call_id, document.record_sha256) != document.record_sha256:
                result.problems.append(Problem("other_record", f"{name}: is of another record than the call's"))
            if callfolder.digest(self._vault / key_name).sha256 != document.key_sha256:
                result.problems.append(Problem("wrong_hash", f"{key_name}: is not the key that the hold names"))
        except Refusal as error:
            result.problems.append(Problem(error.code, f"{name}: {error}"))
        return (
            result if name not in result.uncovered else DocumentResult(result.problems, [*result.uncovered, key_name])
        )

    def certificate(self, name: str, epoch: str, officers: str, now_ns: int) -> DocumentResult:
        """Checks a certificate, which a leaf of the log has. `officers`: of a group, as its name has them."""
        try:
            data = callfolder.read(self._vault / name, _LIMIT_BYTES)
        except Refusal as error:
            return DocumentResult([Problem(error.code, f"{name}: {error}")], [])
        fields = _decode_fields(data)
        numbers = "-".join(map(str, sorted(set(fields.officers))))
        if fields.epoch != epoch or (officers and officers != f".officer-{numbers}"):
            return DocumentResult([_name_problem(name, f"of epoch {fields.epoch}, officers {numbers or '-'}")], [])
        logged_sha256 = self._claims.certificate_files.get(Path(name).name)
        if logged_sha256 is None:
            return DocumentResult([Problem("not_in_log", f"{name}: the log does not know it")], [])
        return self.document(name, namespaces.CERTIFICATE, logged_sha256, now_ns, data)

    def walk(self, name: str) -> DocumentResult:
        """Checks a walk test report. Without its hash in a leaf it is not this unit's, whoever signed it."""
        try:
            data = callfolder.read(self._vault / name, _LIMIT_BYTES)
        except Refusal as error:
            return DocumentResult([Problem(error.code, f"{name}: {error}")], [])
        digest, began_at = hashlib.sha256(data).hexdigest(), _decode_fields(data).began_at
        if digest not in self._claims.walks:
            return DocumentResult([Problem("not_in_log", f"{name}: the log does not know it")], [])
        began_ns = _time_ns(began_at)
        if began_ns is None or Path(name).stem != compact(began_ns):
            return DocumentResult([_name_problem(name, f"of {began_at}")], [])
        return self.document(name, namespaces.WALK, digest, 0, data)

    def amendment(self, name: str, call_id: str, records: dict[str, str]) -> DocumentResult:
        """Checks an amendment of an existing call: in the log, and signed by its unit."""
        try:
            data = callfolder.read(self._vault / name, amendment.LIMIT_BYTES)
            armored = callfolder.read(self._vault / (name + namespaces.SUFFIX), sshsig.SIGNATURE_LIMIT_BYTES)
            digest = amendment.digest(data)
            if digest not in self._claims.amendments.get(call_id, []):
                return DocumentResult([Problem("not_in_log", f"{name}: the log does not know it")], [])
            sha256 = records.get(call_id, "")
            amendment.check(data, armored, self._unit, call_id, sha256, self._signers, Path(name).name)
        except Refusal as error:
            return DocumentResult([Problem(error.code, f"{name}: {error}")], [])
        return DocumentResult([], [])

    def vault(self, now_ns: int) -> DocumentResult:
        """Checks the vault's name."""
        name = vaultname.FILE
        result = DocumentResult([], [])
        try:
            data = callfolder.read(self._vault / name, vaultname.LIMIT_BYTES)
            result = self.document(name, namespaces.HEAD, None, now_ns, data)
            document = vaultname.decode(data)
            if document.unit != self._unit:
                result.problems.append(Problem("wrong_unit", f"{name}: is of {document.unit}"))
            if self._claims.vault not in ("", document.vault):
                result.problems.append(
                    Problem("other_vault", f"{name}: is of {document.vault}, the log of another vault")
                )
        except Refusal as error:
            result.problems.append(Problem(error.code, f"{name}: {error}"))
        return result

    def roles(self, now_ns: int) -> DocumentResult:
        """Checks the roles, and the names in them: two people have to be two."""
        result = self.document(ROLES, namespaces.ROLES, self._claims.roles, now_ns)
        if not result.problems:
            try:
                roles.parse(callfolder.read(self._vault / ROLES, _LIMIT_BYTES))
            except (BadInput, Refusal) as error:
                result.problems.append(Problem("bad_roles", f"{ROLES}: {error}"))
        return result

    def missing(self, names: set[str], is_lost: Callable[[str], bool]) -> Iterator[Problem]:
        """Documents that the log has and the vault lacks. `names`: relative to the vault. `is_lost`: whether a
        name may be in a folder that could not be read."""
        for call_id in sorted(self._claims.holds):
            name = f"{HOLDS}/{call_id}/{hold.HOLD}"
            if name not in names and not is_lost(name):
                yield Problem("missing_hold", f"{HOLDS}/{call_id}: the log has a hold that stands, and it is missing")
        for call_id, sha256s in sorted(self._claims.amendments.items()):
            folder = f"{amendment.FOLDER}/{call_id}"
            newest_name = self._newest_amendment(call_id, names)
            if not is_lost(folder) and (newest_name is None or not self._has_sha256(newest_name, sha256s[-1])):
                yield Problem(
                    "missing_amendment", f"{folder}: the log has one that counts, and it is not the newest here"
                )
        for file in sorted(self._claims.certificate_files):
            name = f"{CERTIFICATES}/{file}"
            if name not in names and not is_lost(name):
                yield Problem("missing_certificate", f"{name[:_MOST_CHARACTERS]}: the log has it, and it is missing")
        walk_count = sum(name.startswith(f"{WALKS}/") and name.endswith(".json") for name in names)
        if walk_count < min(MOST_WALKS, len(self._claims.walks)) and not is_lost(f"{WALKS}/"):
            yield Problem(
                "missing_walk", f"{WALKS}: {walk_count} reports are there, {len(self._claims.walks)} in the log"
            )
        if self._claims.roles is not None and ROLES not in names and not is_lost(ROLES):
            yield Problem("missing_roles", f"{ROLES}: the log has it, and it is missing")

    def _has_sha256(self, name: str, sha256: str) -> bool:
        try:
            return callfolder.digest(self._vault / name).sha256 == sha256
        except Refusal:
            return False

    @staticmethod
    def _newest_amendment(call_id: str, present: set[str]) -> str | None:
        """The one that every reader takes: the last before a missing number."""
        names = (f"{amendment.FOLDER}/{amendment.name(call_id, number)}" for number in range(1, amendment.MOST + 1))
        return next(iter(reversed(list(takewhile(present.__contains__, names)))), None)


def _decode_fields(data: bytes) -> _DocumentFields:
    try:
        return strict.decode(data, _DocumentFields)
    except BadInput:
        return _DocumentFields()


def _time_ns(text: str | None) -> int | None:
    try:
        return parse_rfc3339(text) if text else None
    except ValueError:
        return None


def _name_problem(name: str, actual: str) -> Problem:
    return Problem("other_name", f"{name}: is the document {actual}: another one was put in its place")
