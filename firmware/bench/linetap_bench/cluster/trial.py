# SPDX-License-Identifier: Apache-2.0
"""A trial of a broker cluster under a fleet with several ingests: nodes and an ingest are killed, a node is cut off,
and at the end the outboxes are compared with the database, byte for byte.

The plan is a list of moments. None of them is a limit: the result is the number of lost and doubled events.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from linetap_bench.cluster import rights
from linetap_bench.cluster.rabbit import Node, Wires, place_revocations, start_front
from linetap_bench.figures import cpu_s, resident_mb
from linetap_bench.fleet.fleet import Standing
from linetap_bench.fleet.schedule import DESKS, GONE
from linetap_bench.fleet.schedule import names as unit_names
from linetap_bench.fleet.trial import Verdict, compare
from linetap_bench.stage.processes import Child, Processes
from linetap_bench.stage.servers import HOST, READY_S, Postgres, wait
from linetap_core.clock import NS_PER_S, SYSTEM, parse_rfc3339
from linetap_core.evidence.signing import signers
from linetap_desk.pki.rabbitmq import definitions

NODES, SHARES = 3, 4
INGESTS = ("a", "b")
LONGEST_S = 3600


@dataclass(frozen=True, slots=True)
class Plan:
    """Durations in seconds. Each step waits until the fleet is steady and the previous node is back."""

    units: int = 1000
    lines: int = 2
    every_s: float = 1200
    steady_s: float = 15  # for which all units must be connected
    calm_s: float = 30  # interval in which processor time is counted
    killed_s: float = 30  # node 1
    parted_s: float = 60  # node 3 and its peers
    ingest_s: float = 30  # ingest a
    between_s: float = 20
    settle_s: float = 600


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure and its effect: `fewest`, the units connected in the worst second; `back_s`, until all were again."""

    moment: str
    fewest: int
    back_s: float


@dataclass
class Outcome:
    plan: Plan
    standings: list[Standing] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    at_ns: dict[str, int] = field(default_factory=dict)  # UTC of each moment
    cpu_percent: dict[str, float] = field(default_factory=dict)  # of a core, in the calm interval
    memory_mb: dict[str, float] = field(default_factory=dict)
    permission_faults: list[str] = field(default_factory=list)  # forbidden actions that succeeded

    def failures(self) -> list[Failure]:
        """The failures after which all units were connected again."""
        found, moments = [], list(self.at_ns.items())
        for number, (moment, at_ns) in enumerate(moments):
            end_ns = moments[number + 1][1] if number + 1 < len(moments) else SYSTEM.utc_ns()
            during = [one for one in self.standings if at_ns <= parse_rfc3339(one.t) < end_ns]
            fewest = min((one.connected for one in during), default=0)
            worst = next((n for n, one in enumerate(during) if one.connected == fewest), 0)
            back = next((one for one in during[worst:] if one.connected == one.units), None)
            if back is not None:
                found.append(Failure(moment, fewest, (parse_rfc3339(back.t) - at_ns) / NS_PER_S))
        return found


