# SPDX-License-Identifier: Apache-2.0
"""The renewal of a connection: the link counts as connected all the time, unless the new connection fails."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import broker as mosquitto
from broker import HOST, until
from linetap.reporter.link import Link, Patience
from linetap_core.clock import SYSTEM
from linetap_core.wire.mqtt import Broker


def connected(port: int) -> Link:
    link = Link(Broker(host=HOST, port=port), "floor-03", SYSTEM, Patience(first_ms=100))
    until(lambda: turn(link) and link.connected)
    return link


def turn(link: Link) -> bool:
    link.turn()
    link.happened(0.01)
    return True


def test_a_renewal_is_no_loss(tmp_path: Path) -> None:
    with mosquitto.Broker(tmp_path / "broker") as broker:
        link = connected(broker.port)
        session = link.session
        link.renew("for a test")
        stood: list[bool] = []
        shown: list[bool] = []

        def renewed() -> bool:
            turn(link)
            stood.append(link.connected)
            shown.append(link.connected or link.renewing)
            return link.connected and link.session != session

        until(renewed)
        assert not all(stood)
        assert all(shown)
        assert not link.renewing
        link.close(1000)


def test_a_renewal_to_nobody_is_a_loss(tmp_path: Path) -> None:
    broker = mosquitto.Broker(tmp_path / "broker").start()
    link = connected(broker.port)
    link.renew("for a test")
    broker.kill()
    until(lambda: turn(link) and not link.connected and not link.renewing)
    link.close(0)


def test_renewals_leave_no_socket_open(tmp_path: Path) -> None:
    """Independent of the garbage collector: a reporter reconnects for years."""
    with mosquitto.Broker(tmp_path / "broker") as broker:
        link = connected(broker.port)
        gc.collect()
        gc.disable()
        try:
            before = sockets()
            seen = {link.session}
            for _ in range(5):
                link.renew("for a test")
                until(lambda: turn(link) and link.connected and link.session not in seen)
                seen.add(link.session)
            until(lambda: turn(link) and sockets() <= before)
        finally:
            gc.enable()
            link.close(1000)


def sockets() -> int:
    """The open sockets of this process."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            continue
    return found
