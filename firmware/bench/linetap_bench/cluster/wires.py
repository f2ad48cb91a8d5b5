# SPDX-License-Identifier: Apache-2.0
"""A network of this process alone: a bridge, and a network namespace with a cable for each node.

A cable can be pulled, and a node can be cut off from its peers while clients still reach it. Packets between the peers
are then dropped in both directions: a TCP connection stays open and nothing arrives, as behind a broken switch.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from linetap_bench.stage.processes import Processes
from linetap_bench.stage.servers import wait
from linetap_core.errors import BadInput

_BRIDGE = "ltbridge"
_OWN = "10.9.0.1"


def address(node: int) -> str:
    return f"10.9.0.{10 + node}"


class Wires:
    """Moves the whole process, and thereby its children, into the new network."""

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
