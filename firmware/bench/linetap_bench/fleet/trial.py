# SPDX-License-Identifier: Apache-2.0
"""A trial of a fleet, the shipped broker and an ingest, each in its own process, with kills and a check of the result.

The verdict does not rely on the fleet: it compares the events in the units' outboxes with those in the desk's database,
byte for byte. The delay of a state is measured from the time in its payload to a subscriber in this process.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import func, select

from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_bench.figures import cpu_s
from linetap_bench.fleet.command import BEGUN
from linetap_bench.fleet.fleet import Standing
from linetap_bench.stage.processes import Child, ChildFailed, Processes
from linetap_bench.stage.servers import HOST, READY_S, end_client, free_port, start_shipped, wait
from linetap_core.broker.client import tls_context
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, ns_of, parse_rfc3339
from linetap_core.wire import topics
from linetap_core.wire.mqtt import Broker
from linetap_core.wire.topics import LineReport
from linetap_desk.ingest import database
from linetap_desk.ingest.tables import events, set_aside


@dataclass
class Verdict:
    """The result. `changed`: events stored with other bytes, or more than once."""

    events: int = 0
    lost: int = 0
    changed: int = 0
    set_aside: int = 0


def compare(db: str, city: Path) -> Verdict:
    """Compares database and outboxes; `city` is the folder of a fleet."""
    found = Verdict()
    engine = database.open_reader(db)
    try:
        with engine.connect() as reader:
            found.set_aside = reader.execute(select(func.count()).select_from(set_aside)).scalar_one()
            for folder in sorted((city / "units").iterdir()):
                entries = OutboxReader(folder / "outbox").from_seq(1, 1 << 20)
                mine = select(events.c.seq, events.c.payload).where(events.c.unit == folder.name)
                stored = [(seq, bytes(payload)) for seq, payload in reader.execute(mine.order_by(events.c.seq))]
                sent = {seq: payload for seq, payload, _ in entries}
                found.events += len(sent)
                found.lost += len(sent.keys() - {seq for seq, _ in stored})
                found.changed += sum(sent.pop(seq, None) != payload for seq, payload in stored)
    finally:
        engine.dispose()
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """Times in seconds since all units are connected. 0 kills or partitions omit that part."""

    units: int = 1000
    lines: int = 8
    every_s: float = 240
    calm_s: tuple[float, float] = (10, 40)  # interval in which the delay of states is measured
    broker_killed_s: float = 40
    ingest_killed_s: float = 100  # the first kill
    ingest_kills: int = 10
    kill_every_s: float = 3
    partition_s: tuple[int, int] = (135, 60)  # start and length
    partition_units: int = 200
    for_s: float = 205
    settle_s: float = 180


@dataclass
class Outcome:
    standings: list[Standing] = field(default_factory=list)
    way_ms: list[float] = field(default_factory=list)  # delay of each state's change, in the calm interval
    broker_killed_ns: int = 0  # UTC
    events: int = 0
    lost: int = 0
    changed: int = 0  # stored with other bytes, or more than once
    set_aside: int = 0
    cpu_percent: dict[str, float] = field(default_factory=dict)  # of a core, in the calm interval

    def all_back_s(self, since_ns: int) -> float | None:
        """Seconds from that moment (UTC) until all were connected again; None if they never were."""
        fewer = False
        for one in self.standings:
            if parse_rfc3339(one.t) < since_ns:
                continue
            fewer = fewer or one.connected < one.units
            if fewer and one.connected == one.units:
                return (parse_rfc3339(one.t) - since_ns) / NS_PER_S
        return None


class Trial:
    def __init__(self, folder: Path, disks: Path, plan: Plan) -> None:
        """`folder`: broker, database, logs. `disks`: the disks of the units, in RAM."""
        self._folder, self._city, self._plan = folder, disks / "city", plan
        self._port = free_port()
        self._out = Outcome()
        self._calm_ns = (0, 0)  # begin and end, UTC
        self._seen: set[tuple[str, int]] = set()
        self._db = f"sqlite:///{folder / 'desk.db'}"

    def run(self) -> Outcome:
        plan = self._plan
        with Processes(self._folder / "logs", {}) as children:
            fleet = self._make(children)
            try:
                self._children = children
                self._broker, self._ingest = self._start_broker(), self._start_ingest()
                listener = self._listen()
                assert fleet.stdin is not None
                fleet.stdin.write(b"\n")
                fleet.stdin.close()
                begun = BEGUN.encode()
                wait(lambda: begun in self._fleet_words.read_bytes(), children, "not begun", plan.settle_s + READY_S)
                self._began_ns = SYSTEM.monotonic_ns()
                self._calm(fleet)
                self._wait_until(plan.broker_killed_s)
                self._out.broker_killed_ns = SYSTEM.utc_ns()
                self._kill(self._broker)
                self._broker = self._start_broker()
                for n in range(plan.ingest_kills):
                    self._wait_until(plan.ingest_killed_s + n * plan.kill_every_s)
                    self._kill(self._ingest)
                    self._ingest = self._start_ingest()
                fleet.wait(plan.for_s + 2 * plan.settle_s + READY_S)
                end_client(listener)
            finally:
                fleet.kill()
                fleet.wait()
        self._read()
        self._compare()
        return self._out

    # --- participants --------------------------------------------------------------------------------------------

    def _make(self, children: Processes) -> subprocess.Popen[bytes]:
        """Starts the fleet, which makes its keys and waits for the start."""
        plan = self._plan
        words = [
            *("--units", plan.units, "--lines", plan.lines, "--every", plan.every_s, "--for", plan.for_s),
            *("--settle", plan.settle_s, "--broker", f"mqtts://{HOST}:{self._port}", "--dir", self._city, "--wait"),
        ]
        if plan.partition_units:
            at_s, for_s = plan.partition_s
            words += ["--happens", f"partition@{at_s}+{for_s}:{plan.partition_units}"]
        command = [sys.executable, "-m", "linetap", "fleet", *map(str, words)]
        with self._fleet_log.open("wb") as out, self._fleet_words.open("wb") as err:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command], stdin=subprocess.PIPE, stdout=out, stderr=err
            )
        wait(lambda: b"allowed_signers" in self._fleet_words.read_bytes(), children, "the fleet is not made")
        return process

    def _start_broker(self) -> Child:
        return start_shipped(self._children, self._folder / "mosquitto", self._city / "tls", self._port)

    def _start_ingest(self) -> Child:
        desk = self._folder / "desk.toml"
        broker = self._desk("desk-seoul")
        desk.write_text(
            f'signers = "{self._city}/allowed_signers"\nkey = "{self._city}/desk.key"\ndb = "{self._db}"\n'
            f'[broker]\nhost = "{HOST}"\nport = {self._port}\nca = "{broker.ca}"\n'
            f'certificate = "{broker.certificate}"\nkey = "{broker.key}"\n'
        )
        words = ["-m", "linetap", "desk", "ingest", "--config", str(desk)]
        return self._children.start("ingest", [sys.executable, *words])

    def _listen(self) -> mqtt.Client:
        """A subscriber of the lines, like a screen of the desk."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        context = tls_context(self._desk("desk-wall"))
        assert context is not None
        client.tls_set_context(context)
        client.on_connect = _subscribe
        client.on_message = self._on_message
        client.connect(HOST, self._port)
        client.loop_start()
        return client

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        now_ns = SYSTEM.utc_ns()
        since_ns = parse_rfc3339(msgspec.json.decode(message.payload, type=LineReport).since)
        state = (message.topic, since_ns)
        if not message.retain and self._calm_ns[0] <= since_ns < self._calm_ns[1] and state not in self._seen:
            self._seen.add(state)  # after an outage every unit reports its lines again
            self._out.way_ms.append((now_ns - since_ns) / NS_PER_MS)

    def _desk(self, name: str) -> Broker:
        ca, certificate, key = (str(self._city / "tls" / file) for file in ("ca.pem", f"{name}.pem", f"{name}.key"))
        return Broker(host=HOST, port=self._port, ca=ca, certificate=certificate, key=key)

    # --- course of the trial ---------------------------------------------------------------------------------------

    def _calm(self, fleet: subprocess.Popen[bytes]) -> None:
        begin_s, end_s = self._plan.calm_s
        self._wait_until(begin_s)
        now_ns, length_ns = SYSTEM.utc_ns(), ns_of(end_s - begin_s)
        self._calm_ns = (now_ns, now_ns + length_ns)
        pids = {"fleet": fleet.pid, "broker": self._broker.process.pid, "ingest": self._ingest.process.pid}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        self._wait_until(end_s)
        self._out.cpu_percent = {
            name: (cpu_s(pid) - before[name]) / (end_s - begin_s) * 100 for name, pid in pids.items()
        }

    def _wait_until(self, after_s: float) -> None:
        left_s = after_s - (SYSTEM.monotonic_ns() - self._began_ns) / NS_PER_S
        SYSTEM.sleep(max(0.0, left_s))

    def _kill(self, child: Child) -> None:
        child.process.send_signal(signal.SIGKILL)
        child.process.wait(READY_S)
        self._children.children.remove(child)

    # --- results ---------------------------------------------------------------------------------------------------

    @property
    def _fleet_log(self) -> Path:
        return self._folder / "fleet.jsonl"

    @property
    def _fleet_words(self) -> Path:
        return self._folder / "fleet.log"

    def _read(self) -> None:
        lines = self._fleet_log.read_bytes().splitlines()
        if not lines:
            raise ChildFailed(
                f"the fleet printed nothing; {self._fleet_words}:\n{self._fleet_words.read_text()[-1000:]}"
            )
        self._out.standings = [msgspec.json.decode(line, type=Standing) for line in lines]

    def _compare(self) -> None:
        found = compare(self._db, self._city)
        self._out.events, self._out.lost = found.events, found.lost
        self._out.changed, self._out.set_aside = found.changed, found.set_aside


def _subscribe(client: mqtt.Client, *_: object) -> None:
    client.subscribe(topics.of_every_unit("line/+")[0], 1)
