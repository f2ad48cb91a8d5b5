# SPDX-License-Identifier: Apache-2.0
"""A broker's address and credentials, [broker] of unit.toml and desk.toml, with the same keys in both; and one message.

Separate from topics.py, which loads the code that verifies signatures: 7 MB in every service that only needs the
configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta


class Broker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    host: str = "localhost"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8883
    ca: str | None = None  # TLS if set; without it only on the loopback
    certificate: str | None = None
    key: str | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    # whether it sends retained messages for a wildcard filter; RabbitMQ does not
    retained: bool = True


CONTENT_TYPE = "application/json"
PUBLIC_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"  # Debian's, also in the image


@dataclass(frozen=True, slots=True)
class Message:
    """One publication, always QoS 1. `sig` is an armored SSHSIG; an empty retained payload clears the topic;
    `correlation` is that of the command. A payload that is not JSON has a `content_type` and further properties in
    `more`."""

    topic: str
    payload: bytes
    retain: bool = False
    expiry_s: int | None = None
    sig: str | None = None
    correlation: bytes | None = None
    content_type: str = CONTENT_TYPE
    more: tuple[tuple[str, str], ...] = ()
