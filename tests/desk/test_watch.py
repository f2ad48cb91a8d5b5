# SPDX-License-Identifier: Apache-2.0
"""`linetap watch` at a real broker: its output, its exit status, and no effect on ingest."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console
from watch_rig import ALERT, AT, HEALTH

from broker import HOST, Broker, until
from linetap_bench.stage.servers import end_client
from linetap_core import cli
from linetap_core.clock import SYSTEM
from linetap_core.errors import BadInput
from linetap_core.records import LineStatus
from linetap_core.wire.mqtt import Broker as BrokerConfig
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import LineReport, Status, Topics
from linetap_desk.watch import command
from linetap_desk.watch.places import Place, Places
from linetap_desk.watch.screen import LiveScreen, Screen
from linetap_desk.watch.watcher import Settings, Watcher, watch_settings
from pki_rig import Pki

END_S = 120


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


class Units:
    """Publishes messages as units do, retained like theirs."""

    def __init__(self, port: int) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.connect(HOST, port)
        self._client.loop_start()

    def say(self, *messages: Message) -> None:
        for one in messages:
            self._client.publish(one.topic, one.payload, 1, one.retain).wait_for_publish(END_S)

    def is_well(self, unit: str, state: LineStatus = "idle") -> None:
        topics = Topics(unit)
        self.say(
            topics.status(Status("online", "a", "0.1.0", AT)),
            Message(f"linetap/v1/{unit}/health", json.dumps(HEALTH).encode(), retain=True),
            *(topics.line(n, LineReport(state, AT, None)) for n in range(1, 9)),
        )

    def close(self) -> None:
        end_client(self._client)


@pytest.fixture
def floor(broker: Broker) -> Iterator[Units]:
    speaking = Units(broker.port)
    yield speaking
    speaking.close()


def cut(floor: Units, unit: str, line: int) -> None:
    """Publishes a line's state and its alert, as a unit does; only the alert has the severity."""
    alert = ALERT | {"severity": "critical", "line": line, "text_en": "cut"}
    floor.say(
        Topics(unit).line(line, LineReport("fault", AT, None)),
        Topics(unit).alert("line_cut", json.dumps(alert).encode()),
    )


def once(broker: Broker, *more: str) -> int:
    return cli.main(["watch", "--broker", f"mqtt://{HOST}:{broker.port}", "--once", *more])


