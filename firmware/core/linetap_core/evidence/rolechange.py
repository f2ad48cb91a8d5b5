# SPDX-License-Identifier: Apache-2.0
"""What another roles.json changes of who may command. Pure. Nobody is named: a role and a key's fingerprint do."""

from __future__ import annotations

from linetap_core.evidence.keys import fingerprint
from linetap_core.evidence.roles import Person, Roles, public_key


def fingerprint_of(person: Person) -> str:
    return fingerprint(public_key(person.key))


def what(old: Roles, new: Roles) -> list[str]:
    """Of everybody who commands or approves. Who only opens recordings (custodians) is the key list's to say."""
    before, after = _keys(old), _keys(new)
    told = [f"no more {role} {key}" for role, key in sorted(before - after)]
    told += [f"new {role} {key}" for role, key in sorted(after - before)]
    if old.witnesses is not None and new.witnesses != old.witnesses:
        told.append("no policy of witnesses" if new.witnesses is None else "another policy of witnesses")
    return told


def stayed(old: Roles, new: Roles) -> list[str]:
    """Fingerprints of those who may confirm the change, and were there before it: vault officers and approvers."""
    confirm = {(role, key) for role, key in _keys(old) & _keys(new) if role not in ("operator", "desk", "authority")}
    return sorted(key for _, key in confirm)


def _keys(of: Roles) -> set[tuple[str, str]]:
    return {(each.role, fingerprint_of(each)) for each in of.people if each.role != "custodian"}
