# SPDX-License-Identifier: Apache-2.0
"""The certificate that an epoch's keys were destroyed, signed in namespace linetap-certificate; and who has none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec

from linetap.clock import from_utc_ns, parse_rfc3339
from linetap.desk import callfolder, signed
from linetap.errors import Refusal
from linetap.evidence import sshsig
from linetap.evidence.keylist import KeyList, end_of
from linetap.evidence.signers import Signer, require_named

NAMESPACE = "linetap-certificate"
WITHIN = timedelta(hours=24)
LIMIT_BYTES = 1 << 20


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What was destroyed, when, and under which rule. `canaries`: SHA-256 of those that opened before and not after."""

    epoch: str
    recipient: str
    index: str | None
    ended_at: str | None
    destroyed_at: str
    rule: str
    key_list_version: int
    files: list[str]
    sheets: int
    copies: int  # of the key of calls, files and sheets together
    canaries: dict[str, str]
    tree_head: dict[str, Any] | None = None


def path_of(folder: Path, epoch: str) -> Path:
    return folder / f"{epoch}.destroyed.json"


def overdue(key_list: KeyList, folder: Path, now_ns: int, signers: list[Signer] | None) -> Iterator[str]:
    """A line for each day that ended more than 24 h ago and has no certificate that holds."""
    for epoch in key_list.epochs:
        ended = end_of(date.fromisoformat(epoch.day), key_list.zone)
        if from_utc_ns(now_ns) - ended <= WITHIN:
            return
        path = path_of(folder, epoch.day)
        if not path.exists():
            yield f"{epoch.day} ended at {ended:%Y-%m-%dT%H:%MZ}: no certificate of its destruction"
            continue
        try:
            found = read(path, signers)
            if (found.epoch, found.recipient, found.index) != (epoch.day, epoch.recipient, epoch.index):
                raise Refusal("it is of other keys")
        except Refusal as error:
            yield f"{epoch.day}: {path}: {error}"


def read(path: Path, signers: list[Signer] | None) -> Certificate:
    """Without `signers`: signed, by whomever."""
    data = callfolder.read(path, LIMIT_BYTES)
    signature = callfolder.read(signed.signature_of(path), sshsig.SIGNATURE_LIMIT_BYTES)
    key = sshsig.check(data, signature, NAMESPACE)
    try:
        found = msgspec.json.decode(data, type=Certificate)
        at = from_utc_ns(parse_rfc3339(found.destroyed_at))
    except ValueError as error:
        raise Refusal(f"not a certificate: {error}") from None
    if signers is not None:
        require_named(key, NAMESPACE, signers, at)
    return found
