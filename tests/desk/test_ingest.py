# SPDX-License-Identifier: Apache-2.0
"""`linetap desk ingest` as a process, with a real Mosquitto and a real reporter: with kills, locks and
invalid input.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker import HOST, Broker, until
from ingest_rig import Ingesting, Teller, rows, trusted
from linetap_bench.stage.servers import end_client
from linetap_bench.stage.stage import run_command
from linetap_core import cli
from linetap_core.evidence.keys import keys
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.store import Store
from reporter_rig import Floor

UNIT = "floor-03"
CALL = f"linetap/v1/{UNIT}/call"
KILLS = 10


@pytest.fixture
def ingest(tmp_path: Path, broker: Broker, floor: Floor) -> Iterator[Ingesting]:
    with Ingesting(tmp_path, broker.port, floor.signers) as ingest:
        yield ingest


def session_stands(ingest: Ingesting) -> None:
    until(lambda: "session_" in ingest.said(), why=ingest.said)


def everything(ingest: Ingesting, floor: Floor) -> None:
    """Asserts that every event of the outbox is at the desk, once, with its call."""
    wanted = list(range(1, floor.outbox.last_seq + 1))
    until(lambda: ingest.count() >= len(wanted), why="not all of it came")
    assert sorted(ingest.seqs()) == wanted
    assert ingest.count(tables.calls) == len(wanted)
    assert not rows(ingest.engine, tables.set_aside)
    (origin,) = rows(ingest.engine, tables.origins)
    assert (origin["through"], origin["newest"]) == (len(wanted), len(wanted))


def publish(broker: Broker, *messages: tuple[str, bytes, str | None], qos: int = 1) -> None:
    """Publishes as another client; acknowledged when this returns."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect(HOST, broker.port)
    client.loop_start()
    for topic, payload, sig in messages:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if sig is not None:
            properties.UserProperty = [("sig", sig)]
        client.publish(topic, payload, qos, properties=properties).wait_for_publish(10)
    end_client(client)


