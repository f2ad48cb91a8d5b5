# SPDX-License-Identifier: Apache-2.0
"""Starts the services of a desk's server, and makes the first account as the user of the pages."""

from __future__ import annotations

import socket

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import BadInput
from linetap_desk.config import pages
from linetap_desk.setup import places
from linetap_desk.setup.answers import Answers
from linetap_desk.setup.machine import as_user, run_checked, run_program

_LINETAP = "/usr/bin/linetap"
_WITHIN_S = 60


def units(broker_here: bool) -> list[str]:
    return ([places.BROKER_UNIT] if broker_here else []) + [places.INGEST_UNIT, places.PAGES_UNIT]


def start(answers: Answers, changed: bool, clock: Clock) -> None:
    """Enables the services and starts them, or restarts them if their files have `changed`. BadInput if one does not
    stay up."""
    services = units(answers.broker is None)
    run_checked("systemctl", "daemon-reload")
    run_checked("systemctl", "enable", "--quiet", *services)
    run_checked("systemctl", "restart" if changed else "start", *services)
    settings = pages.read_settings(places.CONFIG)
    if not _answers(settings.port, clock):
        raise BadInput(
            f"{places.PAGES_UNIT}: does not answer on port {settings.port}: journalctl -eu {places.PAGES_UNIT}"
        )
    for unit in services:
        if run_program(("systemctl", "is-active", "--quiet", unit)).returncode:
            raise BadInput(f"{unit}: does not stay up: journalctl -eu {unit}")


def _answers(port: int, clock: Clock) -> bool:
    end_ns = clock.monotonic_ns() + _WITHIN_S * NS_PER_S
    while clock.monotonic_ns() < end_ns:
        try:
            socket.create_connection((places.LOOPBACK, port), timeout=1).close()
        except OSError:
            clock.sleep(0.2)
        else:
            return True
    return False


def invite(name: str, shown: str) -> str:
    """The one-time link of a new account; of an existing one, how it gets another."""
    people = (_LINETAP, "desk", "people")
    config = ("--config", str(places.CONFIG))
    listed = run_checked(*as_user(places.PAGES, *people, "list", *config)).splitlines()
    if any(line.split("\t")[0] == name for line in listed):
        again = " ".join(as_user(places.PAGES, "linetap", "desk", "people", "invite", name, *config))
        return f"{name}: has an account; another link: {again}"
    made = as_user(places.PAGES, *people, "add", name, "--shown", shown, "--roles", "officer", "--invite", *config)
    return f"{shown}: open this link within a day, once: {run_checked(*made)}"
