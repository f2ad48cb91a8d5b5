# SPDX-License-Identifier: Apache-2.0
"""Nodes of a RabbitMQ cluster, its network, and haproxy in front of them, with the shipped configurations."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from linetap_bench.stage.processes import Child, Processes
from linetap_bench.stage.servers import HOST, free_port, listens, wait
from linetap_core.errors import BadInput

_BRIDGE = "ltbridge"
_OWN = "10.9.0.1"


def address(node: int) -> str:
    return f"10.9.0.{10 + node}"


class Wires:
    """A network of this process alone: a bridge, and a network namespace with a cable for each node.

    The whole process, and thereby its children, moves into it. A cable can be pulled, and a node can be cut off from
    its peers while clients still reach it. Packets between the peers are then dropped in both directions: a TCP
    connection stays open and nothing arrives, as behind a broken switch.
    """

    def __init__(self, children: Processes, nodes: int) -> None:
        if os.getuid() != 0:
            raise BadInput("a cluster's networks are made by root: sudo ./build.sh bench cluster")
        os.unshare(os.CLONE_NEWNET)
        _ip("link", "set", "lo", "up")
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("address", "add", f"{_OWN}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        self._pids = {}
        for node in range(1, nodes + 1):
            holder = children.start(f"net{node}", ["unshare", "--net", "sleep", "infinity"])
            pid = self._pids[node] = holder.process.pid
            own = Path("/proc/self/ns/net").readlink()
            wait(lambda: Path(f"/proc/{pid}/ns/net").readlink() != own, children, "no network namespace")  # noqa: B023
            _ip("link", "add", f"ltnode{node}", "type", "veth", "peer", "name", "eth0", "netns", str(pid))
            _ip("link", "set", f"ltnode{node}", "master", _BRIDGE, "up")
            for words in (
                ("link", "set", "lo", "up"),
                ("address", "add", f"{address(node)}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("route", "add", "default", "via", _OWN),
            ):
                _run(*self.inside(node, "ip", *words))

    def inside(self, node: int, *command: str) -> list[str]:
        """The command, extended to run in the node's network."""
        return ["nsenter", "-t", str(self._pids[node]), "-n", *command]

    def part(self, node: int) -> None:
        """Blocks all packets between the node and its peers."""
        self._between(node, "add")

    def join(self, node: int) -> None:
        self._between(node, "del")

    def _between(self, node: int, what: str) -> None:
        for peer in self._pids.keys() - {node}:
            _run(*self.inside(node, "ip", "route", what, "blackhole", address(peer)))
            _run(*self.inside(peer, "ip", "route", what, "blackhole", address(node)))


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise BadInput(f"{' '.join(command)}: {done.stderr.strip()}")


SHIPPED = Path(__file__).parents[4] / "systemd" / "rabbitmq"
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
PORT = 8883
READY_S = 600.0
_STARTED = "Server startup complete"
_ERLANG = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -start_epmd false"  # one scheduler, which does not spin


def required() -> None:
    """Raises BadInput if a program is missing."""
    for program, package in ((str(SERVER), "rabbitmq-server"), ("haproxy", "haproxy"), ("epmd", "erlang-base")):
        if shutil.which(program, path="/usr/sbin:/usr/bin") is None:
            raise BadInput(f"{program} is not there: apt install {package}")


class Node:
    """`files`: ca.pem, broker.pem, broker.key, crl/ and definitions.json."""

    def __init__(self, children: Processes, wires: Wires, number: int, folder: Path, files: Path, nodes: int) -> None:
        self._children, self._wires, self.number, self._folder = children, wires, number, folder
        self._run: Child | None = None
        self._starts = 0
        folder.mkdir(parents=True)
        (folder / ".erlang.cookie").write_text("linetap-bench")
        (folder / ".erlang.cookie").chmod(0o400)
        for name in ("rabbitmq.conf", "advanced.config"):
            text = (SHIPPED / name).read_text().replace("/etc/rabbitmq/linetap/", f"{files}/")
            for peer in range(1, nodes + 1):
                text = text.replace(f"mqtt-{peer}.example", address(peer))
            (folder / name).write_text(text)
        children.start(f"epmd{number}", wires.inside(number, "epmd"))

    @property
    def name(self) -> str:
        return f"rabbit@{address(self.number)}"

    def start(self) -> None:
        self._starts += 1
        command = [*self._env(), str(SERVER)]
        self._run = self._children.start(
            f"rabbit{self.number}-{self._starts}", self._wires.inside(self.number, *command)
        )

    def wait(self) -> None:
        assert self._run is not None
        self._children.wait_for_text(self._run, _STARTED, READY_S)

    def wait_until_restarted(self) -> None:
        """Waits until the node, paused as a minority, has restarted itself."""
        wait(lambda: self.log_text().count(_STARTED) > 1, self._children, f"{self.name} does not serve again", READY_S)

    def kill(self) -> None:
        """Ends the node by SIGKILL: it saves nothing and closes no connection."""
        assert self._run is not None
        os.kill(self.pid, signal.SIGKILL)
        self._run.process.wait(READY_S)
        self._children.children.remove(self._run)

    @property
    def pid(self) -> int:
        """The process of Erlang's machine; the child itself is a shell."""
        return int((self._folder / "pid").read_text())

    def log_text(self) -> str:
        assert self._run is not None
        return self._run.log.read_text(errors="replace")

    def ask(self, *words: str) -> list[str]:
        """Runs a command of `rabbitmqctl` on this node and returns its output."""
        return self._wires.inside(self.number, *self._env(), "/usr/lib/rabbitmq/bin/rabbitmqctl", "-q", *words)

    def _env(self) -> list[str]:
        its = {
            "HOME": self._folder, "RABBITMQ_NODENAME": self.name, "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_MNESIA_BASE": self._folder / "db", "RABBITMQ_LOG_BASE": self._folder / "log",
            "RABBITMQ_LOGS": "-", "RABBITMQ_CONFIG_FILE": self._folder / "rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": self._folder / "advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": SHIPPED / "enabled_plugins", "RABBITMQ_PID_FILE": self._folder / "pid",
            "RABBITMQ_CONF_ENV_FILE": os.devnull, "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
            "RABBITMQ_CTL_ERL_ARGS": "-start_epmd false",
        }  # fmt: skip
        return ["env", *(f"{name}={value}" for name, value in its.items())]


def place_revocations(files: Path) -> None:
    """Links crl.pem under the name that OpenSSL and Erlang look up: the issuer's hash."""
    command = ["openssl", "crl", "-in", str(files / "crl.pem"), "-noout", "-hash"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    (files / "crl").mkdir(exist_ok=True)
    shutil.copy(files / "crl.pem", files / "crl" / f"{done.stdout.strip()}.r0")


def start_front(children: Processes, folder: Path, nodes: int) -> int:
    """Starts haproxy on a free loopback port and returns the port."""
    port, text = free_port(), (SHIPPED / "haproxy.cfg").read_text()
    text = text.replace("bind :8883", f"bind {HOST}:{port}").replace("    maxconn 8000", "    maxconn 4000")
    for node in range(1, nodes + 1):
        text = text.replace(f"mqtt-{node}.example", address(node))
    (folder / "haproxy.cfg").write_text(text)
    children.start("haproxy", ["haproxy", "-f", str(folder / "haproxy.cfg")])
    wait(lambda: listens(port), children, "haproxy does not listen")
    return port
