# SPDX-License-Identifier: Apache-2.0
"""Configures and starts the services of a desk's server: Mosquitto by the shipped files (docs/broker.md), with this
desk's names in its acl; all services; and the first account, made as the user of the pages."""

from __future__ import annotations

import socket

from linetap_core import absent
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import BadInput
from linetap_desk.config import pages
from linetap_desk.setup import machine
from linetap_desk.setup.answers import Answers
from linetap_desk.setup.certificates import Report
from linetap_desk.setup.machine import as_user, run_checked, run_program, write_file

_LINETAP = "/usr/bin/linetap"
_WITHIN_S = 60


def units(broker_here: bool) -> list[str]:
    return ([machine.BROKER_UNIT] if broker_here else []) + [machine.INGEST_UNIT, machine.PAGES_UNIT]


def start(answers: Answers, changed: bool, clock: Clock) -> None:
    """Enables the services and starts them, or restarts them if their files have `changed`. BadInput if one does not
    stay up."""
    services = units(answers.broker is None)
    run_checked("systemctl", "daemon-reload")
    run_checked("systemctl", "enable", "--quiet", *services)
    run_checked("systemctl", "restart" if changed else "start", *services)
    settings = pages.read_settings(machine.CONFIG)
    if not _answers(settings.port, clock):
        raise BadInput(
            f"{machine.PAGES_UNIT}: does not answer on port {settings.port}: journalctl -eu {machine.PAGES_UNIT}"
        )
    for unit in services:
        if run_program(("systemctl", "is-active", "--quiet", unit)).returncode:
            raise BadInput(f"{unit}: does not stay up: journalctl -eu {unit}")


def _answers(port: int, clock: Clock) -> bool:
    end_ns = clock.monotonic_ns() + _WITHIN_S * NS_PER_S
    while clock.monotonic_ns() < end_ns:
        try:
            socket.create_connection((machine.LOOPBACK, port), timeout=1).close()
        except OSError:
            clock.sleep(0.2)
        else:
            return True
    return False


def invite(name: str, shown: str) -> str:
    """The one-time link of a new account; for an existing one, how to get another link. BadInput for another `shown`
    than it has; its own name as `shown` stands for none."""
    people = (_LINETAP, "desk", "people")
    config = ("--config", str(machine.CONFIG))
    listed = run_checked(*as_user(machine.PAGES, *people, "list", *config)).splitlines()
    had = next((line.split("\t")[1] for line in listed if line.split("\t")[0] == name), None)
    if had is not None and shown not in (name, had):
        raise BadInput(f"--shown {shown}: {name} has an account, which is shown as {had} and stays so")
    if had is not None:
        again = " ".join(as_user(machine.PAGES, "linetap", "desk", "people", "invite", name, *config))
        return f"{name}: has an account; another link: {again}"
    made = as_user(machine.PAGES, *people, "add", name, "--shown", shown, "--roles", "officer", "--invite", *config)
    return f"{shown}: open this link within a day, once: {run_checked(*made)}"


_FILES = {"linetap.conf": "linetap.conf", "city.conf": "linetap_city.conf"}  # shipped -> in conf.d
_LIMITS = machine.MOSQUITTO.parent / "systemd/system/mosquitto.service.d/linetap.conf"
_MANY_FILES = b"# Two files for each unit, and more for their desks: docs/broker.md\n[Service]\nLimitNOFILE=8192\n"
_EXAMPLE = "user desk:seoul"  # in the shipped acl
_DOCTOR = """
# `linetap desk doctor`: it hears, and says nothing.
user desk:{name}
topic read linetap/v1/#
"""


def require_broker() -> None:
    if not (machine.MOSQUITTO / "conf.d").is_dir():
        raise BadInput(f"{absent.not_installed('mosquitto')}; or name a broker elsewhere by --broker")


def configure_broker(report: Report) -> bool:
    """Writes the broker's files; returns whether any changed. An existing acl belongs to a person, and stays."""
    machine.MOSQUITTO_FILES.mkdir(exist_ok=True)
    shipped = machine.SHIPPED / "mosquitto"
    changed = False
    for source, name in _FILES.items():
        target = machine.MOSQUITTO / "conf.d" / name
        if not target.exists():
            changed |= write_file(target, (shipped / source).read_bytes())
            report(f"{target}: as shipped")
    acl = machine.MOSQUITTO_FILES / "acl"
    if not acl.exists():
        changed |= write_file(
            acl, acl_of((shipped / "acl").read_text(encoding="utf-8")).encode(), group="mosquitto", mode=0o640
        )
        report(f"{acl}: desk:{machine.INGEST_NAME}, desk:{machine.PAGES_NAME} and every unit")
    _LIMITS.parent.mkdir(parents=True, exist_ok=True)
    return write_file(_LIMITS, _MANY_FILES) or changed


def acl_of(shipped: str) -> str:
    """The shipped acl with this desk's names."""
    assert _EXAMPLE in shipped
    acl = shipped.replace(_EXAMPLE, f"user desk:{machine.INGEST_NAME}")
    return acl + _DOCTOR.format(name=machine.DOCTOR_NAME)