def test_what_a_unit_says_is_stored_as_it_was_signed(ingest: Ingesting, floor: Floor, tmp_path: Path) -> None:
    ingest.start()
    session_stands(ingest)
    floor.events(40)
    floor.reporter()
    everything(ingest, floor)
    row = rows(ingest.engine, tables.events)[-1]
    (tmp_path / "event.sig").write_text(row["sig"])
    command = ["ssh-keygen", "-Y", "verify", "-f", str(floor.signers), "-I", UNIT, "-n", "linetap-event"]
    done = subprocess.run(
        [*command, "-s", str(tmp_path / "event.sig")], input=row["payload"], capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    until(lambda: [row["state"] for row in rows(ingest.engine, tables.units)] == ["online"])
    assert ingest.end() == 0
    assert "Traceback" not in ingest.said()


def test_killed_ten_times_while_events_flow(ingest: Ingesting, floor: Floor) -> None:
    """kill -9 at any moment, also between commit and acknowledgement: nothing is lost or duplicated."""
    ingest.start()
    session_stands(ingest)
    floor.reporter()
    for _ in range(KILLS):
        before = ingest.count()
        floor.events(30)
        until(lambda: ingest.count() > before + 5)  # noqa: B023 - asked before it changes
        ingest.kill()
        floor.events(30)  # received only by the broker
        ingest.start()
    everything(ingest, floor)


def test_away_while_the_broker_restarts(ingest: Ingesting, floor: Floor, broker: Broker) -> None:
    """The session is queued at the broker, which stores it on disk here."""
    ingest.start()
    session_stands(ingest)
    floor.reporter()
    floor.reached(lambda state: state.connected)
    assert ingest.end() == 0
    floor.events(300)
    floor.reached(lambda state: state.delivered_seq == 300)
    broker.stop()
    broker.start()
    ingest.start()
    everything(ingest, floor)


def test_a_database_that_takes_nothing_acknowledges_nothing(ingest: Ingesting, floor: Floor) -> None:
    ingest.start()
    session_stands(ingest)
    floor.reporter()
    floor.events(10)
    until(lambda: ingest.count() == 10)
    lock = sqlite3.connect(ingest.db.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    floor.events(50)
    floor.reached(lambda state: state.delivered_seq == 60)
    until(lambda: "database_away" in ingest.said(), 120)
    ingest.kill()  # if it had acknowledged unstored events, the broker would not resend them
    lock.execute("ROLLBACK")
    lock.close()
    ingest.start()
    everything(ingest, floor)


def test_rubbish_holds_up_nothing(ingest: Ingesting, floor: Floor, broker: Broker) -> None:
    ingest.start()
    session_stands(ingest)
    floor.events(5)
    floor.reporter()
    until(lambda: ingest.count() == 5)
    good = rows(ingest.engine, tables.events)[0]
    sig = "".join(line for line in good["sig"].splitlines() if not line.startswith("---"))
    changed = good["payload"].replace(b"started", b"missed!")
    publish(
        broker, (CALL, b"", None), (CALL, b"\xff" * 1000, None), (CALL, b"[" * 50_000, "x"), (CALL, changed, sig),
        (CALL, good["payload"], sig), (CALL, b"x" * 200_000, None), ("linetap/v1/floor-04/call", good["payload"], sig),
        ("linetap/v1/../call", b"", None), ("linetap/v1/floor-05/status", b"?", None),
        ("linetap/v1/floor-05/health", b'{"outbox_seq":"x"}', None),
    )  # fmt: skip
    publish(broker, *[(CALL, b"%d" % n, None) for n in range(50)], qos=0)
    floor.events(5)
    until(lambda: ingest.count() == 10)
    assert [(row["unit"], row["code"]) for row in rows(ingest.engine, tables.set_aside)] == [
        (UNIT, "signature_malformed"),
        (UNIT, "signature_malformed"),
        (UNIT, "signature_malformed"),
        (UNIT, "signature_does_not_fit"),
        (UNIT, "payload_too_large"),
        ("floor-04", "payload_unit"),
    ]
    assert ingest.end() == 0


def test_a_unit_that_is_named_later_is_heard_without_a_restart(ingest: Ingesting, floor: Floor) -> None:
    named = floor.signers.read_text()
    floor.signers.write_text(f"floor-99 {keys.public_line(keys.new_unit_key().public_key())}\n")
    ingest.start()
    session_stands(ingest)
    floor.events(3)
    floor.reporter()
    until(lambda: len(rows(ingest.engine, tables.set_aside)) == 3)
    assert ingest.count() == 0
    assert {row["code"] for row in rows(ingest.engine, tables.set_aside)} == {"signer_not_trusted"}
    floor.signers.write_text("?")
    floor.events(1)
    until(lambda: "signers_unread" in ingest.said())
    floor.signers.write_text(named)
    floor.events(3)
    until(lambda: ingest.count() == 3)


def test_two_of_them_never_write(ingest: Ingesting, floor: Floor) -> None:
    ingest.start()
    session_stands(ingest)
    with Ingesting(floor.log.parent, 1, floor.signers) as second:
        second.log = floor.log.parent / "second.log"
        assert second.start().wait() == 2
        assert "already running" in second.said()


def test_desk_toml(ingest: Ingesting, floor: Floor, broker: Broker, tmp_path: Path) -> None:
    """Paths in it are relative to it."""
    config = tmp_path / "desk.toml"
    config.write_text(
        f'signers = "{floor.signers.name}"\ndb = "sqlite:///desk.db"\n[broker]\nhost = "{HOST}"\nport = {broker.port}\n'
    )
    ingest.words = ["--config", str(config)]
    ingest.start()
    session_stands(ingest)
    floor.events(3)
    floor.reporter()
    everything(ingest, floor)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--broker mqtt://127.0.0.1:1 --db sqlite:///x.db", "--signers is missing"),
        ("--broker mqtt://127.0.0.1:1 --signers S", "--db is missing"),
        ("--broker mqtt://10.0.0.1 --signers S --db sqlite:///x.db", "TLS only"),
        ("--broker http://localhost --signers S --db sqlite:///x.db", "mqtt://127.0.0.1:1883"),
        ("--broker mqtt://localhost:x --signers S --db sqlite:///x.db", "mqtt://127.0.0.1:1883"),
        ("--config T", "T:1: unknown key"),
        ("--config gone", "gone: No such file"),
    ],
)
def test_one_line_for_what_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("S").write_text("")
    Path("T").write_text("keys = 1\n")
    assert cli.main(["desk", "ingest", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert not Path("x.db").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--signers gone --db sqlite:///x.db", "gone: No such file"),
        ("--signers S --db desk.db", "sqlite:///desk.db"),
        ("--signers S --db sqlite:///:memory:", "sqlite:///desk.db"),
        ("--signers S --db mysql://x/y", "sqlite:///desk.db"),
        ("--signers S --db sqlite:////gone/desk.db", "there is no folder /gone"),
        ("--signers S --db sqlite:///x.db --key S", "Ed25519"),
    ],
)
def test_one_line_for_what_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("S").write_text("")
    done = run_command("desk", "ingest", "--broker", "mqtt://localhost:1", *words.split())
    assert done.status == 2
    assert said in done.messages.splitlines()[-1]
    assert "Traceback" not in done.messages


