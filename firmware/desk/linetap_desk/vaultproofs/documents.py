# SPDX-License-Identifier: Apache-2.0
"""Checks the signed documents in a vault: holds, certificates, walk test reports, amendments, roles.

A document counts if the unit's log has its hash, or if a signer named in the external signers' file signed it. Any
other signed document is reported and not trusted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import msgspec

from linetap_core.clock import compact, from_utc_ns, parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import roles
from linetap_core.evidence.calls import amendment, hold, sealed
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer, SignerUndated, require_named, require_trust
from linetap_core.vaultformat import vaultname, walkreport
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.verdict import Problem

HOLDS, WALKS, CERTIFICATES, ROLES = "holds", walkreport.WALKS_FOLDER, "certificates", "roles.json"
MOST_WALKS = 1000  # kept by a recorder
_OF_UNIT = (namespaces.WALK, namespaces.HEAD)  # signed by the unit's own key
_LIMIT_BYTES = 1 << 20
_SIG_LIMIT_BYTES = 64 << 10  # roles may have several signatures


class DocumentResult(NamedTuple):
    """The result for one document: its problems, and those of its files that no log or signature covers."""

    problems: list[Problem]
    uncovered: list[str]


class _Dated(msgspec.Struct):
    """The fields of a document that its name repeats, and its date, which may be in any of these."""

    made_at: str | None = None
    destroyed_at: str | None = None
    ended_at: str | None = None
    began_at: str | None = None
    epoch: str | None = None
    officers: list[int] = []


class DocumentCheck:
    def __init__(self, vault: Path, unit: str, signers: list[Signer] | None, named: LogClaims) -> None:
        self._vault, self._unit, self._signers, self._named = vault, unit, signers, named

    def document(
        self, name: str, namespace: str, logged: str | None, now_ns: int, data: bytes | None = None
    ) -> DocumentResult:
        """Checks a document. `logged`: the hash in the log. `now_ns`: the time of judgement, if the document has no
        date. `data`: its bytes, where the caller has read them: only bytes that were checked are interpreted."""
        found = DocumentResult([], [])
        try:
            data = callfolder.read(self._vault / name, _LIMIT_BYTES) if data is None else data
            armored = callfolder.read(self._vault / (name + namespaces.SUFFIX), _SIG_LIMIT_BYTES)
            by = sshsig.check_all(data, armored, namespace)
        except Refusal as error:
            found.problems.append(Problem(error.code, f"{name}: {error}"))
            return found
        covered = logged == hashlib.sha256(data).hexdigest()
        if logged is not None and not covered:
            found.problems.append(Problem("other_document", f"{name}: is not the one that the log has the SHA-256 of"))
            return found
        said = _read(data)
        at = from_utc_ns(_moment(said.made_at or said.destroyed_at or said.ended_at) or now_ns)
        try:
            for key in by:
                if self._signers is None:
                    raise BadInput("no one is named")
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
        """Checks a call's hold, and the key for the hold's epoch, which the hold names by its hash."""
        name, key = f"{HOLDS}/{call_id}/{hold.HOLD}", f"{HOLDS}/{call_id}/{sealed.KEY}"
        found = DocumentResult([], [])
        try:
            data = callfolder.read(self._vault / name, _LIMIT_BYTES)
            found = self.document(name, namespaces.HOLD, self._named.holds.get(call_id), now_ns, data)
            if found.problems:
                return found
            read = hold.decode(data)
            if (read.call_id, read.unit) != (call_id, self._unit):
                found.problems.append(Problem("other_call", f"{name}: is of {read.call_id} of {read.unit}"))
            if records.get(call_id, read.record_sha256) != read.record_sha256:
                found.problems.append(Problem("other_record", f"{name}: is of another record than the call's"))
            if callfolder.digest(self._vault / key).sha256 != read.key_sha256:
                found.problems.append(Problem("wrong_hash", f"{key}: is not the key that the hold names"))
        except Refusal as error:
            found.problems.append(Problem(error.code, f"{name}: {error}"))
        return found if name not in found.uncovered else DocumentResult(found.problems, [*found.uncovered, key])

    def certificate(self, name: str, epoch: str, officers: str, now_ns: int) -> DocumentResult:
        """Checks a certificate, which a leaf of the log has. `officers`: of a group, as its name has them."""
        try:
            data = callfolder.read(self._vault / name, _LIMIT_BYTES)
        except Refusal as error:
            return DocumentResult([Problem(error.code, f"{name}: {error}")], [])
        said = _read(data)
        numbers = "-".join(map(str, sorted(set(said.officers))))
        if said.epoch != epoch or (officers and officers != f".officer-{numbers}"):
            return DocumentResult([_misnamed(name, f"of epoch {said.epoch}, officers {numbers or '-'}")], [])
        logged = self._named.certificate_files.get(Path(name).name)
        if logged is None:
            return DocumentResult([Problem("not_in_log", f"{name}: the log does not know it")], [])
        return self.document(name, namespaces.CERTIFICATE, logged, now_ns, data)

    def walk(self, name: str) -> DocumentResult:
        """Checks a walk test report. Without its hash in a leaf it is not this unit's, whoever signed it."""
        try:
            data = callfolder.read(self._vault / name, _LIMIT_BYTES)
        except Refusal as error:
            return DocumentResult([Problem(error.code, f"{name}: {error}")], [])
        digest, began_at = hashlib.sha256(data).hexdigest(), _read(data).began_at
        if digest not in self._named.walks:
            return DocumentResult([Problem("not_in_log", f"{name}: the log does not know it")], [])
        began_ns = _moment(began_at)
        if began_ns is None or Path(name).stem != compact(began_ns):
            return DocumentResult([_misnamed(name, f"of {began_at}")], [])
        return self.document(name, namespaces.WALK, digest, 0, data)

    def amendment(self, name: str, call_id: str, records: dict[str, str]) -> DocumentResult:
        """Checks an amendment of an existing call: in the log, and signed by its unit."""
        try:
            data = callfolder.read(self._vault / name, amendment.LIMIT_BYTES)
            armored = callfolder.read(self._vault / (name + namespaces.SUFFIX), sshsig.SIGNATURE_LIMIT_BYTES)
            digest = amendment.digest(data)
            if digest not in self._named.amendments.get(call_id, []):
                return DocumentResult([Problem("not_in_log", f"{name}: the log does not know it")], [])
            sha256 = records.get(call_id, "")
            amendment.check(data, armored, self._unit, call_id, sha256, self._signers, Path(name).name)
        except Refusal as error:
            return DocumentResult([Problem(error.code, f"{name}: {error}")], [])
        return DocumentResult([], [])

    def vault(self, now_ns: int) -> DocumentResult:
        """Checks the vault's name."""
        name = vaultname.FILE
        found = DocumentResult([], [])
        try:
            data = callfolder.read(self._vault / name, vaultname.LIMIT_BYTES)
            found = self.document(name, namespaces.HEAD, None, now_ns, data)
            read = vaultname.decode(data)
            if read.unit != self._unit:
                found.problems.append(Problem("wrong_unit", f"{name}: is of {read.unit}"))
            if self._named.vault not in ("", read.vault):
                found.problems.append(Problem("other_vault", f"{name}: is of {read.vault}, the log of another vault"))
        except Refusal as error:
            found.problems.append(Problem(error.code, f"{name}: {error}"))
        return found

    def roles(self, now_ns: int) -> DocumentResult:
        """Checks the roles, and the names in them: two people have to be two."""
        found = self.document(ROLES, namespaces.ROLES, self._named.roles, now_ns)
        if not found.problems:
            try:
                roles.parse(callfolder.read(self._vault / ROLES, _LIMIT_BYTES))
            except (BadInput, Refusal) as error:
                found.problems.append(Problem("bad_roles", f"{ROLES}: {error}"))
        return found

    def missing(self, there: set[str], is_lost: Callable[[str], bool]) -> Iterator[Problem]:
        """Documents that the log has and the vault lacks. `there`: names relative to the vault. `is_lost`: whether a
        name may be in a folder that could not be read."""
        for call_id in sorted(self._named.holds):
            name = f"{HOLDS}/{call_id}/{hold.HOLD}"
            if name not in there and not is_lost(name):
                yield Problem("missing_hold", f"{HOLDS}/{call_id}: the log has a hold that stands, and it is missing")
        for call_id, logged in sorted(self._named.amendments.items()):
            where = f"{amendment.FOLDER}/{call_id}"
            newest = self._newest_amendment(call_id, there)
            if not is_lost(where) and (newest is None or not self._is(newest, logged[-1])):
                yield Problem(
                    "missing_amendment", f"{where}: the log has one that counts, and it is not the newest here"
                )
        for file in sorted(self._named.certificate_files):
            name = f"{CERTIFICATES}/{file}"
            if name not in there and not is_lost(name):
                yield Problem("missing_certificate", f"{name[:_LONGEST]}: the log has it, and it is missing")
        walks = sum(name.startswith(f"{WALKS}/") and name.endswith(".json") for name in there)
        if walks < min(MOST_WALKS, len(self._named.walks)) and not is_lost(f"{WALKS}/"):
            yield Problem("missing_walk", f"{WALKS}: {walks} reports are there, {len(self._named.walks)} in the log")
        if self._named.roles is not None and ROLES not in there and not is_lost(ROLES):
            yield Problem("missing_roles", f"{ROLES}: the log has it, and it is missing")

    def _is(self, name: str, sha256: str) -> bool:
        try:
            return callfolder.digest(self._vault / name).sha256 == sha256
        except Refusal:
            return False

    @staticmethod
    def _newest_amendment(call_id: str, there: set[str]) -> str | None:
        """The one that every reader takes: the last before a missing number."""
        names = (f"{amendment.FOLDER}/{amendment.name(call_id, number)}" for number in range(1, amendment.MOST + 1))
        return next(iter(reversed(list(takewhile(there.__contains__, names)))), None)


