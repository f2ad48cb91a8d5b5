# SPDX-License-Identifier: Apache-2.0
"""A signed amendment: times of a call that its record has from a wrong clock, or lacks without a clock.

The record stays as it was sealed. `amended/CALL_ID.001.json` is beside it, with the unit's signature; the highest
number counts, and the log has a leaf with the SHA-256 of each. It is signed in the records' namespace, which every list
of signers grants to its units; `suite` differs from a record's, so that neither can be mistaken for the other.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.clock import LATEST_NS, from_utc_ns, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.digest import Sha256
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer, require_trust

FOLDER = "amended"  # in a vault
SUITE = "linetap-amendment-1"
LIMIT_BYTES = 4096
MOST = 99  # of one call
NAME = re.compile(r"(.{1,64})\.(\d{3})\.json", re.ASCII)


class Amendment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times of a call. `began_at`, `ended_at`: the latest possible, from counted time; the call may have been up to
    `uncertainty_s` earlier. None: no bound is known.
    """

    suite: str
    unit: str
    call_id: str
    number: Annotated[int, Meta(ge=1, le=MOST)]
    record_sha256: Sha256
    began_at: str
    ended_at: str
    uncertainty_s: Annotated[int, Meta(ge=0)] | None
    until: str
    made_at: str


class BadAmendment(Refusal):
    """The bytes are no amendment, or one of another call."""

    code = "bad_amendment"


def encode(document: Amendment) -> bytes:
    """The bytes to sign."""
    return msgspec.json.encode(document)


def decode(data: bytes) -> Amendment:
    """The amendment in `data`. BadAmendment unless `data` is the exact output of `encode`."""
    if len(data) > LIMIT_BYTES:
        raise BadAmendment(f"not an amendment: larger than {LIMIT_BYTES} bytes")
    try:
        found = jsontext.decode(data, type=Amendment)
        moments = [parse_rfc3339(each) for each in (found.began_at, found.ended_at, found.until)]
        parse_rfc3339(found.made_at)
    except ValueError as error:
        raise BadAmendment(f"not an amendment: {error}") from None
    try:
        sealed.call_time(found.call_id)
    except BadInput as error:
        raise BadAmendment(f"not an amendment: {error}") from None
    if found.suite != SUITE:
        raise BadAmendment(f"not an amendment: of suite {found.suite[:40]!r}")
    if moments[1] >= LATEST_NS:  # a period of retention may be endless
        raise BadAmendment(f"not an amendment: ended_at {found.ended_at}; before {rfc3339(LATEST_NS)} expected")
    if moments != sorted(moments):
        raise BadAmendment("not an amendment: began_at, ended_at and until are not in this order")
    if encode(found) != data:
        raise BadAmendment("not an amendment as a unit writes it: the file was changed")
    return found


def check(
    data: bytes,
    armored: bytes,
    unit: str,
    call_id: str,
    record_sha256: str,
    signers: list[Signer] | None,
    file_name: str = "",
) -> Amendment:
    """Returns the amendment of this record, signed by its unit; `signers` are the trusted keys. `file_name`: in a vault
    it has the number, by which the newest is found; a bundle has only the newest.

    Otherwise a Refusal (BadAmendment or a SignatureFault).
    """
    found = decode(data)
    if (found.unit, found.call_id, found.record_sha256) != (unit, call_id, record_sha256):
        raise BadAmendment(f"it is of {found.call_id} of {found.unit}, or of another record")
    if (named := NAME.fullmatch(file_name)) is not None and int(named[2]) != found.number:
        raise BadAmendment(f"it is number {found.number} of the call: another one was put in its place")
    key = sshsig.check(data, armored, namespaces.RECORD)
    if signers is not None:
        require_trust(key, namespaces.RECORD, signers, unit, from_utc_ns(parse_rfc3339(found.made_at)))
    return found


def name(call_id: str, number: int) -> str:
    """The amendment's file name in FOLDER."""
    return f"{call_id}.{number:03d}.json"


def amendment_path(call_id: str, number: int) -> PurePosixPath:
    """The path of an amendment in a vault, and below its unit in a store: amended/<call_id>.001.json."""
    return PurePosixPath(FOLDER) / name(call_id, number)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
