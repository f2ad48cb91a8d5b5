# SPDX-License-Identifier: Apache-2.0
"""`confirmed.json` beside the outbox's segments: up to where the desk has everything, and what it never got."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core.durable.smallfile import SmallFile

CONFIRMED = "confirmed.json"  # in the outbox's folder


class Lost(msgspec.Struct, frozen=True):
    """Events that were dropped before the desk had confirmed them, and the number of the one that says so."""

    first: int
    last: int
    word: int


class Confirmed(msgspec.Struct):
    through: Annotated[int, Meta(ge=0)]
    lost: Lost | None = None


CONFIRMED_FILE = SmallFile("confirmed", Confirmed, 4096)
