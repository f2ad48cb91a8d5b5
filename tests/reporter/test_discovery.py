# SPDX-License-Identifier: Apache-2.0
"""Home Assistant's device discovery: the payload is unchanged, and it is published only if configured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from broker import Broker, Desk
from linetap.config.schema import HomeAssistant
from linetap.reporter.discovery import discovery
from linetap_core import __version__
from linetap_core.wire.topics import Topics
from pki_rig import Pki
from published import DOCUMENT, at, channel_of, document
from reporter_rig import Floor
from shipped_broker import Client, ShippedBroker

GOLDEN = Path(__file__).with_name("discovery.json")
TOPIC = "homeassistant/device/floor-03/linetap/config"
WANTED = HomeAssistant(discovery=True)


def golden() -> dict[str, object]:
    found: dict[str, object] = json.loads(GOLDEN.read_text().replace("VERSION", __version__))
    return found


def test_the_payload_is_the_golden_one() -> None:
    assert msgspec.to_builtins(discovery(Topics("floor-03"), [2, 1])) == golden()


def test_every_field_that_it_names_is_one_of_ours() -> None:
    told = discovery(Topics("floor-03"), [1])
    shown = [(told.availability_topic, told.availability_template)]
    shown += [(each.state_topic, each.value_template) for each in told.components.values()]
    for topic, template in shown:
        channel = channel_of(topic)
        assert channel in ("status", "line", "health"), topic
        message = at(document()["channels"][channel]["messages"][channel]["$ref"])
        schema = at(message["payload"]["$ref"])["allOf"][0]["$ref"]
        known = json.loads((DOCUMENT.parent / schema).read_text())["properties"]
        named = set(re.findall(r"value_json\.(\w+)", template))
        assert named, template
        assert named <= known.keys(), template


def test_nothing_can_be_commanded_and_nobody_is_named() -> None:
    text = msgspec.json.encode(discovery(Topics("floor-03"), range(1, 9))).decode()
    assert "/cmd/" not in text
    assert "command" not in text
    assert "call_id" not in text
    assert not re.search(r"\d{2,3}-\d{3,4}-\d{4}", text)
    assert len(text) < 4000, "a newcomer gets it with everything else"


@pytest.mark.parametrize("wanted", [False, True])
def test_discovery_is_published_only_where_it_is_configured(tmp_path: Path, run_dir: Path, wanted: bool) -> None:
    with Broker(tmp_path / "broker") as broker, Floor(tmp_path, run_dir, broker.port) as floor:
        assert not floor.config.home_assistant.discovery, "off by default"
        if wanted:
            floor.configure(home_assistant=WANTED)
        with Desk(broker.port, topics="#") as desk:
            floor.reporter()
            floor.until(lambda: desk.of("/health"))
            found = [one for one in desk.heard if not one.topic.startswith("linetap/")]
            assert [one.topic for one in found] == ([TOPIC] if wanted else [])
            assert [json.loads(one.payload) for one in found] == ([_of_three_lines()] if wanted else [])
        with Desk(broker.port, "newcomer", "homeassistant/#") as newcomer:
            if wanted:
                floor.until(lambda: [one for one in newcomer.of(TOPIC) if one.retained])


def _of_three_lines() -> object:
    return msgspec.to_builtins(discovery(Topics("floor-03"), [1, 2, 3]))


OPENED = (("#pattern write homeassistant", "pattern write homeassistant"),)


@pytest.mark.parametrize("opened", [False, True])
def test_the_shipped_rules_permit_it_when_the_line_is_opened(tmp_path: Path, opened: bool) -> None:
    pki = Pki(tmp_path / "authority")
    for unit in ("floor-03", "floor-04"):
        pki.unit(unit)
    names = OPENED if opened else ()
    with (
        ShippedBroker(tmp_path / "broker", pki=pki, pair=pki.host("127.0.0.1"), names=names) as broker,
        Client(broker.port, pki, pki.pair("floor-03-0")) as mine,
    ):
        assert (mine.publish(TOPIC) != "Not authorized") == opened
        for other in (TOPIC.replace("03", "04"), "homeassistant/device/floor-03/config", "homeassistant/status"):
            assert mine.publish(other) == "Not authorized"


def test_a_broker_that_forbids_it_holds_up_nothing(tmp_path: Path, run_dir: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite linetap/#\n")
    with (
        Broker(tmp_path / "broker", (f"acl_file {rules}",)) as broker,
        Floor(tmp_path, run_dir, broker.port) as floor,
    ):
        floor.configure(home_assistant=WANTED)
        floor.events(5)
        floor.reporter()
        floor.reached(lambda state: state.delivered_seq == 5)
        floor.until(lambda: "discovery_refused: " in floor.said())