def _read(data: bytes) -> _Dated:
    try:
        return strict.decode(data, _Dated)
    except BadInput:
        return _Dated()


def _moment(text: str | None) -> int | None:
    try:
        return parse_rfc3339(text) if text else None
    except ValueError:
        return None


def _misnamed(name: str, of: str) -> Problem:
    return Problem("other_name", f"{name}: is the document {of}: another one was put in its place")


# ----------------------------------------------------------------------------------------------------------------------
# The claims of a log's leaves about the vault: hashes of documents and index segments, holds, the outbox's position,
# and weakenings of the configuration.


@dataclass(slots=True)
class Segment:
    """An index segment by its last leaf. The leaf precedes the file: until `written` is confirmed, the previous content
    in `before`, or no file, is valid too."""

    sha256: str
    written: bool = False
    before: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)  # in the segment; empty for an adopted one

    def may_be(self, sha256: str) -> bool:
        return sha256 == self.sha256 or sha256 in self.before

    @property
    def may_be_missing(self) -> bool:
        return not self.written and not self.before


@dataclass(slots=True)
class LogClaims:
    """Collects the claims of a log; receives every leaf in turn."""

    segments: dict[str, Segment] = field(default_factory=dict)
    walks: set[str] = field(default_factory=set)
    destroyed_epochs: set[str] = field(default_factory=set)
    certificate_files: dict[str, str] = field(default_factory=dict)  # name -> hash of the newest of that name
    holds: dict[str, str | None] = field(default_factory=dict)  # in force: call -> hash of hold.json
    # of existing calls: hashes, the last one counts
    amendments: dict[str, list[str]] = field(default_factory=dict)
    destroyed: set[str] = field(default_factory=set)
    roles: str | None = None
    vault: str = ""  # its name; empty in a vault of an earlier version
    seq: int = 0  # number of the outbox's newest event when the leaf was written
    last_close: tuple[str, int] | None = None  # the call, and the newest event before its own
    _written_in: dict[str, str] = field(default_factory=dict)  # call -> segment of its last leaf

    @property
    def has_index_leaves(self) -> bool:
        return bool(self.segments)

    def check_leaf(self, leaf: Leaf) -> None:
        if leaf.seq is not None:
            self.seq = max(self.seq, leaf.seq)
        if leaf.kind == "index" and leaf.file is not None and leaf.sha256 is not None:
            self._segment(leaf.file, leaf.sha256, leaf.call_id)
        elif leaf.kind == "walk" and leaf.sha256 is not None:
            self.walks.add(leaf.sha256)
        elif leaf.kind == "roles":
            self.roles = leaf.sha256
        elif leaf.kind == "vault":
            self.vault = leaf.vault
        elif leaf.kind in ("certificate", "destruction") and leaf.epoch is not None and leaf.sha256 is not None:
            self.certificate_files[leaf.file or f"{leaf.epoch}.json"] = leaf.sha256
            if leaf.kind == "destruction":
                self.destroyed_epochs.add(leaf.epoch)
        elif leaf.kind == "close" and leaf.call_id is not None:
            self.last_close = (leaf.call_id, leaf.seq) if leaf.seq is not None else None
            if segment := self.segments.get(self._written_in.pop(leaf.call_id, "")):
                segment.written = True  # before its call was sealed
                segment.before.clear()
        elif leaf.kind == "amendment" and leaf.call_id is not None and leaf.sha256 is not None:
            self.amendments.setdefault(leaf.call_id, []).append(leaf.sha256)
        elif leaf.call_id is not None and leaf.kind in ("hold", "destruction"):
            if leaf.kind == "destruction":
                self.destroyed.add(leaf.call_id)
                self.amendments.pop(leaf.call_id, None)
            self.holds.pop(leaf.call_id, None)
            if leaf.kind == "hold" and not leaf.ended:
                self.holds[leaf.call_id] = leaf.sha256

    def _segment(self, name: str, sha256: str, call_id: str | None) -> None:
        old = self.segments.get(name)
        if call_id is None:  # adopted: the file existed already
            self.segments[name] = Segment(sha256, written=True)
            return
        # The sets of the earlier leaf are taken over: copies would grow with the square of a log's leaves.
        before, calls = (set[str](), {call_id}) if old is None else (old.before, old.calls)
        if old is not None:
            before.add(old.sha256)
            calls.update([call_id] if calls else [])
        self.segments[name] = Segment(sha256, before=before, calls=calls)
        self._written_in[call_id] = name


