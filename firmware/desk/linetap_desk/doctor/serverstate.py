# SPDX-License-Identifier: Apache-2.0
"""Checks the machine: services, databases as seen by each of their users, the pages, disks, and the clock."""

from __future__ import annotations

import os
import pwd
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.evidence.calls import hold
from linetap_core.timekeeping import kernel_synced
from linetap_desk.config.desk import DeskConfig
from linetap_desk.config.pages import Settings
from linetap_desk.copy import recordfile
from linetap_desk.doctor import Finding
from linetap_desk.setup import machine
from linetap_desk.setup.machine import as_user, run_program

_LIMIT_S = 10
_LEAST_BYTES, _LEAST_PART = 2 << 30, 0.05
_ESTABLISHED, _LISTENS = "01", "0A"
_LOOPBACKS = ("0100007F", "00000000000000000000000001000000")  # as printed by a little-endian machine's kernel
_PLAIN = 1883
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def services(units: list[str]) -> Iterator[Finding]:
    for unit in units:
        active, enabled = (
            run_program(("systemctl", word, unit)).stdout.strip() for word in ("is-active", "is-enabled")
        )
        if active != "active":
            yield Finding(
                "service", f"{unit} is {active or 'not there'}", f"journalctl -eu {unit}; systemctl restart {unit}"
            )
        elif enabled != "enabled":
            yield Finding("service", f"{unit} does not start with the machine", f"systemctl enable {unit}")
        else:
            yield Finding("service", f"{unit} is active")


def ingest_connected(port: int, clock: Clock) -> Finding:
    """Whether the kernel lists a connection of the ingest's user to the broker's port. Waits for an ingest that has
    just started."""
    unit = machine.INGEST_UNIT
    try:
        user = pwd.getpwnam(machine.DESK).pw_uid
    except KeyError:
        return Finding("ingest", f"there is no user {machine.DESK}", "apt install --reinstall linetap-desk")
    end_ns = clock.monotonic_ns() + _LIMIT_S * NS_PER_S
    while not (connected := _has_connection(user, port)) and clock.monotonic_ns() < end_ns:
        clock.sleep(0.5)
    if connected:
        return Finding("ingest", "is connected to the broker")
    cure = f"journalctl -eu {unit}; its name in {machine.MOSQUITTO_FILES / 'acl'}"
    return Finding("ingest", "is not connected to the broker", cure)


def ports(wanted: list[int], clock: Clock) -> Iterator[Finding]:
    """Whether each port is open to other machines, and MQTT without TLS is not. Waits for a service that has just
    started. A firewall in between is not detected here."""
    end_ns = clock.monotonic_ns() + _LIMIT_S * NS_PER_S
    while not set(wanted) <= _open_to_all() and clock.monotonic_ns() < end_ns:
        clock.sleep(0.5)
    found = _open_to_all()
    for port in wanted:
        closed = port not in found
        cure = f"listener in {machine.MOSQUITTO}/conf.d, or serve.listen in desk.toml" if closed else ""
        yield Finding("port", f"{port} is {'not ' if closed else ''}open to other machines", cure)
    if _PLAIN in found:
        yield Finding(
            "port", f"{_PLAIN} is open: MQTT without TLS", f"no listener {_PLAIN} in {machine.MOSQUITTO}/conf.d"
        )


def _open_to_all() -> set[int]:
    return {port for address, port, _, state, _ in _sockets() if state == _LISTENS and address not in _LOOPBACKS}


def _has_connection(user: int, port: int) -> bool:
    return any(state == _ESTABLISHED and (owner, there) == (user, port) for _, _, there, state, owner in _sockets())


def _sockets() -> Iterator[tuple[str, int, int, str, int]]:
    """The rows of proc_net_tcp(5): own address and port, the other end's port, state, user."""
    for path in _TABLES:
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            words = line.split()
            address, _, own = words[1].rpartition(":")
            yield address, int(own, 16), int(words[2].rpartition(":")[2], 16), words[3], int(words[7])


def is_postgresql(config: DeskConfig) -> bool:
    """Whether the ingest's database is one of a PostgreSQL on this machine."""
    url = urlsplit(config.db or "")
    return url.scheme.startswith("postgresql") and not url.hostname


