# SPDX-License-Identifier: Apache-2.0
"""The reporter as a process with a real broker: what the desk receives after kills, outages and hostile brokers."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from wire import Wire

from broker import HOST, Broker, Desk, Heard, MuteServer, until
from linetap.checks.judgement import CHANGES
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.signing import UnitKey
from linetap.reporter.telemetry import EVERY_S, LogHead
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.evidence.signing import sshsig
from linetap_core.evidence.signing.sshsig import armored
from linetap_core.records import Alert
from linetap_core.wire.topics import Topics
from reporter_rig import END_S, Floor, end, retained

UNIT = "linetap/v1/floor-03"


@pytest.fixture
def desk(broker: Broker) -> Iterator[Desk]:
    with Desk(broker.port) as desk:
        yield desk


def status(desk: Desk) -> dict[str, str]:
    heard = desk.last("/status")
    return json.loads(heard.payload) if heard else {}


def seqs(desk: Desk) -> list[int]:
    return [json.loads(one.payload)["seq"] for one in desk.of("/call")]


def first_seen(numbers: list[int]) -> list[int]:
    """The numbers without duplicates, which a lost acknowledgement causes and the desk drops."""
    return list(dict.fromkeys(numbers))


class TestStatus:
    def test_birth_will_and_goodbye(self, floor: Floor, desk: Desk, broker: Broker) -> None:
        process = floor.reporter()
        until(lambda: status(desk).get("state") == "online")
        born = status(desk)
        assert born.keys() == {"state", "session", "version", "since"}
        assert json.loads(retained(broker)[f"{UNIT}/status"]) == born

        process.kill()
        until(lambda: status(desk).get("state") == "offline")
        assert status(desk) == born | {"state": "offline"}
        assert json.loads(retained(broker)[f"{UNIT}/status"])["state"] == "offline"

        process = floor.reporter()
        until(lambda: status(desk).get("state") == "online")
        again = status(desk)
        assert again["session"] != born["session"]

        heard = len(desk.of("/status"))
        assert end(process) == 0
        until(lambda: status(desk).get("state") == "offline")
        assert status(desk)["session"] == again["session"]
        assert status(desk)["since"] > again["since"]
        assert [json.loads(one.payload)["state"] for one in desk.of("/status")[heard:]].count("offline") == 1
        last = floor.state()
        assert last is not None
        assert not last.connected
        assert "broker_absent" not in floor.said()

    def test_a_second_reporter_says_who_holds_the_unit(self, floor: Floor) -> None:
        first = floor.reporter()
        floor.reached(lambda state: state.connected)
        assert floor.reporter().wait(END_S) == 2
        assert f"held by pid {first.pid}" in floor.said()


class TestLines:
    def test_a_change_is_reported_and_kept_for_newcomers(self, floor: Floor, desk: Desk, broker: Broker) -> None:
        floor.reporter()
        until(lambda: len({one.topic for one in desk.of("") if "/line/" in one.topic}) == 3)
        floor.lines("idle", "recording", "idle")
        until(lambda: (one := desk.last("/line/2")) and json.loads(one.payload)["state"] == "recording")
        assert len(desk.of("/line/1")) == 1  # an unchanged state is not sent again
        kept = retained(broker)
        assert json.loads(kept[f"{UNIT}/line/2"]) == {
            "state": "recording",
            "since": "2026-11-24T22:56:00.000Z",
            "call_id": "20261124T225600.123Z-L02",
        }
        assert json.loads(kept[f"{UNIT}/line/1"])["call_id"] is None

    def test_without_a_recorder_no_line_claims_to_be_recorded(self, floor: Floor, desk: Desk) -> None:
        floor.lines("recording", "idle", "idle")
        floor.reporter()
        until(lambda: desk.of("/line/1"))
        floor.states.kill("recorder")
        until(lambda: all((one := desk.last(f"/line/{n}")) and b'"fault"' in one.payload for n in (1, 2, 3)))
        floor.lines("recording", "idle", "idle")
        until(lambda: (one := desk.last("/line/1")) and b'"recording"' in one.payload)


class TestEvents:
    def test_exact_bytes_in_order_with_a_signature_that_holds(self, floor: Floor, desk: Desk) -> None:
        floor.events(60)
        floor.reporter()
        floor.reached(lambda state: state.delivered_seq == 60)
        until(lambda: len(desk.of("/call")) >= 60)
        heard = desk.of("/call")
        there = OutboxReader(floor.config.vault_path / "outbox").from_seq(1, 100)
        assert [one.payload for one in heard] == [payload for _, payload, _ in there]
        prev = "0" * 64
        for one in heard:
            sshsig.check(one.payload, armored(one.user["sig"]).encode(), "linetap-event")
            assert json.loads(one.payload)["prev"] == prev
            prev = hashlib.sha256(one.payload).hexdigest()
            assert one.user["schema"] == "1"
            assert one.properties["ContentType"] == "application/json"
            assert not one.retained
        self.check_with_stock_tool(floor, heard[-1])

    def check_with_stock_tool(self, floor: Floor, one: Heard) -> None:
        signature = floor.config.run_path / "event.sig"
        signature.write_text(armored(one.user["sig"]))
        command = ["ssh-keygen", "-Y", "verify", "-f", str(floor.signers), "-I", "floor-03", "-n", "linetap-event"]
        done = subprocess.run([*command, "-s", str(signature)], input=one.payload, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr

    def test_a_restarted_reporter_goes_on_where_it_was(self, floor: Floor, desk: Desk) -> None:
        floor.events(5)
        process = floor.reporter()
        floor.reached(lambda state: state.delivered_seq == 5)
        assert end(process) == 0
        floor.events(5)
        floor.reporter()
        floor.reached(lambda state: state.delivered_seq == 10 and state.queue_length == 0)
        until(lambda: len(desk.of("/call")) >= 10)
        assert seqs(desk) == list(range(1, 11))

    def test_broker_absent_at_start_then_there(self, floor: Floor, broker: Broker) -> None:
        broker.stop()
        floor.events(3)
        floor.reporter()
        before = floor.reached(lambda state: state.queue_length == 3)
        floor.reached(lambda state: state.progress > before.progress + 10)
        assert not before.connected
        assert "broker_absent" in floor.said()
        broker.start()
        with Desk(broker.port) as desk:
            floor.reached(lambda state: state.delivered_seq == 3)
            floor.events(2)
            floor.reached(lambda state: state.delivered_seq == 5)
            until(lambda: seqs(desk)[-2:] == [4, 5])

    def test_broker_killed_in_mid_stream(self, tmp_path: Path, run_dir: Path, broker: Broker) -> None:
        """Every event is sent in order until a broker has acknowledged it. The check uses the wire, not the desk: a
        killed broker loses messages that it has acknowledged but not delivered.
        """
        with Wire(broker.port) as wire, Floor(tmp_path, run_dir, wire.port) as floor:
            floor.reporter()
            floor.reached(lambda state: state.connected)
            total = 0
            for _ in range(3):
                floor.events(150)
                total += 150
                until(lambda: len(set(wire.acknowledged)) > total - 120)  # noqa: B023 - called before it changes
                broker.kill()
                floor.events(20)
                total += 20
                floor.reached(lambda state: not state.connected)
                broker.start()
            floor.reached(lambda state: state.delivered_seq == total)
            assert first_seen(wire.sent) == list(range(1, total + 1))
            assert first_seen(wire.acknowledged) == list(range(1, total + 1))

    def test_reporter_killed_in_mid_stream(self, floor: Floor, desk: Desk) -> None:
        for _ in range(3):
            process = floor.reporter()
            heard = len(seqs(desk))
            floor.events(200)
            until(lambda: len(seqs(desk)) > heard + 50)  # noqa: B023 - called before it changes
            process.kill()
            process.wait(END_S)
        floor.reporter()
        floor.reached(lambda state: state.delivered_seq == 600)
        until(lambda: seqs(desk)[-1] == 600)
        assert first_seen(seqs(desk)) == list(range(1, 601))


def test_alert_stands_and_is_taken_back(floor: Floor, desk: Desk, broker: Broker) -> None:
    floor.reporter()
    until(lambda: desk.of("/alert/disk_full"))
    assert desk.of("/alert/disk_full")[0].payload == b""  # cleared at the start, in case the broker retains one
    floor.lines("idle", "idle", "idle", recording_refused="disk_full")
    until(lambda: (one := desk.last("/alert/disk_full")) and one.payload)
    alert = json.loads(retained(broker)[f"{UNIT}/alert/disk_full"])
    assert alert.keys() == set(Alert.__struct_fields__)
    assert alert["severity"] == "critical"
    floor.lines("idle", "idle", "idle")
    until(lambda: (one := desk.last("/alert/disk_full")) and not one.payload)
    assert f"{UNIT}/alert/disk_full" not in retained(broker)


def test_where_the_broker_repeats_nothing_the_unit_does(floor: Floor, desk: Desk) -> None:
    """RabbitMQ delivers no retained message to a filter with wildcards, so the unit repeats its present states; a
    cleared alert is not repeated.
    """
    floor.configure(broker=msgspec.structs.replace(floor.config.broker, retained=False))
    floor.lines("idle", "idle", "idle", recording_refused="disk_full")
    floor.reporter(repeat_s=0.5)
    for topic in ("/line/1", "/line/3", "/alert/disk_full"):
        until(lambda: len([one for one in desk.of(topic) if one.payload]) >= 4)  # noqa: B023 - called before it changes
    assert [one.payload for one in desk.of("/alert/panel_dead")] == [b""]


def test_an_alert_that_comes_and_goes_stays_raised(floor: Floor, desk: Desk, broker: Broker) -> None:
    floor.reporter()
    until(lambda: desk.of("/alert/disk_full"))
    for refused in ("disk_full", None) * (CHANGES // 2):
        expected = len(desk.of("/alert/disk_full")) + 1
        floor.lines("idle", "idle", "idle", recording_refused=refused)
        until(lambda: len(desk.of("/alert/disk_full")) >= expected)  # noqa: B023 - called before it changes
    state = floor.reached(lambda state: "disk_full" in state.alerts and state.alerts["disk_full"].changes > 0)
    alert = json.loads(retained(broker)[f"{UNIT}/alert/disk_full"])
    assert alert["text_en"].startswith("Comes and goes: Calls are not recorded")
    assert alert == json.loads(msgspec.json.encode(state.alerts["disk_full"]))
    assert alert["changes"] == CHANGES
    said = [line for line in floor.said().splitlines() if "disk_full: " in line]
    assert len(said) == CHANGES, "the last change is the first that is held back"
    assert said[0].startswith("<3>reporter.alert: disk_full: critical: ")
    assert said[1] == "<6>reporter.alert: disk_full: cleared"


def test_the_logs_head_is_reported_when_it_is_whole(floor: Floor, desk: Desk, broker: Broker) -> None:
    config = floor.config
    log = UnitKey(Path(config.key)).open_log(config, SYSTEM)
    log.append("start")
    log.publish()
    head = config.vault_path / "log" / "head.json"
    signature = head.with_name("head.json.sig")
    first, first_signature = head.read_bytes(), signature.read_bytes()
    floor.reporter()
    heard = until(lambda: desk.last("/log"))
    assert heard is not None
    assert (heard.payload, armored(heard.user["sig"]).encode()) == (first, first_signature)
    assert retained(broker)[f"{UNIT}/log"] == first
    log.append("heartbeat")
    log.publish()
    signature.write_bytes(first_signature)  # the moment between the two writes: a new head, an old signature
    told = LogHead(config.vault_path, Topics(config.unit))
    assert told.changed(0) == []
    log.append("heartbeat")
    log.publish()
    assert [message.payload for message in told.changed(1)] == [head.read_bytes()]
    assert told.changed(2) == []
    log.append("heartbeat")
    log.publish()
    assert told.changed(3) == []  # a busy unit does not publish every head
    assert [message.payload for message in told.changed(EVERY_S * NS_PER_S + 2)] == [head.read_bytes()]
    log.close()


def test_health_is_flat_and_expires(floor: Floor, desk: Desk) -> None:
    floor.events(2)
    floor.lines("idle", "recording", "ringing")
    floor.reporter()
    heard = until(lambda: desk.last("/health"))
    assert heard is not None
    fields = json.loads(heard.payload)
    assert not any(isinstance(value, (dict, list)) for value in fields.values())
    assert fields["lines_in_use"] == 2
    assert heard.properties["MessageExpiryInterval"] <= 90


def test_a_broker_that_has_forgotten_everything_is_told_everything(floor: Floor, broker: Broker) -> None:
    floor.lines("idle", "recording", "idle", recording_refused="disk_full")
    floor.reporter()
    whole = {f"{UNIT}/{rest}" for rest in ("status", "line/1", "line/2", "line/3", "health", "alert/disk_full")}
    until(lambda: retained(broker).keys() == whole)
    broker.kill()
    floor.reached(lambda state: not state.connected)
    for file in broker.folder.glob("*.db*"):
        file.unlink()
    broker.start()
    until(lambda: retained(broker).keys() == whole)


def test_what_a_mute_broker_swallowed_is_sent_again(tmp_path: Path, run_dir: Path) -> None:
    with MuteServer(CONNACK) as mute, Floor(tmp_path, run_dir, mute.port) as floor:
        floor.events(5)
        floor.reporter(answer_ms=500)
        floor.until(lambda: len(mute.taken) >= 2)
        mute.close()
        with Broker(tmp_path / "broker", port=mute.port):
            floor.reached(lambda state: state.delivered_seq == 5)


CONNACK = bytes.fromhex("2003000000")


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        pytest.param("", "no answer", id="says nothing"),
        pytest.param("2003000000", "no answer", id="accepts and never acknowledges"),
        pytest.param("2003008700", "broker_absent: no connection to {}: refused: Not authorized", id="refuses"),
        pytest.param("2003000000 400300010f", "no connection", id="acknowledges what was never sent, cut off"),
        pytest.param("2003000000 30ffffff7f0001", "more than was agreed: a packet of over", id="announces 256 MB"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n".hex(), "broker_absent", id="is no broker"),
        pytest.param("ff" * 3000, "an unrequested packet, which begins with 0xff", id="sends nonsense"),
        pytest.param("2003000000 e0020000", "the broker hung up", id="hangs up at once"),
    ],
)
def test_a_hostile_broker_holds_up_nothing(tmp_path: Path, run_dir: Path, greeting: str, said: str) -> None:
    with MuteServer(bytes.fromhex(greeting)) as server, Floor(tmp_path, run_dir, server.port) as floor:
        floor.events(5)
        process = floor.reporter(answer_ms=500)
        floor.until(lambda: len(server.taken) >= 2)
        before = floor.reached(lambda _: True)
        floor.reached(lambda state: state.progress > before.progress + 5)
        assert before.delivered_seq == 0
        assert end(process) == 0
        assert said.format(f"{HOST}:{server.port}") in floor.said()
        assert "Traceback" not in floor.said()
        assert len(floor.said().splitlines()) < 40
