# SPDX-License-Identifier: Apache-2.0
"""One call as the PBX saw it."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["in", "out", "internal", "connected", "unknown"]  # `connected`: it says that, and nothing of the end


class SmdrLine(msgspec.Struct, frozen=True, kw_only=True):
    """Times are UTC nanoseconds: `started_ns` by the clock of the PBX, `arrived_ns` by ours."""

    raw: str
    arrived_ns: int
    started_ns: int
    kind: Kind = "unknown"
    duration_s: int | None = None
    extension: str = ""
    trunk: str = ""
    number: str = ""  # digits, * and #: dialled, or the caller's
