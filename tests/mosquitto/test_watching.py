# SPDX-License-Identifier: Apache-2.0
"""`linetap watch` at the shipped broker: it reads everything, may write nothing, and leaves ingest its session."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import HOST, until
from linetap_core import cli
from pki_rig import Pki
from shipped_broker import Client, ShippedBroker

DOCUMENT = Path(__file__).parents[2] / "docs" / "desk.md"
STATUS = json.dumps({"state": "online", "session": "a", "version": "0", "since": "2026-11-24T22:56:00.123Z"}).encode()
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, edition: str) -> Iterator[tuple[ShippedBroker, Pki]]:
    pki = Pki(tmp_path_factory.mktemp("authority"))
    place = tmp_path_factory.mktemp("broker")
    with ShippedBroker(place, pki=pki, pair=pki.host("127.0.0.1"), edition=edition) as broker:
        pki.unit("floor-03")
        pki.desk("seoul")
        pki.desk("wall")
        yield broker, pki


def test_the_watch_needs_no_right_to_write_and_leaves_the_ingest_its_session(
    running: tuple[ShippedBroker, Pki], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker, pki = running
    (tmp_path / "desk.toml").write_text(
        f'[broker]\nhost = "{HOST}"\nport = {broker.port}\nca = "{pki.ca}"\n'
        f'certificate = "{pki.root}/desk-seoul.pem"\nkey = "{pki.root}/desk-seoul.key"\n'
        f'[watch]\ncertificate = "{pki.root}/desk-wall.pem"\nkey = "{pki.root}/desk-wall.key"\n'
    )
    with (
        Client(broker.port, pki, pki.pair("floor-03-0")) as unit,
        Client(broker.port, pki, pki.pair("desk-seoul"), clean=False) as ingest,
    ):
        ingest.subscribe("linetap/v1/#")
        assert unit.publish("linetap/v1/floor-03/status", STATUS, retain=True) == "Success"
        assert cli.main(["watch", "--config", str(tmp_path / "desk.toml"), "--once", "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["standing"] == "late"  # online, but never a health message
        ingest.hears("linetap/v1/floor-03/status")
        assert not ingest.cut_off
    with Client(broker.port, pki, pki.pair("desk-wall")) as wall:
        assert wall.publish("linetap/v1/floor-03/cmd/identify") == "Not authorized"


def test_the_documented_mosquitto_sub_shows_everything(running: tuple[ShippedBroker, Pki], tmp_path: Path) -> None:
    broker, pki = running
    (command,) = re.findall(r"```bash\n(mosquitto_sub .*?)```", DOCUMENT.read_text(), re.DOTALL)
    command = command.strip().replace("broker.example", HOST).replace("8883", str(broker.port))
    for name, path in (("ca.pem", pki.ca), ("wall.pem", pki.pair("desk-wall").certificate)):
        command = command.replace(f" {name}", f" {path}")
    command = command.replace(" wall.key", f" {pki.pair('desk-wall').key}")
    out = tmp_path / "out"
    with (
        out.open("wb") as file,
        subprocess.Popen(["bash", "-c", f"exec {command}"], stdout=file) as shown,
        Client(broker.port, pki, pki.pair("floor-03-0")) as unit,
    ):
        try:
            unit.publish("linetap/v1/floor-03/status", STATUS, retain=True)
            until(lambda: b"/status" in out.read_bytes(), TIMEOUT_S)  # mosquitto_sub is subscribed
            assert unit.publish("linetap/v1/floor-03/call", b'{"seq":12}', schema="1", sig="U1NI") == "Success"
            until(lambda: b'linetap/v1/floor-03/call {"seq":12} schema:1 sig:U1NI\n' in out.read_bytes(), TIMEOUT_S)
        finally:
            shown.terminate()
