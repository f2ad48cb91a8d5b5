# SPDX-License-Identifier: Apache-2.0
"""Checks the signed documents in a vault: holds, certificates, walk test reports, amendments, roles.

A document counts if the unit's log has its hash, or if a signer named in the external signers' file signed it. Any
other signed document is reported and not trusted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import amendment, hold, sealed
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer, SignerUndated, require_named, require_trust
from linetap_core.vaultformat import vaultname, walkreport
from linetap_desk.inputs import boundedjson
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.verdict import Problem
from linetap_desk.vaultproofs.leafclaims import LogClaims

HOLDS, WALKS, CERTIFICATES, ROLES = "holds", walkreport.WALKS_FOLDER, "certificates", "roles.json"
MOST_WALKS = 1000  # kept by a recorder
_OF_UNIT = (namespaces.WALK, namespaces.HEAD)  # signed by the unit's own key
_LIMIT_BYTES = 1 << 20
_SIG_LIMIT_BYTES = 64 << 10  # roles may have several signatures


class DocumentResult(NamedTuple):
    """One document: its problems, and those of its files that nothing covers."""

    problems: list[Problem]
    uncovered: list[str]


class _Dated(msgspec.Struct):
    """When a document was made, by whichever field it has."""

    made_at: str | None = None
    destroyed_at: str | None = None
    ended_at: str | None = None
    epoch: str | None = None


class DocumentCheck:
    def __init__(self, vault: Path, unit: str, signers: list[Signer] | None, named: LogClaims) -> None:
        self._vault, self._unit, self._signers, self._named = vault, unit, signers, named

    def document(self, name: str, namespace: str, logged: str | None, now_ns: int) -> DocumentResult:
        """`logged`: the hash in the log. `now_ns`: the time of judgement, if the document has none."""
        found = DocumentResult([], [])
        try:
            data = callfolder.read(self._vault / name, _LIMIT_BYTES)
            armored = callfolder.read(self._vault / (name + namespaces.SUFFIX), _SIG_LIMIT_BYTES)
            by = sshsig.check_all(data, armored, namespace)
        except Refusal as error:
            found.problems.append(Problem(error.code, f"{name}: {error}"))
            return found
        covered = logged == hashlib.sha256(data).hexdigest()
        if logged is not None and not covered:
            found.problems.append(Problem("other_document", f"{name}: is not the one that the log has the SHA-256 of"))
            return found
        at = from_utc_ns(_dated(data) or now_ns)
        try:
            for key in by:
                if self._signers is None:
                    raise BadInput("nobody is named")
                if namespace in _OF_UNIT:
                    require_trust(key, namespace, self._signers, self._unit, at)
                else:
                    require_named(key, namespace, self._signers, at)
        except Refusal as error:
            if namespace in _OF_UNIT and not isinstance(error, SignerUndated):
                found.problems.append(Problem(error.code, f"{name}: {error}"))
            found.uncovered.extend([name + namespaces.SUFFIX] if covered else [name, name + namespaces.SUFFIX])
        except BadInput:
            found.uncovered.extend([name + namespaces.SUFFIX] if covered else [name, name + namespaces.SUFFIX])
        return found

    def hold(self, call_id: str, records: dict[str, str], now_ns: int) -> DocumentResult:
        """A call's hold, and the key for the hold's epoch, which the hold names by its hash."""
        name, key = f"{HOLDS}/{call_id}/{hold.HOLD}", f"{HOLDS}/{call_id}/{sealed.KEY}"
        found = self.document(name, namespaces.HOLD, self._named.holds.get(call_id), now_ns)
        if found.problems:
            return found
        try:
            read = hold.decode(callfolder.read(self._vault / name, _LIMIT_BYTES))
            if (read.call_id, read.unit) != (call_id, self._unit):
                found.problems.append(Problem("other_call", f"{name}: is of {read.call_id} of {read.unit}"))
            if records.get(call_id, read.record_sha256) != read.record_sha256:
                found.problems.append(Problem("other_record", f"{name}: is of another record than the call's"))
            if callfolder.digest(self._vault / key).sha256 != read.key_sha256:
                found.problems.append(Problem("wrong_hash", f"{key}: is not the key that the hold names"))
        except Refusal as error:
            found.problems.append(Problem(error.code, f"{name}: {error}"))
        return found if name not in found.uncovered else DocumentResult(found.problems, [*found.uncovered, key])

    def certificate(self, name: str, epoch: str, now_ns: int) -> DocumentResult:
        return self.document(name, namespaces.CERTIFICATE, self._named.certificates.get(epoch), now_ns)

    def walk(self, name: str) -> DocumentResult:
        """A report whose hash is in no leaf is not this unit's, whoever signed it."""
        try:
            digest = callfolder.digest(self._vault / name).sha256
        except Refusal as error:
            return DocumentResult([Problem(error.code, f"{name}: {error}")], [])
        if digest not in self._named.walks:
            return DocumentResult([Problem("not_in_log", f"{name}: the log does not know it")], [])
        return self.document(name, namespaces.WALK, digest, 0)

    def amendment(self, name: str, call_id: str, records: dict[str, str]) -> DocumentResult:
        """An amendment of an existing call: in the log, and signed by its unit."""
        try:
            data = callfolder.read(self._vault / name, amendment.LIMIT_BYTES)
            armored = callfolder.read(self._vault / (name + namespaces.SUFFIX), sshsig.SIGNATURE_LIMIT_BYTES)
            digest = amendment.digest(data)
            if digest not in self._named.amendments.get(call_id, []):
                return DocumentResult([Problem("not_in_log", f"{name}: the log does not know it")], [])
            amendment.check(data, armored, self._unit, call_id, records.get(call_id, ""), self._signers)
        except Refusal as error:
            return DocumentResult([Problem(error.code, f"{name}: {error}")], [])
        return DocumentResult([], [])

    def vault(self, now_ns: int) -> DocumentResult:
        """The vault's name."""
        name = vaultname.FILE
        found = self.document(name, namespaces.HEAD, None, now_ns)
        try:
            read = vaultname.decode(callfolder.read(self._vault / name, vaultname.LIMIT_BYTES))
            if read.unit != self._unit:
                found.problems.append(Problem("wrong_unit", f"{name}: is of {read.unit}"))
        except Refusal as error:
            found.problems.append(Problem(error.code, f"{name}: {error}"))
        return found

    def roles(self, now_ns: int) -> DocumentResult:
        return self.document(ROLES, namespaces.ROLES, self._named.roles, now_ns)

    def missing(self, there: set[str]) -> Iterator[Problem]:
        """Documents that are in the log and not in the vault. `there`: names relative to the vault."""
        for call_id in sorted(self._named.holds):
            if f"{HOLDS}/{call_id}/{hold.HOLD}" not in there:
                yield Problem("missing_hold", f"{HOLDS}/{call_id}: the log has a hold that stands, and it is missing")
        for call_id, logged in sorted(self._named.amendments.items()):
            if not any(self._is(name, logged[-1]) for name in self._amendments_of(call_id, there)):
                where = f"{amendment.FOLDER}/{call_id}"
                yield Problem("missing_amendment", f"{where}: the log has one that counts, and it is missing")
        for epoch in sorted(self._named.certificates):
            if f"{CERTIFICATES}/{epoch}.json" not in there:
                yield Problem("missing_certificate", f"{CERTIFICATES}/{epoch}.json: the log has it, and it is missing")
        walks = sum(name.startswith(f"{WALKS}/") and name.endswith(".json") for name in there)
        if walks < min(MOST_WALKS, len(set(self._named.walks))):
            yield Problem(
                "missing_walk", f"{WALKS}: {walks} reports are there, the log knows of {len(self._named.walks)}"
            )
        if self._named.roles is not None and ROLES not in there:
            yield Problem("missing_roles", f"{ROLES}: the log has it, and it is missing")

    def _is(self, name: str, sha256: str) -> bool:
        try:
            return callfolder.digest(self._vault / name).sha256 == sha256
        except Refusal:
            return False

    @staticmethod
    def _amendments_of(call_id: str, there: set[str]) -> Iterator[str]:
        names = (f"{amendment.FOLDER}/{amendment.name(call_id, number)}" for number in range(1, amendment.MOST + 1))
        return (name for name in names if name in there)


def _dated(data: bytes) -> int | None:
    try:
        found = boundedjson.decode(data, _Dated)
        text = found.made_at or found.destroyed_at or found.ended_at
        return parse_rfc3339(text) if text else None
    except (ValueError, RecursionError):
        return None
