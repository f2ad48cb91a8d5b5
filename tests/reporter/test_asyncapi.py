# SPDX-License-Identifier: Apache-2.0
"""docs/asyncapi.yaml and docs/schemas against the code. reporter_rig.py checks the publications of all other tests
against them; the tests here show that this check can fail.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

import published
from broker import Broker, Desk
from kept_rig import Kept
from linetap.checks import CHECKS
from linetap.config.schema import HomeAssistant
from linetap.recorder.vault.signing import UnitKey
from linetap_core.clock import SYSTEM
from linetap_core.evidence.authorization.command import MAY
from linetap_core.evidence.authorization.fetch import BLOCK_BYTES
from published import at, channel_of, document, faults
from reporter_rig import END_S

DOCS = published.DOCUMENT.parent
CONTRACT = {"status", "line", "call", "health", "alert", "log", "cmd", "reply"}


def test_schemas_are_what_the_code_makes() -> None:
    spec = importlib.util.spec_from_file_location("schemas", DOCS.parent / "tools" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    committed = {path.name: path.read_text() for path in (DOCS / "schemas").glob("*.json")}
    assert committed == tool.files(), "tools/schemas.py makes them"


def test_the_document_describes_nothing_that_is_not_there() -> None:
    """Every payload in the document is that of a type."""
    for name, schema in document()["components"]["schemas"].items():
        if "allOf" in schema:
            (file,) = (part["$ref"] for part in schema["allOf"])
            fields = json.loads((DOCS / file).read_text())["properties"]
            assert schema.get("properties", {}).keys() <= fields.keys(), name
    payloads = {name: message["payload"] for name, message in document()["components"]["messages"].items()}
    assert payloads.pop("nothing")["maxLength"] == 0
    assert payloads.pop("block")["maxLength"] == BLOCK_BYTES
    assert all("allOf" in at(payload["$ref"]) for payload in payloads.values())


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [node["$ref"]] if "$ref" in node else [found for each in node.values() for found in references(each)]
    return [found for each in node for found in references(each)] if isinstance(node, list) else []


def test_every_reference_leads_somewhere() -> None:
    assert document()["asyncapi"] == "3.1.0"
    for reference in references(document()):
        assert at(reference) if reference.startswith("#/") else (DOCS / reference).is_file()


def test_every_topic_of_the_contract_is_a_channel() -> None:
    addresses = [channel["address"] for channel in document()["channels"].values()]
    addresses.remove("homeassistant/device/{unit}/linetap/config")
    assert {re.sub(r"^linetap/v1/\{unit}/(\w+).*", r"\1", address) for address in addresses} == CONTRACT
    used = [operation["channel"]["$ref"] for operation in document()["operations"].values()]
    assert sorted(used) == sorted(f"#/channels/{name}" for name in document()["channels"])


def test_every_verb_and_every_check_is_named() -> None:
    assert at("#/components/parameters/verb")["enum"] == list(MAY)
    assert at("#/channels/alert/parameters/check")["enum"] == [check.id for check in CHECKS]


def a_publication(rest: str, payload: object, **other: Any) -> dict[str, Any]:
    about = {"ContentType": "application/json", "PayloadFormatIndicator": 1, "UserProperty": [["schema", "1"]]}
    text = payload if isinstance(payload, str) else json.dumps(payload)
    one = {"topic": f"linetap/v1/u1/{rest}", "payload": text, "qos": 1, "retain": True, "properties": about}
    return one | other


LINE = {"state": "idle", "since": "2026-11-24T22:56:00.000Z", "call_id": None}
RIGHT = a_publication("line/1", LINE)
HEADER = {"schema": "1", "call": "20261124T225600.123Z-L03", "file": "key.age", "offset": "0", "total": "9"}


def a_block(payload: str = "x", header: dict[str, str] = HEADER, **other: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"ContentType": "application/octet-stream", "UserProperty": [*map(list, header.items())]}
    about |= {"CorrelationData": "00", "MessageExpiryInterval": 60} | other
    return {"topic": "linetap/v1/u1/reply/fetch", "payload": payload, "qos": 1, "retain": False, "properties": about}


def test_a_right_one_has_no_fault() -> None:
    assert list(faults(RIGHT)) == []
    assert list(faults(a_publication("line/1", LINE | {"release": "exchange"}))) == []
    assert list(faults(a_block("\udcff" * BLOCK_BYTES))) == []
    assert list(faults(a_publication("alert/hum", "", properties={}))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(a_publication("lines/1", LINE), id="no such topic"),
        pytest.param(a_block("x" * (BLOCK_BYTES + 1)), id="a block too long"),
        pytest.param(a_block(header=HEADER | {"file": "../key.age"}), id="a block of no file"),
        pytest.param(a_block(header=HEADER | {"number": "010-1234-5678"}), id="a property too many"),
        pytest.param(a_block(MessageExpiryInterval=90), id="a block that stays"),
        pytest.param(a_block(PayloadFormatIndicator=1), id="a block that says it is text"),
        pytest.param(a_publication("alert/humming", "", properties={}), id="no such check"),
        pytest.param(a_publication("cmd/ack", {"command": "", "sig": ""}), id="not a unit's to say"),
        pytest.param(RIGHT | {"retain": False}, id="not retained"),
        pytest.param(RIGHT | {"qos": 0}, id="qos"),
        pytest.param(RIGHT | {"properties": {}}, id="no properties"),
        pytest.param(RIGHT | {"properties": RIGHT["properties"] | {"MessageExpiryInterval": 90}}, id="expires"),
        pytest.param(RIGHT | {"properties": RIGHT["properties"] | {"CorrelationData": "00"}}, id="answers nobody"),
        pytest.param(RIGHT | {"properties": RIGHT["properties"] | {"UserProperty": [["schema", "2"]]}}, id="schema"),
        pytest.param(a_publication("line/1", ""), id="empty where nothing is taken back"),
        pytest.param(a_publication("line/1", LINE | {"state": "asleep"}), id="a word that is not there"),
        pytest.param(a_publication("line/1", LINE | {"release": "nobody"}), id="a line that nobody releases"),
        pytest.param(a_publication("line/1", LINE | {"number": "010-1234-5678"}), id="a field too many"),
        pytest.param(a_publication("line/1", {"state": "idle"}), id="a field too few"),
        pytest.param(a_publication("line/1", LINE | {"since": "2026-11-24 22:56"}), id="no moment"),
        pytest.param(a_publication("line/1", LINE | {"since": "2026-11-24T22:56:00Z"}), id="no milliseconds"),
    ],
)
def test_a_wrong_one_is_seen(wrong: dict[str, Any]) -> None:
    assert list(faults(wrong))


def test_a_reporter_says_all_that_there_is_to_say(tmp_path: Path, run_dir: Path) -> None:
    """The rig checks each publication; this test requires a publication on every topic."""
    with Broker(tmp_path / "broker") as broker, Kept(tmp_path, run_dir, broker.port) as floor:
        floor.configure(home_assistant=HomeAssistant(discovery=True))
        log = UnitKey(Path(floor.config.key)).open_log(floor.config, SYSTEM)
        log.append("start")
        log.publish()
        log.close()
        floor.events(1)
        floor.lines("recording", "idle", "idle", recording_refused="disk_full")
        with Desk(broker.port) as desk:
            floor.reporter()
            floor.reached(lambda state: state.delivered_seq == 1)  # a message before its subscription would be lost
            desk.publish("linetap/v1/floor-03/cmd/ack", b"{}", b"\x01")
            said = {name for name, channel in document()["channels"].items() if "/cmd/" not in channel["address"]}
            floor.until(lambda: {channel_of(one["topic"]) for one in floor.published()} == said or None)


def test_a_row_that_a_kill_has_cut_spoils_no_other(tmp_path: Path, run_dir: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Kept(tmp_path, run_dir, broker.port) as floor:
        floor.events(1)
        process = floor.reporter()
        floor.reached(lambda state: state.delivered_seq == 1)
        process.kill()
        process.wait(END_S)
        before = len(floor.published())
        with floor.config_file.with_suffix(".published").open("a") as rows:
            rows.write('{"topic": "linetap/v1/floor-03/eve')
        assert len(floor.published()) == before
        floor.reporter()
        floor.until(lambda: len(floor.published()) > before)
