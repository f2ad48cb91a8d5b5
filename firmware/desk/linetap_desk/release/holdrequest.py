# SPDX-License-Identifier: Apache-2.0
"""An officer's request for a hold, which the desk gives to the vault officer with the call. It is a suggestion: only
the vault officer's signed hold counts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_desk.inputs import strict

NAME = "hold-asked.json"
LIMIT_BYTES = 16 << 10
Text = Annotated[str, Meta(max_length=400)]


class HoldRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request. `id`: of the request at the desk. `until`: RFC 3339."""

    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,63}\Z")]
    unit: Text
    call_id: Text
    case: Text
    basis: Text
    until: Text


def encode(asked: HoldRequest) -> bytes:
    return msgspec.json.encode(asked) + b"\n"


def decode(data: bytes) -> HoldRequest:
    """The request. BadInput if it is malformed."""
    return strict.decode(data, HoldRequest)
