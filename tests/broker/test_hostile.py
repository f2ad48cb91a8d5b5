# SPDX-License-Identifier: Apache-2.0
"""Both clients at a hostile broker: they log why they leave it, keep no memory of it, and reconnect."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ends import End, IngestEnd, ReporterEnd

from broker import HOST, Broker, Desk, until
from hostile import ACCEPTED, Attack, Hostile
from linetap_core.wire.mqtt import Broker as BrokerConfig
from memory import peak_bytes, peak_from_now

ROOM_BYTES = 6 << 20  # allowed growth of a process for other reasons
TOPIC = b"linetap/v1/floor-03/cmd/ack"  # not a report for the desk, which acknowledges it nevertheless
FORBIDDEN = bytes.fromhex("900400010087")  # SUBACK
TOO_MUCH, UNASKED = "the broker sends more than was agreed", "the broker sent an unrequested packet"


def publication(mid: int, qos: int = 1, payload: bytes = b"x" * 100) -> bytes:
    body = len(TOPIC).to_bytes(2) + TOPIC + (mid.to_bytes(2) if qos else b"") + b"\x00" + payload
    return bytes([0x30 | qos << 1]) + length(len(body)) + body


def length(value: int) -> bytes:
    """MQTT's variable byte integer, always in four bytes."""
    return bytes((value >> 7 * n & 0x7F) | (0x80 if n < 3 else 0) for n in range(4))


UNPROMISED = publication(0, 0)
FLOOD = b"".join(map(publication, range(1, 2000)))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, edition: str) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), edition=edition) as running:
        yield running


@pytest.fixture(scope="module")
def hostile(broker: Broker) -> Iterator[Hostile]:
    with Hostile(broker.port) as between:
        yield between


@pytest.fixture(scope="module", params=["reporter", "ingest"])
def end(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, broker: Broker, hostile: Hostile
) -> Iterator[End]:
    hostile.attacks(None)
    folder = tmp_path_factory.mktemp(request.param)
    run_dir = Path(tempfile.mkdtemp(prefix="linetap-test-", dir="/dev/shm"))
    to = BrokerConfig(host=HOST, port=hostile.port, keepalive_s=5)
    with Desk(broker.port, client_id="a-unit", topics="none") as unit:

        def publish(topic: str, payload: bytes, sig: str) -> None:
            unit.publish(topic, payload, sig=sig)

        with (
            ReporterEnd(folder, run_dir, to)
            if request.param == "reporter"
            else IngestEnd(run_dir / "desk", to, publish) as end
        ):
            end.works()  # loads all its modules before memory is measured
            yield end
    shutil.rmtree(run_dir)


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        pytest.param(Attack(ACCEPTED, holds=True), "no answer for", id="never acknowledges"),
        pytest.param(Attack(ACCEPTED + publication(1)[:60]), "no connection", id="hangs up in mid-packet"),
        pytest.param(Attack(ACCEPTED, publication(1, 1, b"x" * 10_000_000)), TOO_MUCH, id="10 MB payloads"),
        pytest.param(Attack(ACCEPTED, FLOOD, 4 << 20, holds=True), "no connection", id="floods"),
        pytest.param(Attack(ACCEPTED, 2000 * publication(1)), TOO_MUCH, id="floods by one message id"),
        pytest.param(Attack(ACCEPTED, 2000 * UNPROMISED, 4 << 20, holds=True), "no connection", id="floods by QoS 0"),
        pytest.param(Attack(ACCEPTED, b"".join(publication(n, 2) for n in range(1, 2000))), UNASKED, id="QoS 2"),
        pytest.param(Attack(b"", 5000 * ACCEPTED, holds=True), TOO_MUCH, id="accepts again and again"),
        pytest.param(Attack(ACCEPTED, 5000 * FORBIDDEN, 1 << 20, holds=True), "no connection", id="forbids for ever"),
        pytest.param(Attack(ACCEPTED, 5000 * b"\xc0\x00", holds=True), UNASKED, id="pings, and reads no answer"),
        pytest.param(Attack(ACCEPTED, 5000 * b"\x62\x02\x00\x01", holds=True), UNASKED, id="releases, reads no answer"),
    ],
)
def test_a_hostile_broker_is_left_and_keeps_nothing_busy(end: End, hostile: Hostile, attack: Attack, said: str) -> None:
    before = len(end.said())
    peak_from_now(end.pid)
    resident = peak_bytes(end.pid)
    hostile.attacks(attack)
    until(lambda: hostile.done and said in end.said()[before:], why=lambda: f"{hostile.done}: {end.said()[before:]}")
    grown = peak_bytes(end.pid) - resident
    hostile.attacks(None)
    end.works()
    assert grown < ROOM_BYTES
    assert "Traceback" not in end.said()
    assert len(end.said()[before:].splitlines()) < 60


CONNECT = bytes.fromhex("100d00044d5154540502003c000000")
TEXTS = {"U+FEFF": "\ufeff".encode(), "in the middle": "a\ufeffb".encode()}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("topic", [TOPIC, b"linetap/v1/floor-04/call"])
def test_any_text_that_mqtt_permits_is_read(end: End, broker: Broker, topic: bytes, text: bytes) -> None:
    """MQTT 5, 1.5.4-3: U+FEFF is permitted. The ingest's session outlives its connection: a message that ended the
    connection would be delivered again, and end the next one."""
    fields = b"\x26" + b"".join(len(each).to_bytes(2) + each for each in (b"sig", text))
    body = len(topic).to_bytes(2) + topic + b"\x00\x01" + bytes([len(fields)]) + fields + b"{}"
    before = len(end.said())
    with socket.create_connection((HOST, broker.port), 10) as publisher:
        for packet in (CONNECT, b"\x32" + length(len(body)) + body):
            publisher.sendall(packet)
            assert publisher.recv(100)  # CONNACK, PUBACK
    end.works()
    assert "no connection" not in end.said()[before:]
