# SPDX-License-Identifier: Apache-2.0
"""Starts a Mosquitto on a free loopback port: a plain one with limits and without persistence, or one with the shipped
configuration. Starts a private PostgreSQL. Ends an MQTT client.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

import paho.mqtt.client as mqtt

from linetap_bench.stage.processes import Child, ChildFailed, Processes
from linetap_core import absent
from linetap_core.clock import SYSTEM, Clock, ns_of
from linetap_core.errors import BadInput

_CONNECTIONS_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORTS_TRIED = 100
OWN_READY_S = 60.0
_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_connections 16
max_packet_size 1048576
max_queued_messages {queued}
log_dest stderr
"""


def start_broker(
    children: Processes, folder: Path, port: int | None = None, clock: Clock = SYSTEM, queued: int = 10_000
) -> tuple[Child, int]:
    """Starts a broker; returns it and its port, a free one unless given. ChildFailed if it does not listen."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    configuration = folder / "mosquitto.conf"
    configuration.write_text(_CONFIGURATION.format(port=port, queued=queued))
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")  # not in a user's path
    if program is None:
        raise BadInput(absent.not_installed("mosquitto"))
    child = children.start("mosquitto", [program, "-c", str(configuration)])
    deadline = clock.monotonic_ns() + ns_of(OWN_READY_S)
    while not listens(port):
        children.check()
        if clock.monotonic_ns() > deadline:
            raise ChildFailed(f"mosquitto does not listen on port {port}; {child.log}:\n{child.log_tail()}")
        clock.sleep(0.05)
    return child, port


SHIPPED = Path(__file__).parents[4] / "systemd" / "mosquitto"
HOST = "127.0.0.1"
READY_S = 120.0
# Debian's own mosquitto.conf, which reads conf.d.
_DEBIAN = "pid_file {0}/pid\npersistence true\npersistence_location {0}/\nlog_dest stderr\ninclude_dir {0}/conf.d\n"


def start_shipped(children: Processes, folder: Path, tls: Path, port: int) -> Child:
    """Starts a broker with the shipped configuration; `tls`: a city's folder. ChildFailed if it does not listen."""
    kept, read = folder / "linetap", folder / "conf.d"
    for one in (kept, read):
        one.mkdir(parents=True, exist_ok=True)
    for name in ("ca.pem", "crl.pem", "broker.pem", "broker.key"):
        shutil.copy(tls / name, kept / name)
    for name, to in (
        ("acl", kept / "acl"), ("linetap.conf", read / "linetap.conf"), ("city.conf", read / "linetap_city.conf")
    ):  # fmt: skip
        text = (SHIPPED / name).read_text().replace("/etc/mosquitto/linetap/", f"{kept}/")
        to.write_text(text.replace("listener 8883", f"listener {port} {HOST}"))
    user = "user root\n" if os.getuid() == 0 else ""
    (folder / "mosquitto.conf").write_text(user + _DEBIAN.format(folder))
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin") or "mosquitto"
    child = children.start("mosquitto", [program, "-c", str(folder / "mosquitto.conf")])
    wait(lambda: listens(port), children, "mosquitto does not listen")
    return child


def free_port() -> int:
    """A free port below the kernel's range for outgoing connections, one of which could occupy it before the server."""
    above = int(_CONNECTIONS_PORTS.read_text().split()[0])
    for _ in range(_PORTS_TRIED):
        port = above // 2 + secrets.randbelow(above // 2)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise BadInput(f"no port from {above // 2} to {above} is free")


def wait(what: Callable[[], bool], children: Processes, why: str, limit_s: float = READY_S) -> None:
    """Waits until `what` is true. ChildFailed if the time is over."""
    end_ns = SYSTEM.monotonic_ns() + ns_of(limit_s)
    while not what():
        children.check()
        if SYSTEM.monotonic_ns() > end_ns:
            raise ChildFailed(f"{why} within {limit_s:g} s")
        SYSTEM.sleep(0.05)


def end_client(client: mqtt.Client) -> None:
    """Disconnects and closes all sockets. A client that was about to reconnect is not disconnected by paho, and leaves
    its socket open (paho-mqtt 2.1: loop_stop ends the thread after CONNECT was sent)."""
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()  # also the two by which paho wakes its thread, which it closes when it is collected


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


# --- A private PostgreSQL on a Unix socket, which tests may kill and restart
# --------------------------------------------


LIMIT_S = 60
_SETTINGS = "listen_addresses=''\nfsync=on\nmax_connections=20\n"


def programs() -> Path:
    """The program folder of the newest installed PostgreSQL; BadInput if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise BadInput("there is no PostgreSQL on this machine: apt install postgresql")
    return found[-1].parent


class Postgres:
    def __init__(self, shared_mib: int = 16) -> None:
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="linetap-pg-", dir="/tmp"))  # the path of a socket must be short
        self._data = self._folder / "data"
        self._user = "nobody" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "-D", str(self._data), "-U", "desk", "-A", "trust", "-E", "UTF8", "--no-sync")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{_SETTINGS}shared_buffers={shared_mib}MB\nunix_socket_directories='{self._folder}'\n")
        self.url = f"postgresql+psycopg://desk@/postgres?host={self._folder}"

    def start(self) -> Self:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._folder / "log"), "start")
        return self

    def stop(self, how: str = "immediate") -> None:
        """Stops the server. `immediate` is like a crash: it recovers from its log at the next start."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", how, "stop")

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), *words]
        subprocess.run(
            command, user=self._user, cwd=self._folder, check=True, timeout=LIMIT_S,
            stdout=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