def databases(config: DeskConfig, path: Path) -> Iterator[Finding]:
    linetap = "/usr/bin/linetap"
    reading = ("desk", "calls", "--db", config.db or "", "--limit", "1")
    people = ("desk", "people", "list", "--config", str(path))
    for what, user, words in (
        ("database of the ingest", machine.DESK, reading),
        ("database of the ingest, for the pages", machine.PAGES, reading),
        ("database of the pages", machine.PAGES, people),
    ):
        done = run_program(as_user(user, linetap, *words))
        reason = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        if done.returncode:
            server = f"systemctl restart {machine.POSTGRESQL_UNIT}" if is_postgresql(config) else "its file or server"
            yield Finding(what, reason, f"by {user}: {server}; its rights: docs/install-desk.md")
        elif words is people and not done.stdout.strip():
            yield Finding(what, "has no account", "linetap desk setup --admin NAME")
        else:
            yield Finding(what, "is read" if words is reading else f"{len(done.stdout.splitlines())} accounts")


def pages(settings: Settings) -> Iterator[Finding]:
    url = urlsplit(settings.url or "")
    name = url.hostname or settings.host
    host = machine.LOOPBACK if settings.host in ("0.0.0.0", "::") else settings.host
    unit = machine.PAGES_UNIT
    try:
        with socket.create_connection((host, settings.port), _LIMIT_S) as plain:
            if settings.certificate is not None:
                _trust(settings).wrap_socket(plain, server_hostname=name).close()
    except ssl.SSLCertVerificationError as error:
        yield Finding(
            "pages", f"{name}: {error.verify_message}", "serve.certificate and serve.url in desk.toml: one name"
        )
    except OSError as error:
        yield Finding("pages", f"{host}:{settings.port}: {error.strerror or error}", f"journalctl -eu {unit}")
    else:
        yield Finding("pages", f"{settings.url} answers")
    try:
        socket.getaddrinfo(name, settings.port)
    except OSError:
        yield Finding(
            "name", f"{name} is not known to this machine", "an entry in the city's name server, or /etc/hosts"
        )
    else:
        yield Finding("name", f"{name} is known")


def _trust(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.desk.broker.ca is not None:
        context.load_verify_locations(settings.desk.broker.ca)
    return context


def disks(config: DeskConfig) -> Iterator[Finding]:
    folders = [machine.STATE, machine.PAGES_STATE]
    store = urlsplit(config.copy.store) if config.copy else None
    if store is not None and store.scheme == "file":
        folders.append(Path(unquote(store.path)))
    for folder in folders:
        yield _room(folder)
    if store is not None and store.scheme == "file" and folders[-1].is_dir():
        folder = folders[-1]
        if run_program(as_user(machine.DESK, "test", "-w", str(folder))).returncode:
            yield Finding("copies", f"{folder} takes nothing from {machine.DESK}", f"chown {machine.DESK} {folder}")


def holds(config: DeskConfig) -> Iterator[Finding]:
    """Whether the ingest can read every hold, and the pages can store one. While one cannot be read, the ingest deletes
    no expired copy."""
    if config.copy is None or config.copy.holds is None:
        return
    folder = Path(config.copy.holds)
    # find(1) fails in a folder that its user may not enter, such as root's home.
    named = ("env", "--chdir=/", "find", str(folder), "-maxdepth", "2", "-name", hold.HOLD, "!", "-readable")
    hidden = run_program(as_user(machine.DESK, *named))
    lines = (hidden.stdout or hidden.stderr).strip().splitlines()
    kept = recordfile.read_holds(folder)
    if hidden.returncode or lines or kept.unread:
        why = kept.unread or f"not readable by {machine.DESK}: {(lines or [str(folder)])[0]}"
        yield Finding("holds", why, "linetap desk setup makes the folder; have a vault officer look at the hold")
    elif run_program(as_user(machine.PAGES, "test", "-w", str(folder))).returncode:
        yield Finding("holds", f"{folder} takes nothing from {machine.PAGES}", f"chown {machine.PAGES} {folder}")
    else:
        yield Finding("holds", f"{folder}: those of {len(kept.paths)} calls are read")


def _room(folder: Path) -> Finding:
    try:
        found = os.statvfs(folder)
    except OSError as error:
        return Finding("disk", f"{folder}: {error.strerror}", "linetap desk setup makes it; or its disk is not mounted")
    free, whole = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    text = f"{folder}: {free / 2**30:.1f} of {whole / 2**30:.1f} GiB free"
    if free < _LEAST_BYTES or free < whole * _LEAST_PART:
        return Finding("disk", text, "a larger disk; nothing is deleted before its day")
    return Finding("disk", text)


def timekeeping(clock: Clock) -> Finding:
    if kernel_synced(clock):
        return Finding("clock", "is synchronised")
    return Finding("clock", "is not synchronised", "apt install systemd-timesyncd, or chrony; timedatectl")
