# SPDX-License-Identifier: Apache-2.0
"""The people of a desk with their roles, and the purposes for opening a recording: roles.json, signed by the authority.

A person has one role and one key. The roles of the desk's own staff never approve; an approver's role has any other
name (privacy, legal). An approver's key may be a passkey, which approves releases and signs no command. `rules` and
`lines` determine the approvals for a purpose (releaserules.py). Units receive roles.json by a signed command, the desk
by `linetap roles use`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

import msgspec

from linetap_core.errors import BadInput, ShownRefusal
from linetap_core.evidence.authorization.releaserules import LineStaff, RequireText, Rule, check_lines, check_rules
from linetap_core.evidence.digest import is_sha256
from linetap_core.evidence.keys import passkey
from linetap_core.evidence.keys.keys import PublicKey, fingerprint, from_blob, public_blob
from linetap_core.evidence.keys.passkey import PasskeyKey
from linetap_core.evidence.keys.publickeys import ssh_blob
from linetap_core.evidence.signing import authority as authorities
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority

OFFICES = ("authority", "vault", "custodian", "operator", "desk")  # these never approve
NAME_LIMIT = 64
_TEXT_LIMIT = 1000
_MOST = 1000  # people, purposes
_ROLE = re.compile(r"[a-z][a-z0-9-]{0,31}")
_MOST_HOURS = 24 * 366


class RolesFault(ShownRefusal):
    """The roles file is invalid; `code` is the reason."""


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    role: str
    key: str  # `ssh-ed25519 AAAA...`, with an optional comment; for a passkey its id in the browser

    @property
    def blob(self) -> bytes:
        return public_blob(person_key(self.key))

    @property
    def approves(self) -> bool:
        return self.role not in OFFICES


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text_ko: str
    text_en: str
    basis: str  # the law, or the clause of the works agreement


class Witnesses(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The policy of witnesses in force with these roles, so that a missing policy is detected.

    `policy_sha256`: of the policy's file. `within_hours`: the longest time from a call's end to its first witness.
    """

    policy_sha256: str
    within_hours: int = 24