class TestCalls:
    @pytest.fixture
    def db(self, tmp_path: Path) -> str:
        url = f"sqlite:///{tmp_path / 'desk.db'}"
        engine = database.open_writer(url)
        tellers = [Teller(tmp_path / unit, unit=unit) for unit in ("floor-03", "floor-04")]
        for teller in tellers:
            teller.call(0)
            teller.tell("missed", 1, direction="in", disposition="missed")
            Store(engine).write(teller.reports(), trusted(*tellers))
        engine.dispose()
        return url

    @pytest.fixture
    def found(self, db: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, object]]]:
        def search(*words: object) -> list[dict[str, object]]:
            assert cli.main(["desk", "calls", "--db", db, "--json", *map(str, words)]) == 0
            return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

        return search

    def test_search(self, found: Callable[..., list[dict[str, object]]]) -> None:
        assert [(one["began_at"], one["unit"]) for one in found()] == [
            ("2026-11-24T22:56:01.000Z", "floor-03"),
            ("2026-11-24T22:56:01.000Z", "floor-04"),
            ("2026-11-24T22:56:06.000Z", "floor-03"),
            ("2026-11-24T22:56:06.000Z", "floor-04"),
        ]
        assert {one["unit"] for one in found("--unit", "floor-04")} == {"floor-04"}
        assert len(found("--disposition", "missed")) == 2
        assert len(found("--line", 1)) == 4
        assert not found("--line", 2)
        assert len(found("--from", "2026-11-24T22:56:06Z")) == 2
        assert len(found("--to", "2026-11-24T22:56:06Z")) == 2
        assert not found("--from", "2026-11-25")
        assert len(found("--from", "2026-11-24", "--to", "2026-11-25")) == 4

    def test_the_newest_where_there_are_more(self, db: str) -> None:
        done = run_command("desk", "calls", "--db", db, "--limit", 1)
        assert "there are more than 1" in done.messages
        (line,) = done.output.splitlines()[1:]
        assert line.split() == [
            *("2026-11-24T22:56:06.000Z", "floor-04", "1", "in", "missed", "ended", "20261124T225601.000Z-L01")
        ]

    @pytest.mark.parametrize("words", ["--from soon", "--limit 0", "--to 2026-13-01"])
    def test_bad_usage(self, db: str, capsys: pytest.CaptureFixture[str], words: str) -> None:
        assert cli.main(["desk", "calls", "--db", db, *words.split()]) == 2
        assert capsys.readouterr().err.count("\n") == 1

    def test_a_search_makes_no_database(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["desk", "calls", "--db", f"sqlite:///{tmp_path / 'gone.db'}"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert not (tmp_path / "gone.db").exists()
