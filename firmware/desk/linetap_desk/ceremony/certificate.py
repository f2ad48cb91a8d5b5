# SPDX-License-Identifier: Apache-2.0
"""The certificate of the destruction of an epoch's keys, signed in namespace linetap-certificate; and the overdue days
that lack one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.durable import signedfile
from linetap_core.errors import Refusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import members
from linetap_core.evidence.sealing.keylist import Epoch, KeyList
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer, require_named
from linetap_core.zones import end_of
from linetap_desk.ceremony.sheets import OFFICER
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder

SUFFIX = ".destroyed.json"
_BEGUN = ".destroying.json"
WITHIN = timedelta(hours=24)
LIMIT_BYTES = 1 << 20


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The destroyed keys, the time, and the rule. `canaries`: SHA-256 of those that opened before and not after.

    `officers`: the members of a group whose keys were destroyed; `needed` of `of` open the epoch.
    """

    epoch: str
    recipient: str
    index: str | None
    ended_at: str | None
    destroyed_at: str
    rule: str
    key_list_version: int
    files: list[str]
    sheets: int
    copies: int  # of the key of calls, on files and sheets
    canaries: dict[str, str]
    tree_head: dict[str, Any] | None = None
    witnessed: dict[str, str] | None = None  # the witnesses' result for each unit's log, before the destruction
    officers: list[int] = []
    of: int = 1
    needed: int = 1
    second: str | None = None  # key fingerprint of the second person, who signed too (`second_of`)


def second_of(path: Path) -> Path:
    """The path of the second person's signature, beside the officer's."""
    return namespaces.signature_path(path.with_name(f"{path.name}.second"))


def path_of(folder: Path, epoch: str, officers: list[int] | None = None) -> Path:
    """The certificate's path. `officers`: some members of a group, if not the keys of all are concerned."""
    whose = f".{OFFICER}{'-'.join(map(str, officers))}" if officers else ""
    return folder / f"{epoch}{whose}{SUFFIX}"


def journal_of(path: Path) -> Path:
    """The path of the journal of the destruction in progress (destroying.py)."""
    return path.with_name(f"{path.name.removesuffix(SUFFIX)}{_BEGUN}")


def places_begun(folder: Path, epoch: str) -> list[Path]:
    """The paths of the certificates whose destruction was begun and is not complete."""
    found = [*folder.glob(f"{epoch}{_BEGUN}"), *sorted(folder.glob(f"{epoch}.{OFFICER}*{_BEGUN}"))]
    return [path.with_name(f"{path.name.removesuffix(_BEGUN)}{SUFFIX}") for path in found]


def still_open(gone: set[int], of: int, needed: int) -> str | None:
    """A text if the remaining officers can open the epoch; None if they cannot."""
    left = of - len(gone)
    return f"{left} of {of} officers have their keys, and {needed} open it" if left >= needed else None


def overdue(key_list: KeyList, folder: Path, now_ns: int, signers: list[Signer] | None) -> Iterator[str]:
    """A line for each day that ended more than 24 h ago without a valid certificate, and for a list that lacks such
    a day: an older copy would hide it."""
    for epoch in key_list.epochs:
        ended = end_of(date.fromisoformat(epoch.day), key_list.zone)
        if from_utc_ns(now_ns) - ended <= WITHIN:
            return
        gone: set[int] = set()
        count = len(members.parse(epoch.recipient).recipients)
        paths = [path for path in paths_of(folder, epoch.day) if path.exists()]
        valid = 0
        for path in paths:
            try:
                gone |= _destroyed_officers(read(path, signers), epoch, count)
                valid += 1
            except Refusal as error:
                yield f"{epoch.day}: {path}: {error}"
        begun = map(journal_of, places_begun(folder, epoch.day))
        more = "".join(f"; {each}: the same `epoch destroy` completes it" for each in begun)
        if not paths:
            yield f"{epoch.day} ended at {ended:%Y-%m-%dT%H:%MZ}: no certificate of its destruction{more}"
        elif valid and len(gone) < count:
            left = ", ".join(str(officer) for officer in range(1, count + 1) if officer not in gone)
            opens = still_open(gone, count, members.parse(epoch.recipient).needed) or "nothing opens it"
            yield f"{epoch.day} ended at {ended:%Y-%m-%dT%H:%MZ}: no certificate of officer {left}; {opens}{more}"
    following = key_list.last_day + timedelta(days=1)
    if from_utc_ns(now_ns) - end_of(following, key_list.zone) > WITHIN:
        yield f"the key list (version {key_list.version}) ended with {key_list.last_day}: the newest one expected"


def named_gone(folder: Path, epoch: str, of: int) -> set[int]:
    """The officers whose keys have a certificate, by the names of the files."""
    if path_of(folder, epoch).exists():
        return set(range(1, of + 1))
    names = [path.name.removeprefix(f"{epoch}.{OFFICER}").partition(".")[0] for path in paths_of(folder, epoch)[1:]]
    return {int(number) for name in names for number in name.split("-") if number.isdecimal()}


def paths_of(folder: Path, day: str) -> list[Path]:
    """The paths of an epoch's certificates: of all its officers, which may be missing, then of some each."""
    return [path_of(folder, day), *sorted(folder.glob(f"{day}.{OFFICER}*{SUFFIX}"))]


def _destroyed_officers(found: Certificate, epoch: Epoch, count: int) -> set[int]:
    """The officers whose keys of that day the certificate names as destroyed; without a group, officer 1."""
    if (found.epoch, found.recipient, found.index) != (epoch.day, epoch.recipient, epoch.index):
        raise Refusal("it is of other keys")
    return set(found.officers) & set(range(1, count + 1)) if count > 1 else {1}


def read(path: Path, signers: list[Signer] | None) -> Certificate:
    """Reads and checks a certificate. Without `signers` any signature is accepted."""
    data = callfolder.read(path, LIMIT_BYTES)
    signature = callfolder.read(signedfile.signature_of(path), sshsig.SIGNATURE_LIMIT_BYTES)
    key = sshsig.check(data, signature, namespaces.CERTIFICATE)
    try:
        found = strict.decode(data, Certificate)
        at = from_utc_ns(parse_rfc3339(found.destroyed_at))
    except (ValueError, RecursionError) as error:
        raise Refusal(f"not a certificate: {error}") from None
    if found.second is not None:
        armored = callfolder.read(second_of(path), sshsig.SIGNATURE_LIMIT_BYTES)
        second = sshsig.check(data, armored, namespaces.CERTIFICATE)
        if keys.fingerprint(second) != found.second or second == key:
            raise Refusal(f"{second_of(path).name}: not by the second person whom the certificate names")
        if signers is not None:
            require_named(second, namespaces.CERTIFICATE, signers, at)
    if signers is not None:
        require_named(key, namespaces.CERTIFICATE, signers, at)
    return found