MOST_LISTED = 20
MOST_KNOWN = 100_000  # limits a forged log
_LONGEST = 200


class LogWeakened:
    """Collects the weakenings that a log records: they show a verifier which calls were not recorded or announced
    meanwhile."""

    def __init__(self) -> None:
        self._known: dict[str, Leaf] = {}  # the first of each
        self._steps: dict[str, str] = {}  # the last of each

    def check_leaf(self, leaf: Leaf) -> None:
        if leaf.kind != "weakening" or leaf.id is None or leaf.step is None:
            return
        if leaf.id in self._known or len(self._known) < MOST_KNOWN:
            self._known.setdefault(leaf.id, leaf)
            self._steps[leaf.id] = leaf.step

    def notes(self) -> list[str]:
        """Weakenings that took effect; held, cancelled or withdrawn ones did not."""
        found = [
            f"weakened by {_plain(leaf.by or '?')} at {_plain(leaf.at)}: {_plain(', '.join(leaf.codes))}"
            f" ({'confirmed' if self._steps[name] == 'confirmed' else 'not confirmed'})"
            for name, leaf in self._known.items()
            if self._steps[name] not in ("asked", "held", "cancelled", "withdrawn")
        ]
        more = len(found) - MOST_LISTED
        return [*found[-MOST_LISTED:], *([f"{more} weakenings before these"] if more > 0 else [])]


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:_LONGEST])