def test_once_says_who_is_unwell_and_ends_with_it(
    broker: Broker, floor: Units, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    floor.is_well("main-03")
    floor.is_well("main-04", "recording")
    floor.say(Topics("main-04").alert("hum", json.dumps(ALERT).encode()))
    assert once(broker) == 0  # a warning does not set the exit status
    text = capsys.readouterr().out
    assert "2 units: 0 fault  0 unheard  0 offline  0 late  1 warning  1 fine   16 lines, 8 in use, 1 alerts" in text
    assert "●●●●●●●●  hum (line 3): hum" in text
    cut(floor, "main-03", 2)
    assert once(broker, "--json", "--language", "ko") == 1
    told = {one["unit"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {unit: one["standing"] for unit, one in told.items()} == {"main-03": "fault", "main-04": "warning"}
    assert told["main-03"]["lines"]["2"]["state"] == "fault"
    assert told["main-04"]["alerts"]["hum"]["text_ko"] == ALERT["text_ko"]
    floor.is_well("main-03")
    floor.say(Topics("main-03").alert("line_cut", b""))
    places = tmp_path / "places.toml"
    places.write_text("[Main]\nmain-03 = 3\nmain-04 = 4\nmain-05 = 5\n")
    assert once(broker, "--places", str(places)) == 1  # a unit that was never heard
    assert "unheard" in capsys.readouterr().out


def test_no_broker_is_no_answer(
    broker: Broker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.stop()
    monkeypatch.setattr(command, "ANSWER_MS", 100)
    assert once(broker) == 2
    assert capsys.readouterr().err == f"broker {HOST}:{broker.port}: Connection refused\n"


def test_each_change_is_a_line_and_a_broker_that_comes_back_tells_anew(
    broker: Broker, floor: Units, tmp_path: Path
) -> None:
    floor.is_well("main-03")
    out = tmp_path / "out"
    words = [sys.executable, "-m", "linetap", "watch", "--json", "--broker", f"mqtt://{HOST}:{broker.port}"]
    with out.open("wb") as file, subprocess.Popen(words, stdout=file) as watching:

        def told(**wanted: Any) -> int:
            lines = [json.loads(line) for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]
            return sum(wanted.items() <= one.items() for one in lines)

        try:
            until(lambda: told(unit="main-03", kind="standing", standing="fine"), END_S)
            floor.say(Topics("main-03").line(2, LineReport("ringing", AT, "c")))
            until(lambda: told(unit="main-03", kind="line", line=2, state="ringing", call_id="c"), END_S)
            assert told(kind="line", line=3) == 1
            floor.say(Topics("main-03").status(Status("offline", "a", "0.1.0", AT)))
            until(lambda: told(standing="offline"), END_S)
            broker.stop()
            until(lambda: told(kind="broker", state="away"), END_S)
            broker.start()
            until(lambda: told(kind="line", line=3) == 2 and told(standing="offline") == 2, END_S)
        finally:
            watching.terminate()
        assert watching.wait(END_S) == 0


def test_the_screen_shows_the_worst_first_and_fits(broker: Broker, floor: Units) -> None:
    for n in range(1, 31):
        floor.is_well(f"main-{n:02d}")
    floor.say(Topics("main-30").status(Status("offline", "a", "0.1.0", AT)))
    cut(floor, "main-29", 8)
    floor.say(Topics("main-28").alert("hum", json.dumps({**ALERT, "text_en": "[red]hum"}).encode()))
    places = Places({"main-28": Place("West", "2")})
    watcher = Watcher(Settings(BrokerConfig(host=HOST, port=broker.port), "w", places), SYSTEM)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=110, height=24, color_system=None)
    screen = LiveScreen(console, Screen(watcher.units, places, "en"))

    def complete() -> bool:
        watcher.turn()
        return watcher.is_complete

    until(complete, END_S)
    with screen.live:
        screen.draw(watcher.head, SYSTEM.utc_ns(), SYSTEM.monotonic_ns())
    watcher.close()
    rows = [row.rstrip() for row in out.getvalue().splitlines()]
    units = [row for row in rows if "main-" in row]
    assert [row.split()[2:4] for row in units[:4]] == [
        ["main-29", "fault"], ["main-30", "offline"], ["main-28", "warning"], ["main-01", "fine"]
    ]  # fmt: skip
    assert "[red]hum" in units[2]  # a unit's text is not interpreted as markup
    assert len(rows) <= 24
    assert any(row.startswith("and 15 more, none of them worse") for row in rows)


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def test_watch_needs_another_name_than_the_ingest(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "authority")
    pki.desk("seoul")
    pki.desk("wall")
    config = tmp_path / "desk.toml"
    ingest = (
        f'[broker]\nhost = "mqtt.example"\nca = "{pki.ca}"\n'
        f'certificate = "{pki.root}/desk-seoul.pem"\nkey = "{pki.root}/desk-seoul.key"\n[watch]\n'
    )
    config.write_text(ingest)
    with pytest.raises(BadInput, match="certificate and key are missing"):
        watch_settings(parsed("--config", str(config)))
    config.write_text(f'{ingest}certificate = "{pki.root}/desk-seoul.pem"\nkey = "x"\n')
    with pytest.raises(BadInput, match="it has the ingest's name, 'desk:seoul'"):
        watch_settings(parsed("--config", str(config)))
    config.write_text(f'{ingest}certificate = "authority/desk-wall.pem"\nkey = "authority/desk-wall.key"\n')
    found = watch_settings(parsed("--config", str(config))).broker
    assert (found.certificate, found.key) == (f"{pki.root}/desk-wall.pem", f"{pki.root}/desk-wall.key")


def test_nothing_of_it_stays_at_the_broker(broker: Broker, floor: Units) -> None:
    """A persistent session would be a queue that grows until the broker drops messages of others."""
    assert once(broker) == 0
    assert broker.process is not None
    floor.say(Message("linetap/v1/main-03/status", b"{}"))
    broker.stop()
    assert b"linetap-watch" not in (broker.folder / "mosquitto.db").read_bytes()
