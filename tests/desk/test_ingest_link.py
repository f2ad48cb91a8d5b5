# SPDX-License-Identifier: Apache-2.0
"""The ingest's connection and a hostile broker: it ends with a reason, and its memory does not grow."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from broker import HOST, Broker, Desk, MuteServer, until
from linetap_core.broker.connection import Arrived, Ended, Subscribed
from linetap_core.broker.link import MOST_AT_ONCE, LinkEvent
from linetap_core.clock import SYSTEM
from linetap_core.wire.mqtt import Broker as BrokerConfig
from linetap_core.wire.mqtt import Message
from linetap_desk.ingest.link import MOST_QUEUED, Link, Patience

CONNACK = bytes.fromhex("2003000000")
SUBACK = bytes.fromhex("900400010001")
HANGS_UP = bytes.fromhex("e0020000")
TOPIC = b"linetap/v1/floor-03/call"


def publication(mid: int, qos: int = 1) -> bytes:
    body = len(TOPIC).to_bytes(2) + TOPIC + (mid.to_bytes(2) if qos else b"") + b"\x00" + b"x"
    return bytes([0x30 | qos << 1, len(body)]) + body


def heard(greeting: bytes) -> tuple[list[LinkEvent], str]:
    """All events of the first connection, and the reason of its end."""
    happened: list[LinkEvent] = []
    with MuteServer(greeting) as server:
        broker = BrokerConfig(host=HOST, port=server.port, keepalive_s=5)
        link = Link(broker, "desk", ["linetap/v1/+/call"], SYSTEM, Patience(answer_ms=1000))

        def ended() -> bool:
            link.turn()
            happened.extend(link.happened(0.05))
            return any(isinstance(one, Ended) for one in happened)

        until(ended, 120)
        link.close()
    return happened, next(one.why for one in happened if isinstance(one, Ended))


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        pytest.param(b"", "no answer", id="says nothing"),
        pytest.param(bytes.fromhex("2003008700"), "refused: Not authorized", id="refuses"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "begins with 0x48", id="is no broker"),
        pytest.param(b"\xff" * 3000, "an unrequested packet, which begins with 0xff", id="sends nonsense"),
        pytest.param(CONNACK + HANGS_UP, "the broker hung up", id="hangs up at once"),
        pytest.param(CONNACK + bytes.fromhex("900400010087"), "may not read linetap/v1/+/call", id="forbids"),
    ],
)
def test_the_connection_ends_with_a_reason(greeting: bytes, said: str) -> None:
    assert said in heard(greeting)[1]


@pytest.mark.parametrize(
    ("answer", "said"),
    [pytest.param(b"", [], id="not answered"), pytest.param(SUBACK, ["session_new"], id="answered")],
)
def test_the_session_stands_when_the_subscription_is_answered(
    answer: bytes, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Earlier messages reach nobody: only then is there a session."""
    caplog.set_level(logging.INFO)
    heard(CONNACK + answer + HANGS_UP)
    assert "connected to" in caplog.text
    assert [one.message.split(":")[0] for one in caplog.records if one.message.startswith("session_")] == said


def test_many_filters_are_asked_for_in_turn(tmp_path: Path) -> None:
    """A broker that makes each durable is busy meanwhile; the session is established with the last answer."""
    units = [f"floor-{number:02d}" for number in range(25)]
    with Broker(tmp_path) as broker, Desk(broker.port, client_id="units", topics="none") as unit:
        link = Link(
            BrokerConfig(host=HOST, port=broker.port), "desk", [f"linetap/v1/{name}/call" for name in units], SYSTEM,
            Patience(),
        )  # fmt: skip
        happened: list[LinkEvent] = []

        def turned_until(kind: type, count: int) -> None:
            def enough() -> bool:
                link.turn()
                happened.extend(link.happened(0.05))
                return sum(isinstance(one, kind) for one in happened) >= count

            until(enough)

        turned_until(Subscribed, 1)
        for name in units:
            unit.publish(f"linetap/v1/{name}/call", b"x")
        turned_until(Arrived, 25)
        assert sum(isinstance(one, Subscribed) for one in happened) == 1
        assert {one.topic.split("/")[2] for one in happened if isinstance(one, Arrived)} == set(units)
        link.close()


