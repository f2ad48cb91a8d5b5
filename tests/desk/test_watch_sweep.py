# SPDX-License-Identifier: Apache-2.0
"""Retained messages come at QoS 0 (decision 0070): all before the sweep's end, no faster than they are processed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_rig import END_S, Speaking
from watch_rig import LINE

from broker import HOST, Broker, MuteServer, until
from linetap_core.broker.client import Client
from linetap_core.broker.connection import Arrived, Subscribed
from linetap_core.broker.link import MOST_AT_ONCE, LinkEvent
from linetap_core.clock import SYSTEM
from linetap_core.wire.mqtt import Broker as BrokerConfig
from linetap_desk.ingest.link import Link, Patience
from linetap_desk.watch.places import Place, Places
from linetap_desk.watch.units import TOPICS
from linetap_desk.watch.watcher import Settings, Watcher

CONNACK = bytes.fromhex("2003000000")
TOPIC = b"linetap/v1/floor-03/line/1"
UNITS = [f"main-{n:02d}" for n in range(1, 41)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", saves=False) as running:
        yield running


def sweeping(port: int) -> Link:
    broker = BrokerConfig(host=HOST, port=port)
    return Link(broker, "desk", TOPICS, SYSTEM, Patience(answer_ms=1000), session_s=0, sweep=True)


def test_its_end_is_reported_when_everything_is_here(broker: Broker) -> None:
    speaking = Speaking(broker.port)
    for unit in UNITS:
        speaking.is_well(unit, 8)
    link, happened = sweeping(broker.port), list[LinkEvent]()

    def ended() -> bool:
        link.turn()
        for one in link.happened(0.05):
            happened.append(one)
            if isinstance(one, Arrived):
                one.acknowledge()
        return any(isinstance(one, Subscribed) for one in happened)

    until(ended, END_S)
    before = happened[: next(n for n, one in enumerate(happened) if isinstance(one, Subscribed))]
    assert len({one.topic for one in before if isinstance(one, Arrived)}) == len(UNITS) * 10
    link.close()
    speaking.close()


def test_what_is_said_meanwhile_comes_in_its_order(broker: Broker) -> None:
    """Whichever subscription brings it: the newest message of each line counts at the end."""
    speaking = Speaking(broker.port)
    for unit in UNITS:
        speaking.is_well(unit, 8)
    over = threading.Event()

    def talk() -> None:
        n = 0
        while not over.is_set():
            n += 1
            speaking.say(UNITS[n % 4], "line/1", {**LINE, "call_id": str(n)})

    talking = threading.Thread(target=talk)
    talking.start()
    told: dict[str, int] = {}
    try:
        for _ in range(5):
            link, swept = sweeping(broker.port), False
            told.clear()
            for _ in range(2000):
                link.turn()
                for one in link.happened(0.01):
                    if isinstance(one, Arrived):
                        said = json.loads(one.payload)
                        if one.topic.endswith("/line/1") and said["call_id"] is not None:
                            assert int(said["call_id"]) >= told.get(one.topic, 0), "an earlier word came later"
                            told[one.topic] = int(said["call_id"])
                        one.acknowledge()
                    swept = swept or isinstance(one, Subscribed)
                if swept and len(told) == 4:
                    break
            assert swept
            link.close()
    finally:
        over.set()
        talking.join(END_S)
        speaking.close()


def test_the_register_ends_the_start_as_soon_as_everybody_is_heard(broker: Broker) -> None:
    speaking = Speaking(broker.port)
    for unit in UNITS:
        speaking.is_well(unit, 8)
    places = Places({unit: Place("Main", unit[-2:]) for unit in UNITS})
    watcher = Watcher(Settings(BrokerConfig(host=HOST, port=broker.port), "w", places), SYSTEM)

    def complete() -> bool:
        watcher.turn()
        return watcher.is_complete

    until(complete, END_S)
    assert {len(unit.lines) for unit in watcher.units.units.values()} == {8}
    watcher.close()
    speaking.close()


def test_what_came_before_a_reset_is_read() -> None:
    """A broker that refuses gives the reason and disconnects at once."""

    class Peer:
        said: Iterator[bytes] = iter((CONNACK[:3], CONNACK[3:]))

        def recv(self, _count: int) -> bytes:
            if (record := next(self.said, b"")) == b"":
                raise ConnectionResetError
            return record

    client = Client("desk", 1000, reads_ahead=True)
    client._sock = Peer()  # type: ignore[assignment]
    assert client._sock_recv(len(CONNACK)) == CONNACK
    with pytest.raises(ConnectionResetError):
        client._sock_recv(1)
    client._sock = None


def test_a_broker_that_sends_without_end_is_read_no_faster_than_it_is_taken() -> None:
    body = len(TOPIC).to_bytes(2) + TOPIC + b"\x00" + b"{}"
    flood = bytes([0x31, len(body)]) + body
    with MuteServer(CONNACK + flood * 5000) as server:
        link = sweeping(server.port)
        link.turn()
        until(lambda: link._happenings.qsize() >= MOST_AT_ONCE, END_S)
        taken = 0

        def some() -> bool:
            nonlocal taken
            assert link._happenings.qsize() <= MOST_AT_ONCE + 2
            link.turn()
            for one in link.happened(0.05):
                if isinstance(one, Arrived):
                    taken += 1
                    one.acknowledge()
            return taken >= 2000

        until(some, END_S)
        link.close()
