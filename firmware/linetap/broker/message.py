# SPDX-License-Identifier: Apache-2.0
"""What is published, and the MQTT 5 properties that it travels with."""

from __future__ import annotations

from dataclasses import dataclass

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from linetap.evidence.sshsig import unarmored

CONTENT_TYPE = "application/json"
SCHEMA_VERSION = "1"
_UTF8 = 1  # payload format indicator


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

    def properties(self, packet: int = PacketTypes.PUBLISH) -> Properties:
        """For that packet: a publication or a will."""
        properties = Properties(packet)  # type: ignore[no-untyped-call]
        if not self.payload:
            return properties
        if self.content_type == CONTENT_TYPE:
            properties.PayloadFormatIndicator = _UTF8
        properties.ContentType = self.content_type
        if self.expiry_s is not None:
            properties.MessageExpiryInterval = self.expiry_s
        if self.correlation is not None:
            properties.CorrelationData = self.correlation
        pairs = [("schema", SCHEMA_VERSION), *self.more]
        if self.sig is not None:
            pairs.append(("sig", unarmored(self.sig)))
        properties.UserProperty = pairs
        return properties