def test_a_broker_with_too_much_to_do_is_given_more_time(tmp_path: Path) -> None:
    """Each new connection adds work: all events of the restarting units."""
    patience = Patience(first_ms=1, longest_ms=1, answer_ms=50)
    with MuteServer(CONNACK) as server:
        link = Link(BrokerConfig(host=HOST, port=server.port), "desk", ["linetap/v1/+/call"], SYSTEM, patience)
        reasons: list[str] = []
        while len(reasons) < 5:
            until(lambda: turned(link).connected)
            link.publish(Message("linetap/v1/floor-03/cmd/ack", b"x"))
            while link.connected:
                link.turn()
                reasons += [one.why for one in link.happened(0.01) if isinstance(one, Ended)]
        assert reasons == [f"no answer for {ms} ms" for ms in (50, 100, 200, 400, 400)]
        server.close()
        with Broker(tmp_path, port=server.port):
            until(lambda: turned(link).connected)
            link.publish(Message("linetap/v1/floor-03/cmd/ack", b"x"))
            until(lambda: not turned(link)._unacknowledged)
        assert link._answer_ms == 50
        link.close()


def test_more_than_was_agreed_is_not_kept() -> None:
    flood = b"".join(publication(mid) for mid in range(1, 4 * MOST_AT_ONCE))
    happened, why = heard(CONNACK + flood)
    assert why == "the broker sends more than was agreed"
    assert sum(isinstance(one, Arrived) for one in happened) <= MOST_AT_ONCE


def fill(port: int) -> Link:
    """A link that has sent all that it may."""
    link = Link(BrokerConfig(host=HOST, port=port, keepalive_s=60), "desk", ["linetap/v1/+/call"], SYSTEM, Patience())
    until(lambda: turned(link).connected)
    for _ in range(MOST_QUEUED):
        assert link.has_room
        link.publish(Message("linetap/v1/floor-03/cmd/ack", b"x"))
    return link


def turned(link: Link) -> Link:
    link.turn()
    link.happened(0.05)
    return link


def test_a_broker_that_takes_nothing_is_not_told_for_ever() -> None:
    with MuteServer(CONNACK) as server:
        link = fill(server.port)
        assert not turned(link).has_room
        link.close()


def test_a_broker_that_takes_acknowledgements_is_sent_more(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        link = fill(broker.port)
        until(lambda: turned(link).has_room)
        link.close()


def test_what_nobody_promises_is_passed_over() -> None:
    """QoS 0 has no window: a flood of it would fill the memory."""
    flood = b"".join(publication(0, qos=0) for _ in range(1000))
    happened, _ = heard(CONNACK + flood + publication(1) + HANGS_UP)
    assert [one.mid for one in happened if isinstance(one, Arrived)] == [1]


def test_a_broker_that_reads_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """An acknowledgement leaves the window, and would then wait forever to be written."""
    connect = socket.create_connection

    def narrow(*args: Any, **more: Any) -> socket.socket:
        made = connect(*args, **more)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        return made

    monkeypatch.setattr(socket, "create_connection", narrow)
    burst = b"".join(publication(mid) for mid in range(1, 201))
    with socket.create_server((HOST, 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        broker = BrokerConfig(host=HOST, port=server.getsockname()[1], keepalive_s=60)
        link = Link(broker, "desk", ["linetap/v1/+/call"], SYSTEM, Patience())
        link.turn()
        peer, _ = server.accept()
        with peer:
            peer.sendall(CONNACK)
            arrived, why = 200, ""
            while not why:
                if arrived == 200:
                    peer.sendall(burst)
                    arrived = 0
                for one in link.happened(0.5):
                    match one:
                        case Arrived():
                            one.acknowledge()
                            arrived += 1
                        case Ended(why):
                            pass
        assert why == "the broker does not read the answers that it requests"
        link.close()
