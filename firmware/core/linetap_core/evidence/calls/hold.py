# SPDX-License-Identifier: Apache-2.0
"""Documents that wrap a call's inner key for another epoch: a hold, or a re-wrapping for the call's own day.

Signed by the vault officer in namespace linetap-hold (hold.json or rewrap.json, with the new key.age beside it). The
record stays as it was sealed; the document names it by its hash.
"""

from __future__ import annotations

import msgspec

from linetap_core import jsontext
from linetap_core.errors import Refusal

HOLD = "hold.json"
REWRAP = "rewrap.json"
LIMIT_BYTES = 64 * 1024


class Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    """The wrapped key. `from_epoch`: as in the record; `to`: the recipient who can open the new key.age."""

    call_id: str
    unit: str
    record_sha256: str
    key_sha256: str  # of the new key.age
    from_epoch: str
    to: str
    made_at: str


class Hold(Wrapped, frozen=True, kw_only=True, tag="hold", tag_field="kind"):
    """The call is kept for a case until `until`, by which the hold must be renewed."""

    case: str
    basis: str
    until: str


class Rewrap(Wrapped, frozen=True, kw_only=True, tag="rewrap", tag_field="kind"):
    """The call now has the epoch of its day; `until` is that day's end."""

    epoch: str
    until: str


def encode(document: Hold | Rewrap) -> bytes:
    """The bytes to sign."""
    return msgspec.json.encode(document)


def decode(data: bytes) -> Hold | Rewrap:
    """The document in `data`, without a check of its signature. Refusal if it is neither kind."""
    try:
        return jsontext.decode(data, type=Hold | Rewrap)
    except ValueError as error:
        raise Refusal(f"not a hold or a re-wrapping: {error}") from None
