# SPDX-License-Identifier: Apache-2.0
"""The shipped access rules: every topic, tried by its unit, by another unit and by the desk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pki_rig import Pki
from shipped_broker import Client, ShippedBroker

ASYNCAPI = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
ONLINE = ("identify", "self_test", "time", "ack", "resend", "fetch")
VERBS = (*ONLINE, "config", "update", "hold", "destroy", "roles", "key_list", "confirm", "cancel")
UP = ["status", "line/1", "line/32", "call", "health", "alert/disk_full", "log", *(f"reply/{verb}" for verb in VERBS)]
DOWN = [f"cmd/{verb}" for verb in VERBS]
BEYOND = ["", "call/1", "line", "line/1/x", "cmd", "cmd/time/x", "config", "status/"]
REFUSED = "Not authorized"
MINE, THEIRS = "linetap/v1/floor-03", "linetap/v1/floor-04"


@dataclass(frozen=True)
class Floors:
    mine: Client
    theirs: Client
    desk: Client


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, edition: str) -> Iterator[tuple[ShippedBroker, Pki]]:
    pki = Pki(tmp_path_factory.mktemp("authority"))
    place = tmp_path_factory.mktemp("broker")
    with ShippedBroker(place, pki=pki, pair=pki.host("127.0.0.1"), edition=edition) as broker:
        for unit in ("floor-03", "floor-04", "seoul"):
            pki.unit(unit)
        pki.desk("seoul")
        yield broker, pki


@pytest.fixture
def floors(running: tuple[ShippedBroker, Pki]) -> Iterator[Floors]:
    broker, pki = running

    def client(name: str) -> Client:
        return Client(broker.port, pki, pki.pair(name))

    with client("floor-03-0") as mine, client("floor-04-0") as theirs, client("desk-seoul") as desk:
        desk.subscribe("linetap/v1/#")
        yield Floors(mine, theirs, desk)


def test_every_topic_of_the_document_is_tried() -> None:
    addresses = re.findall(r"address: linetap/v1/\{unit\}/(\S+)", ASYNCAPI.read_text())
    assert len(addresses) >= 5
    for address in addresses:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(address))
        assert any(re.fullmatch(pattern, topic) for topic in UP + DOWN), address


def test_a_unit_speaks_for_itself(floors: Floors) -> None:
    for topic in UP:
        assert floors.mine.publish(f"{MINE}/{topic}") == "Success"
        floors.desk.hears(f"{MINE}/{topic}")


def test_a_unit_speaks_for_nobody_else(floors: Floors) -> None:
    for topic in UP + DOWN + BEYOND:
        assert floors.mine.publish(f"{THEIRS}/{topic}") == REFUSED, topic
    for topic in DOWN + BEYOND:  # a unit cannot command itself either
        assert floors.mine.publish(f"{MINE}/{topic}") == REFUSED, topic
    for topic in ("linetap/v1/desk:seoul/cmd/time", "linetap/v2/floor-03/call", "$SYS/x", "other"):
        assert floors.mine.publish(topic) == REFUSED, topic
    assert floors.mine.publish(f"{MINE}/log") == "Success"
    floors.desk.hears(f"{MINE}/log")
    assert not [topic for topic in floors.desk.topics if topic.startswith(THEIRS)]


def test_a_will_speaks_for_nobody_else_either(floors: Floors, running: tuple[ShippedBroker, Pki]) -> None:
    broker, pki = running
    for unit, heard in (("floor-04", False), ("seoul", True)):  # the certificate is that of a unit named seoul
        with Client(broker.port, pki, pki.pair("seoul-0"), will=f"linetap/v1/{unit}/status") as dying:
            dying.drop()
        until_said = f"linetap/v1/floor-03/line/{len(floors.desk.heard) + 1}"
        if heard:
            floors.desk.hears(f"linetap/v1/{unit}/status")
        floors.mine.publish(until_said)
        floors.desk.hears(until_said)
    assert f"{THEIRS}/status" not in floors.desk.topics


def test_a_unit_hears_what_is_said_to_it_alone(floors: Floors) -> None:
    for topic in ("linetap/v1/#", "#", f"{THEIRS}/#", "linetap/v1/+/cmd/+", f"{MINE}/#", "$SYS/#"):
        floors.mine.subscribe(topic)
    for topic in UP + DOWN:
        floors.mine.subscribe(f"{THEIRS}/{topic}")
    for topic in UP:
        assert floors.theirs.publish(f"{THEIRS}/{topic}") == "Success"
        assert floors.mine.publish(f"{MINE}/{topic}") == "Success"
    for topic in DOWN:
        assert floors.desk.publish(f"{THEIRS}/{topic}") in ("Success", "No matching subscribers")
    for topic in DOWN:
        assert floors.desk.publish(f"{MINE}/{topic}") == "Success"
        floors.mine.hears(f"{MINE}/{topic}")
    assert set(floors.mine.topics) == {f"{MINE}/{topic}" for topic in DOWN}


def test_the_desk_hears_all_and_commands_and_no_more(floors: Floors) -> None:
    for topic in DOWN:
        assert floors.desk.publish(f"{MINE}/{topic}") == "Success"  # the desk receives its own command
        floors.desk.hears(f"{MINE}/{topic}")
    for topic in UP:
        assert floors.desk.publish(f"{MINE}/{topic}") == REFUSED, topic


def test_a_unit_by_the_name_of_a_desk_is_a_unit(running: tuple[ShippedBroker, Pki], floors: Floors) -> None:
    broker, pki = running
    with Client(broker.port, pki, pki.pair("seoul-0")) as unit:
        assert unit.publish(f"{MINE}/cmd/time") == REFUSED
        assert unit.publish("linetap/v1/seoul/call") == "Success"
        assert unit.publish("linetap/v1/desk:seoul/call") == REFUSED
    assert f"{MINE}/cmd/time" not in floors.desk.topics