class Trial:
    def __init__(self, folder: Path, disks: Path, plan: Plan) -> None:
        """`folder`: logs. `disks`: the disks of units and nodes, in RAM, because this machine has one disk for all."""
        self._folder, self._disks, self._city, self._plan = folder, disks, disks / "city", plan
        self._out = Outcome(plan)

    def run(self) -> Outcome:
        with contextlib.ExitStack() as held:
            self._children = held.enter_context(Processes(self._folder / "logs", {}))
            self._wires = Wires(self._children, NODES)
            self._postgres = held.enter_context(Postgres(shared_mib=64))
            self._port = start_front(self._children, self._folder, NODES)
            fleet = held.enter_context(self._fleet())
            held.callback(fleet.kill)
            self._start_nodes()
            self._out.permission_faults = rights.permission_faults(self._city, self._port)
            self._ingests = {name: self._start_ingest(name) for name in INGESTS}
            wait(self._subscribed, self._children, "the ingests have not subscribed", self._plan.settle_s)
            self._begin(fleet)
            self._go()
            (self._folder / "quiet").touch()
            fleet.wait(2 * self._plan.settle_s + READY_S)
            self._read()
            for ingest in self._ingests.values():
                self._children.end(ingest)
            self._out.verdict = compare(self._postgres.url, self._city)
        return self._out

    # --- participants --------------------------------------------------------------------------------------------

    def _fleet(self) -> subprocess.Popen[bytes]:
        """Starts the fleet, which makes its keys and waits for the start."""
        plan = self._plan
        words = [
            *("--units", plan.units, "--lines", plan.lines, "--every", plan.every_s, "--for", LONGEST_S),
            *("--settle", plan.settle_s, "--broker", f"mqtts://{HOST}:{self._port}", "--dir", self._city, "--wait"),
            *("--repeat", "--quiet-when", self._folder / "quiet"),
        ]
        command = [sys.executable, "-m", "linetap", "fleet", *map(str, words)]
        with self._fleet_log.open("wb") as out, self._fleet_words.open("wb") as err:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command], stdin=subprocess.PIPE, stdout=out, stderr=err
            )
        wait(lambda: b"allowed_signers" in self._fleet_words.read_bytes(), self._children, "the fleet is not made")
        return process

    def _start_nodes(self) -> None:
        files = self._city / "tls"
        units = [("unit", name) for name in (*unit_names(self._plan.units), GONE)]
        desks = [("desk", name) for name in DESKS]
        known = signers.parse((self._city / "allowed_signers").read_text())
        (files / "definitions.json").write_bytes(definitions([*units, *desks], DESKS[1:], known))  # type: ignore[list-item]
        place_revocations(files)
        self._nodes = {
            number: Node(self._children, self._wires, number, self._disks / f"node{number}", files, NODES)
            for number in range(1, NODES + 1)
        }
        for node in self._nodes.values():
            node.start()
        for node in self._nodes.values():
            node.wait()

    def _start_ingest(self, name: str) -> Child:
        desk, tls = self._folder / "desk.toml", self._city / "tls"
        desk.write_text(
            f'signers = "{self._city}/allowed_signers"\nkey = "{self._city}/desk.key"\ndb = "{self._postgres.url}"\n'
            f'shares = {SHARES}\n[broker]\nhost = "{HOST}"\nport = {self._port}\nca = "{tls}/ca.pem"\n'
            f'certificate = "{tls}/desk-seoul.pem"\nkey = "{tls}/desk-seoul.key"\nretained = false\n'
        )
        words = ["-m", "linetap", "desk", "ingest", "--config", str(desk)]
        count = sum(one.name.startswith(f"ingest-{name}") for one in self._children.children)
        return self._children.start(f"ingest-{name}{count or ''}", [sys.executable, *words])

    def _subscribed(self) -> bool:
        """Whether every share is subscribed. Units connect only afterwards, so that each filter is durable on each
        node.
        """
        said = "".join(one.log.read_text() for one in self._ingests.values())
        return all(f"-{share}\n" in said for share in range(1, SHARES + 1)) and said.count("session_") >= SHARES

    # --- course ----------------------------------------------------------------------------------------------------

    def _begin(self, fleet: subprocess.Popen[bytes]) -> None:
        plan = self._plan
        assert fleet.stdin is not None
        fleet.stdin.write(b"\n")
        fleet.stdin.close()
        self._steady()
        pids = {"fleet": fleet.pid, **{f"node {n}": node.pid for n, node in self._nodes.items()}}
        pids |= {f"ingest {name}": one.process.pid for name, one in self._ingests.items()}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        SYSTEM.sleep(plan.calm_s)
        self._out.cpu_percent = {name: (cpu_s(pid) - before[name]) / plan.calm_s * 100 for name, pid in pids.items()}
        self._out.memory_mb = {name: resident_mb(pid) for name, pid in pids.items()}

    def _go(self) -> None:
        plan, one, third = self._plan, self._nodes[1], self._nodes[3]
        self._note("node 1 killed")
        one.kill()
        SYSTEM.sleep(plan.killed_s)
        one.start()
        one.wait()  # with two of three nodes left, and one of them cut off, both would stop
        self._steady()
        self._note("node 3 cut off from its peers")
        self._wires.part(third.number)
        SYSTEM.sleep(plan.parted_s)
        self._wires.join(third.number)
        third.wait_until_restarted()
        self._steady()
        self._note("ingest a killed")
        ingest = self._ingests["a"]
        ingest.process.send_signal(signal.SIGKILL)
        ingest.process.wait(READY_S)
        self._children.children.remove(ingest)
        SYSTEM.sleep(plan.ingest_s)
        self._ingests["a"] = self._start_ingest("a-again")
        SYSTEM.sleep(plan.between_s)

    def _steady(self) -> None:
        """Waits until all units have been connected for a while."""
        count = round(self._plan.steady_s)

        def all_connected() -> bool:
            self._read()
            last = self._out.standings[-count:]
            return len(last) == count and all(one.connected == one.units and one.calls for one in last)

        wait(all_connected, self._children, "not all units are connected", self._plan.settle_s)

    def _note(self, moment: str) -> None:
        self._out.at_ns[moment] = SYSTEM.utc_ns()

    @property
    def _fleet_log(self) -> Path:
        return self._folder / "fleet.jsonl"

    @property
    def _fleet_words(self) -> Path:
        return self._folder / "fleet.log"

    def _read(self) -> None:
        lines = self._fleet_log.read_bytes().split(b"\n")[:-1]
        self._out.standings = [msgspec.json.decode(line, type=Standing) for line in lines]
