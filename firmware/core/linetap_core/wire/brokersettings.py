# SPDX-License-Identifier: Apache-2.0
"""[broker] of unit.toml and desk.toml: how the broker is reached. A unit and a desk have the same keys."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Broker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    host: str = "localhost"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8883
    ca: str | None = None  # TLS when set; plain only on the loopback
    certificate: str | None = None
    key: str | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
