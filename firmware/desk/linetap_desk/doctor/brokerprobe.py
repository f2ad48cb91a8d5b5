# SPDX-License-Identifier: Apache-2.0
"""Checks that the broker is reachable, has the right name, refuses a client without a certificate, and refuses messages
published under another's name. It never uses the ingest's certificate: that would end the ingest's session."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import msgspec

from linetap_core.broker.client import tls_context
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import BadInput
from linetap_core.wire.mqtt import Broker
from linetap_core.wire.topics import Topics
from linetap_desk.doctor import Finding
from linetap_desk.setup import machine

_LIMIT_S = 10
_NOT_AUTHORIZED = 0x87  # MQTT 5, 3.4.2.1
_STRANGER = Topics("linetap-doctor").named("status")  # a topic that only that unit may publish
_LOG = f"journalctl -eu {machine.BROKER_UNIT}"
_CERTIFICATES = "linetap desk setup lays the authority's certificates there"


def probe(broker: Broker, clock: Clock) -> Iterator[Finding]:
    """The findings. `broker`: with the doctor's own certificate."""
    at = f"{broker.host}:{broker.port}"
    try:
        own, nobody = (tls_context(each) for each in (broker, _without_certificate(broker)))
        _reach(broker, own)
    except BadInput as error:
        yield Finding("broker", str(error), _CERTIFICATES)
        return
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason
        yield Finding("broker", f"{at}: TLS: {why}", f"{_CERTIFICATES}; {_LOG}")
        return
    except OSError as error:
        yield Finding("broker", f"{at}: {error.strerror or error}", f"systemctl status {machine.BROKER_UNIT}; {_LOG}")
        return
    if own is None or nobody is None:
        yield Finding("broker", f"{at}: answers, without TLS", "for a trial only: broker.ca in desk.toml")
        return
    trouble, refused = _talk(broker, own, clock)
    if trouble:
        yield Finding("broker", f"{at}: {trouble}", f"{_CERTIFICATES}; {_LOG}")
        return
    yield Finding("broker", f"{at}: answers by TLS, by its right name")
    closed = _talk(broker, nobody, clock)[0]
    yield Finding(
        "broker without a certificate", closed or "is let in",
        "" if closed else "require_certificate true in /etc/mosquitto/conf.d/linetap.conf",
    )  # fmt: skip
    yield Finding(
        "acl", "nobody speaks as another" if refused else "whoever has a certificate may speak as any unit",
        "" if refused else "acl_file in /etc/mosquitto/conf.d/linetap.conf: docs/broker.md",
    )  # fmt: skip


def _reach(broker: Broker, context: ssl.SSLContext | None) -> None:
    """OSError if the broker cannot be reached; its subclass SSLError if the certificate is wrong."""
    with socket.create_connection((broker.host, broker.port), _LIMIT_S) as plain:
        if context is not None:
            context.wrap_socket(plain, server_hostname=broker.host).close()


def _without_certificate(broker: Broker) -> Broker:
    return msgspec.structs.replace(broker, certificate=None, key=None)


def _talk(broker: Broker, context: ssl.SSLContext, clock: Clock) -> tuple[str, bool]:
    """The reason for a missing connection, or an empty text; and whether publishing under another's name was
    refused."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="", protocol=mqtt.MQTTv5)
    client.tls_set_context(context)
    seen: dict[str, Any] = {}
    client.on_connect = lambda _c, _u, _f, reason, _p: seen.setdefault("connected", reason)
    client.on_publish = lambda _c, _u, _m, reason, _p: seen.setdefault("said", reason)
    client.on_disconnect = lambda _c, _u, _f, reason, _p: seen.setdefault("gone", reason)
    end_ns = clock.monotonic_ns() + _LIMIT_S * NS_PER_S
    try:
        client.connect(broker.host, broker.port, _LIMIT_S)
        while not seen.keys() & {"said", "gone"} and clock.monotonic_ns() < end_ns:
            if client.loop(0.2) != mqtt.MQTT_ERR_SUCCESS:
                break
            if "connected" in seen and "asked" not in seen and not seen["connected"].is_failure:
                seen["asked"] = client.publish(_STRANGER, b"", qos=1)
    except OSError as error:
        return error.strerror or str(error), False
    finally:
        client.disconnect()
    if "connected" not in seen:
        return "refused: the connection was ended", False
    if seen["connected"].is_failure:
        return f"refused: {seen['connected']}", False
    return "", "said" in seen and seen["said"].value == _NOT_AUTHORIZED
