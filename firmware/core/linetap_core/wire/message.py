# SPDX-License-Identifier: Apache-2.0
"""What is published, before anything is known of a broker."""

from __future__ import annotations

from dataclasses import dataclass

CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Message:
    """One publication, always QoS 1. `sig` is an armored SSHSIG; an empty retained payload takes back the topic;
    `correlation` is what a command came with. What is no JSON has a `content_type` and `more` properties of its own."""

    topic: str
    payload: bytes
    retain: bool = False
    expiry_s: int | None = None
    sig: str | None = None
    correlation: bytes | None = None
    content_type: str = CONTENT_TYPE
    more: tuple[tuple[str, str], ...] = ()
