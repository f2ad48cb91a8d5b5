# SPDX-License-Identifier: Apache-2.0
"""The bridge between a site's broker and the city's, both as shipped: messages up and down, and their queues."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import until
from linetap_bench.stage.servers import free_port
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import sshsig
from linetap_core.evidence.signing.sshsig import armored, unarmored
from pki_rig import Pki
from shipped_broker import Client, ShippedBroker

FLOOR = "linetap/v1/floor-03"
SITE = ("broker:mqtt.site-a.example", "broker:127.0.0.2")
EVENTS = 60  # more than can be in flight
REFUSED = ("host name verification failed", "certificate verify failed")  # the messages of Mosquitto 2.0 and 2.1


class Tree:
    """One unit at the site's broker, one desk at the city's."""

    def __init__(self, root: Path, edition: str) -> None:
        self.pki = Pki(root / "authority")
        port = free_port()
        pairs = [self.pki.host("127.0.0.1", name="city"), self.pki.host("127.0.0.2", "127.0.0.1", name="site")]
        self.city = ShippedBroker(root / "city", port=port, pki=self.pki, pair=pairs[0], names=(SITE,), edition=edition)
        self.site = ShippedBroker(root / "site", pki=self.pki, pair=pairs[1], above=port, edition=edition)
        self.key = keys.new_unit_key()
        self.pki.unit("floor-03")
        self.pki.desk("seoul")

    def unit(self) -> Client:
        return Client(self.site.port, self.pki, self.pki.pair("floor-03-0"))

    def desk(self, broker: ShippedBroker) -> Client:
        """A desk's client with a persistent session: the broker queues its messages."""
        desk = Client(broker.port, self.pki, self.pki.pair("desk-seoul"), clean=False)
        desk.subscribe("linetap/v1/#")
        return desk

    def event(self, number: int) -> tuple[bytes, str]:
        data = b'{"seq":%d}' % number
        return data, unarmored(sshsig.sign(data, self.key, "linetap-event"))


def is_on_disk(broker: ShippedBroker, payload: bytes) -> bool:
    """Whether the broker has saved `payload`. Mosquitto 2.0 saves before it acknowledges, 2.1 within a second."""
    if broker.edition == "2.0":
        return True
    with contextlib.closing(sqlite3.connect(f"file:{broker.folder}/mosquitto.sqlite3?mode=ro", uri=True)) as database:
        return bool(database.execute("SELECT 1 FROM base_msgs WHERE payload = ?", (payload,)).fetchone())


@pytest.fixture
def tree(tmp_path: Path, edition: str) -> Iterator[Tree]:
    made = Tree(tmp_path, edition)
    with made.city, made.site:
        yield made


def test_an_event_arrives_with_its_signature_and_a_state_is_kept(tree: Tree) -> None:
    with tree.unit() as unit, tree.desk(tree.city) as desk:
        data, sig = tree.event(1)
        assert unit.publish(f"{FLOOR}/status", b"online", retain=True) == "Success"
        assert unit.publish(f"{FLOOR}/call", data, sig=sig, schema="1") == "Success"
        heard = desk.hears(f"{FLOOR}/call")
        assert heard.payload == data
        assert heard.user == {"sig": sig, "schema": "1"}
        sshsig.check(heard.payload, armored(heard.user["sig"]).encode(), "linetap-event")
    with tree.desk(tree.city) as newcomer:
        assert newcomer.hears(f"{FLOOR}/status").retained
        assert newcomer.hears(f"{FLOOR}/status").payload == b"online"


def test_a_command_comes_down_and_is_answered(tree: Tree) -> None:
    with tree.unit() as unit, tree.desk(tree.city) as desk:
        unit.subscribe(f"{FLOOR}/cmd/+")
        data, sig = tree.event(1)
        assert unit.publish(f"{FLOOR}/call", data, sig=sig) == "Success"
        desk.hears(f"{FLOOR}/call")  # the bridge is connected
        assert desk.publish(f"{FLOOR}/cmd/time", b"a signed command") == "Success"
        assert unit.hears(f"{FLOOR}/cmd/time").payload == b"a signed command"
        assert unit.publish(f"{FLOOR}/reply/time", b"done") == "Success"
        assert desk.hears(f"{FLOOR}/reply/time").payload == b"done"
        assert desk.topics.count(f"{FLOOR}/cmd/time") == 1  # a command is not bridged up again


def test_the_city_was_away(tree: Tree) -> None:
    """The site's broker queues the unit's messages meanwhile, and is killed: each of them is already on disk."""
    with tree.unit() as unit, tree.desk(tree.city) as desk:
        unit.publish(f"{FLOOR}/line/1", b"idle", retain=True)
        desk.hears(f"{FLOOR}/line/1")
        tree.city.stop()
        for number in range(1, EVENTS + 1):
            data, sig = tree.event(number)
            assert unit.publish(f"{FLOOR}/call", data, sig=sig) == "Success"
        assert unit.publish(f"{FLOOR}/line/1", b"recording", retain=True) == "Success"
    until(lambda: is_on_disk(tree.site, b"recording"), why="the site's broker does not save")
    tree.site.kill()
    tree.site.start()
    tree.city.start()
    with tree.desk(tree.city) as desk:
        last, _ = tree.event(EVENTS)
        desk.until(lambda: [one for one in desk.heard if one.payload == last])
        calls = [one for one in desk.heard if one.topic == f"{FLOOR}/call"]
        assert {one.payload: one.user.get("sig") for one in calls} == dict(map(tree.event, range(1, EVENTS + 1)))
        desk.until(lambda: desk.hears(f"{FLOOR}/line/1").payload == b"recording")


def test_a_city_of_another_name_gets_nothing(tmp_path: Path, edition: str) -> None:
    """The bridge checks the name in the certificate, so that another broker at the city's address gets nothing."""
    tree = Tree(tmp_path, edition)
    tree.city.pair = tree.pki.host("127.0.0.9", name="other")
    with tree.city, tree.site, tree.unit() as unit:
        assert unit.publish(f"{FLOOR}/call") == "Success"
        until(lambda: any(word in tree.site.said() for word in REFUSED), why="no word of the bridge")
        assert "New client connected" not in tree.city.said()


def test_a_site_speaks_for_no_desk(tree: Tree) -> None:
    """An attacker controls the site's broker, and connects to the city's with its certificate."""
    tree.site.stop()
    with Client(tree.city.port, tree.pki, tree.pki.pair("site")) as taken, tree.desk(tree.city) as desk:
        for topic in (f"{FLOOR}/cmd/time", "linetap/v1/floor-09/cmd/destroy", "$SYS/x", f"{FLOOR}/config"):
            assert taken.publish(topic) == "Not authorized", topic
        assert taken.publish(f"{FLOOR}/log") == "Success"
        desk.hears(f"{FLOOR}/log")
        for topic in ("linetap/v1/#", "#"):
            taken.subscribe(topic)
        tree.pki.unit("floor-09")  # of another site
        with Client(tree.city.port, tree.pki, tree.pki.pair("floor-09-0")) as elsewhere:
            assert elsewhere.publish("linetap/v1/floor-09/call") == "Success"
        assert desk.publish(f"{FLOOR}/cmd/time") == "Success"
        taken.hears(f"{FLOOR}/cmd/time")
        assert set(taken.topics) == {f"{FLOOR}/cmd/time"}