class Roles(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    version: int
    people: list[Person]
    purposes: list[Purpose]
    witnesses: Witnesses | None = None
    rules: list[Rule] = []
    lines: list[LineStaff] = []

    def holder(self, key: PublicKey) -> Person | None:
        """The person with this key."""
        blob = public_blob(key)
        return next((person for person in self.people if person.blob == blob), None)

    def person(self, name: str) -> Person | None:
        return next((p for p in self.people if document.name_key(p.name) == document.name_key(name)), None)

    def purpose(self, purpose_id: str) -> Purpose | None:
        return next((purpose for purpose in self.purposes if purpose.id == purpose_id), None)

    @property
    def unheld_offices(self) -> list[str]:
        """The offices without a person. The authority is no person of this file: its key is separate."""
        return [office for office in OFFICES[1:] if all(person.role != office for person in self.people)]

    @property
    def approver_roles(self) -> list[str]:
        return sorted({person.role for person in self.people if person.approves})


def public_key(line: str) -> PublicKey:
    """The key of a line `ssh-ed25519 AAAA... comment`, or of an ECDSA P-256 one; otherwise BadInput."""
    if (blob := ssh_blob(line)) is None:
        raise BadInput("not a public key: the ssh-ed25519 line of a .pub file expected")
    return from_blob(blob)


def person_key(line: str) -> PublicKey:
    """The key of such a line, or a passkey: the kinds that the roles file may name."""
    return passkey.from_line(line) or public_key(line)


def parse(data: bytes, *, in_force: bool = False) -> Roles:
    """The roles in `data`; BadInput names an invalid person or purpose. `check` verifies the signature. `in_force`: an
    earlier version took them, perhaps with characters that this one refuses; no two people may be one by them."""
    require = document.require_length if in_force else document.require_plain
    require_name = document.require_length if in_force else document.require_name
    roles = document.decode(data, Roles)
    if roles.version < 1:
        raise BadInput(f"version {roles.version}: 1 or more expected")
    if len(roles.people) > _MOST or len(roles.purposes) > _MOST:
        raise BadInput(f"more than {_MOST} people or purposes")
    if roles.witnesses is not None:
        _check_witnesses(roles.witnesses)
    for number, person in enumerate(roles.people, 1):
        _check_person(person, f"people[{number}]", require_name)
    for number, purpose in enumerate(roles.purposes, 1):
        _check_purpose(purpose, f"purposes[{number}]", require)
    _check_once(
        [document.name_key(person.name) for person in roles.people], "people", "one person has one role and key"
    )
    _check_once([person.blob for person in roles.people], "people", "a key is one person's")
    _check_once([purpose.id for purpose in roles.purposes], "purposes", "an id is one purpose's")
    check_rules(roles.rules, {purpose.id for purpose in roles.purposes}, OFFICES)
    approvers = {document.name_key(person.name) for person in roles.people if person.approves}
    check_lines(roles.lines, approvers, require_name)
    return roles


def check(
    data: bytes, armored: bytes, authority: PublicKey | Authority, at_least: int = 1, *, in_force: bool = False
) -> Roles:
    """The roles if the authority signed exactly these bytes and `version` >= `at_least`; otherwise RolesFault."""
    try:
        signed_by = sshsig.check_all(data, armored, namespaces.ROLES)
    except sshsig.SignatureFault as error:
        raise RolesFault("roles_signature", str(error)) from None
    if (wrong := authorities.of(authority).reason_against(signed_by)) is not None:
        raise RolesFault("roles_signer", f"not signed as the authority signs: {wrong}")
    roles = parse(data, in_force=in_force)
    if roles.version < at_least:
        raise RolesFault(
            "roles_rollback", f"version {roles.version} is older than version {at_least}, which was in use"
        )
    return roles


def _check_once(values: Sequence[Hashable], what: str, rule: str) -> None:
    seen: dict[Hashable, int] = {}
    for number, value in enumerate(values, 1):
        if seen.setdefault(value, number) != number:
            raise BadInput(f"{what}[{number}] is {what}[{seen[value]}] once more: {rule}")


def _check_person(person: Person, where: str, require: RequireText) -> None:
    require(person.name, f"{where}.name", NAME_LIMIT)
    if _ROLE.fullmatch(person.role) is None:
        raise BadInput(f"{where}.role: {person.role!r} is none: small letters, digits and - expected")
    try:
        key = person_key(person.key)
    except BadInput as error:
        raise BadInput(f"{where}.key: {error}") from None
    if isinstance(key, PasskeyKey) and not person.approves:
        raise BadInput(f"{where}.key: a passkey approves releases; role {person.role} needs a key that signs files")


def _check_witnesses(witnesses: Witnesses) -> None:
    if not is_sha256(witnesses.policy_sha256):
        raise BadInput("witnesses.policy_sha256: what `sha256sum policy` prints expected")
    if not 1 <= witnesses.within_hours <= _MOST_HOURS:
        raise BadInput(f"witnesses.within_hours {witnesses.within_hours}: 1 to {_MOST_HOURS} expected")


def _check_purpose(purpose: Purpose, where: str, require: RequireText) -> None:
    if _ROLE.fullmatch(purpose.id) is None:
        raise BadInput(f"{where}.id: {purpose.id!r} is none: small letters, digits and - expected")
    for name in ("text_ko", "text_en", "basis"):
        require(getattr(purpose, name), f"{where}.{name}", _TEXT_LIMIT)


def fingerprint_of(person: Person) -> str:
    return fingerprint(person_key(person.key))


def changes(old: Roles, new: Roles) -> list[str]:
    """The changed commanders and approvers of another roles.json, by role and fingerprint. Custodians only open
    recordings, and are part of the key list.
    """
    before, after = _keys(old), _keys(new)
    changes = [f"no more {role} {key}" for role, key in sorted(before - after)]
    changes += [f"new {role} {key}" for role, key in sorted(after - before)]
    if old.witnesses is not None and new.witnesses != old.witnesses:
        changes.append("no policy of witnesses" if new.witnesses is None else "another policy of witnesses")
    if new.rules != old.rules:
        changes.append("other rules of releases")
    return changes


def remaining_confirmers(old: Roles, new: Roles) -> list[str]:
    """Fingerprints of the vault officers and approvers in both versions, who may confirm the change."""
    confirm = {(role, key) for role, key in _keys(old) & _keys(new) if role not in ("operator", "desk", "authority")}
    return sorted(key for _, key in confirm)


def _keys(of: Roles) -> set[tuple[str, str]]:
    return {(each.role, fingerprint_of(each)) for each in of.people if each.role != "custodian"}
