# SPDX-License-Identifier: Apache-2.0
"""The MQTT 5 properties that a message travels with."""

from __future__ import annotations

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from linetap_core.evidence.sshsig import unarmored
from linetap_core.wire.message import CONTENT_TYPE, Message

SCHEMA_VERSION = "1"
_UTF8 = 1  # payload format indicator


def properties_of(message: Message, packet: int = PacketTypes.PUBLISH) -> Properties:
    """For that packet: a publication or a will."""
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    if not message.payload:
        return properties
    if message.content_type == CONTENT_TYPE:
        properties.PayloadFormatIndicator = _UTF8
    properties.ContentType = message.content_type
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    pairs = [("schema", SCHEMA_VERSION), *message.more]
    if message.sig is not None:
        pairs.append(("sig", unarmored(message.sig)))
    properties.UserProperty = pairs
    return properties
