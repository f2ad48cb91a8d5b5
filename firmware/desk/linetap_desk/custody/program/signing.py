# SPDX-License-Identifier: Apache-2.0
"""Signs the authority's documents: roles.json, a key list, a unit's order, a unit's certificate. The code of the later
readers parses each document; it is shown in words, and the shown bytes are signed. Each kind has its own signature
namespace; the members of k of n sign one after another, into one .sig."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linetap_core import jsontext
from linetap_core.clock import NS_PER_DAY, Clock, parse_rfc3339, rfc3339
from linetap_core.durable import signedfile
from linetap_core.durable.files import replace_durably
from linetap_core.enrolment import order, request
from linetap_core.enrolment.order import Order
from linetap_core.enrolment.request import Request
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import roles as rolesfile
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey
from linetap_core.evidence.sealing import keylist, members
from linetap_core.evidence.sealing.keylist import KeyList, KeyListFault
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.rundir import read_small
from linetap_core.tomlfile.source import Source
from linetap_desk.accesslog import roles as summaries
from linetap_desk.custody.program import steps
from linetap_desk.custody.program.settings import Settings
from linetap_desk.inputs import strict
from linetap_desk.pki import command
from linetap_desk.web.text import N_

_MOST_BYTES = keylist.LIST_LIMIT_BYTES
_AHEAD_NS = NS_PER_DAY
_SIG_BYTES = sshsig.MOST_ARMORED_BYTES
TITLES = {
    namespaces.ROLES: N_("Roles (roles.json)"),
    namespaces.KEY_LIST: N_("List of keys (keylist.json)"),
    namespaces.ORDER: N_("Configuration of a new unit (linetap.toml)"),
}


@dataclass(frozen=True, slots=True)
class AuthorityDocument:
    """A document to sign. `lines`: its content; `changes`: from the version in force here; `signed`: fingerprints of
    the signers."""

    path: Path
    data: bytes
    namespace: str
    lines: list[str]
    changes: list[str]
    signed: list[str]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def read(path: Path, in_force: Roles | None, last: KeyList | None, clock: Clock) -> AuthorityDocument:
    """Reads the document. BadInput if it would be refused even with signatures. `last`: the key list chosen here."""
    data = read_small(path, _MOST_BYTES)
    lines, changes = list[str](), list[str]()
    if path.suffix == ".toml":
        _require_made(path, order.read_at_desk(Source(path, data)), clock)
        namespace, lines = namespaces.ORDER, strict.legible_lines(data.decode("utf-8"), path)
    elif "epochs" in _names(path, data):
        namespace, (lines, changes) = namespaces.KEY_LIST, _key_list_lines(path, data, last)
    else:
        namespace, (lines, changes) = namespaces.ROLES, _roles_lines(path, data, in_force)
    signed = [keys.fingerprint(key) for key in _signers(path, data, namespace)]
    return AuthorityDocument(path, data, namespace, lines, changes, signed)


def _require_made(path: Path, found: Order, clock: Clock) -> None:
    """BadInput for an order from the future: a unit refuses an order older than its last one, so a date years ahead
    would block all later orders."""
    if found.made_at is not None and parse_rfc3339(found.made_at) > clock.utc_ns() + _AHEAD_NS:
        now = rfc3339(clock.utc_ns())
        raise BadInput(f"{path}: made_at = {found.made_at}, and it is {now} here: one of the two clocks is wrong")


def sign(paper: AuthorityDocument, sha256: str, key: Path) -> list[str]:
    """Adds a signature. BadInput if the file has changed since it was shown, or if this key has signed it already."""
    if sha256 != paper.sha256:
        raise BadInput(f"{paper.path}: has changed since it was shown: check it again")
    signer = signedfile.load_key(key)
    fingerprint = keys.fingerprint(signer.public_key())
    if fingerprint in paper.signed:
        raise BadInput(f"{paper.path}: this key has signed it already")
    place = namespaces.signature_path(paper.path)
    before = read_small(place, _SIG_BYTES) if paper.signed else b""
    replace_durably(place, before + sshsig.sign(paper.data, signer, paper.namespace).encode("ascii"))
    return [f"{place}: {len(paper.signed) + 1} signed, {fingerprint}"]


def _names(path: Path, data: bytes) -> set[str]:
    try:
        return set(jsontext.decode(data, type=dict[str, Any]))
    except ValueError as error:
        raise BadInput(f"{path}: {error}; roles.json or keylist.json expected") from None


def _signers(path: Path, data: bytes, namespace: str) -> list[PublicKey]:
    """The keys that signed these bytes. A signature of other bytes, as of an earlier version, does not count."""
    place = namespaces.signature_path(path)
    try:
        return sshsig.check_all(data, read_small(place, _SIG_BYTES), namespace) if place.exists() else []
    except sshsig.SignatureFault:
        return []


def _roles_lines(path: Path, data: bytes, in_force: Roles | None) -> tuple[list[str], list[str]]:
    try:
        found = rolesfile.parse(data)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    if in_force is not None and found.version <= in_force.version:
        text = f"version {found.version}, and version {in_force.version} is in force here: versions only grow"
        raise BadInput(f"{path}: {text}")
    changes = [] if in_force is None else rolesfile.changes(in_force, found)
    return [f"version {found.version}", *summaries.summary(found)[1:]], changes


def _key_list_lines(path: Path, data: bytes, last: KeyList | None) -> tuple[list[str], list[str]]:
    try:
        found = keylist.sound(data)
        if last is not None and last != found:
            keylist.require_follows(found, last)
    except KeyListFault as fault:
        raise BadInput(f"{path}: {fault}") from None
    who = members.parse(found.epochs[-1].recipient)
    lines = [
        f"version {found.version}, made at {found.made_at}",
        f"days     {found.first_day} to {found.last_day}, {found.zone}; the last opens by {who.in_words()}",
        f"overflow {', '.join(str(each.number) for each in found.overflow)}",
        *(f"custodian {each}" for each in found.custodians),
    ]
    return lines, [] if last is None else keylist.needs_fewer(found, last)


def read_request(path: Path) -> Request:
    """Reads a unit's request. BadInput for a file that no unit made."""
    try:
        return request.check(read_small(path, request.LIMIT_BYTES))
    except Refusal as fault:
        raise BadInput(f"{path}: not a unit's request: {fault}") from None


def fingerprint(asked: Request) -> str:
    return keys.fingerprint(asked.signer)


def enrol(path: Path, shown: str, renews: bool, settings: Settings, clock: Clock) -> list[str]:
    """Runs `linetap pki unit` or `renew`: writes the certificate as a file, and the unit's line of allowed_signers.
    `shown`: the fingerprint of the signing key that was shown."""
    authority = steps.needed(settings, "pki")
    target = steps.output_of(settings) / f"{read_request(path).unit}.pem"
    lines = steps.run_command(
        [command.add_arguments], command.run, clock,
        "renew" if renews else "unit", path, f"--fingerprint={shown}", f"--dir={authority}", f"--output={target}",
    )  # fmt: skip
    return [*lines, str(target)]
