# SPDX-License-Identifier: Apache-2.0
"""The units that tests go on from, made once a run and kept; every test has a copy, 3 s after it asked for one. One has
taken its card, is certified and connected to its broker; the other, a while later, has agreed the time as well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from machine import Kept, Machine
from rig import HOST, UNIT, Office, certify, idle_lines, state_of

from broker import HOST as LOOPBACK
from linetap.checks.judgement import QUIET_S
from linetap_bench.stage.servers import free_port
from linetap_core.records import PanelState, RecorderState, ReporterState
from pki_rig import Pair
from shipped_broker import ShippedBroker


@dataclass(frozen=True)
class Site:
    """Around the unit: the office, and where its broker is."""

    office: Office
    pair: Pair
    port: int

    @classmethod
    def new(cls, folder: Path) -> Self:
        office = Office.new(folder / "office")
        return cls(office, office.pki.host(HOST, LOOPBACK), free_port())

    def broker(self, folder: Path) -> ShippedBroker:
        """That knows nobody yet."""
        return ShippedBroker(folder, pki=self.office.pki, pair=self.pair, port=self.port)

    @contextlib.contextmanager
    def unit(self, kept: Kept, folder: Path, broker: ShippedBroker) -> Iterator[Machine]:
        """The kept unit, which goes on, and is connected to this broker."""
        folder.mkdir(exist_ok=True)
        with Machine(folder, counted=True, kept=kept) as machine:
            machine.more = [*DEVICES]
            machine.resume()
            machine.run("ss", "-K", "dst", HOST, check=False)  # a connection with nobody at its other end
            machine.until(lambda: f"as {UNIT} " in broker.said(), "it is connected again")
            yield machine


TIME_SERVER = "10.77.1.1"  # inside/time.sh
# To the broker a counted machine beside busy ones is silent for minutes.
PATIENT = {"keepalive_s = 30": "keepalive_s = 3600"}
SETTLES_S = QUIET_S + 120  # of the machine's own time
DEVICES = ("-device", "qemu-xhci")  # what cables are plugged into


def connected_unit(site: Site, folder: Path) -> Kept:
    """The date is not confirmed yet: nobody has been asked."""
    with working_unit(site, folder, "--ntp", TIME_SERVER) as machine:
        idle_lines(machine)
        return machine.keep(folder / "kept")


def kept_unit(site: Site, connected: Kept, folder: Path) -> Kept:
    """The connected unit a while later: it has agreed with a time server, which is gone after a start, and is well."""
    with site.broker(folder / "broker") as broker, site.unit(connected, folder, broker) as machine:
        machine.run("sh", "/run/hil/time.sh")
        machine.until(lambda: agreed_time(machine), "the time server is believed")
        # Beside busy ones its broker comes and goes while it starts, which stands on the LEDs for ten quiet minutes.
        machine.until(lambda: is_settled(machine), "no alert comes and goes", SETTLES_S, every_s=3.0)
        return machine.keep(folder / "kept")


@contextlib.contextmanager
def working_unit(
    site: Site, folder: Path, *network: str, authority: tuple[str, Path] | None = None, lines: int = 8
) -> Iterator[Machine]:
    """From a card as it comes from the factory, with these words about its network. `authority`: its key's line, its
    key list."""
    with site.broker(folder / "broker"), Machine(folder, counted=True) as machine:
        machine.more = [*DEVICES]
        card = site.office.card(*network, lines=lines, port=site.port, changes=PATIENT, authority=authority)
        machine.put("linetap.toml", card)
        machine.boot()
        certify(machine, site.office)
        machine.until(lambda: is_connected(machine), "it is connected")
        yield machine


def is_connected(machine: Machine) -> bool:
    return state_of(machine, "reporter", ReporterState).connected


def is_settled(machine: Machine) -> bool:
    alerts = state_of(machine, "panel", PanelState).alerts
    return "line_cut" not in alerts and not any(alert.changes for alert in alerts.values())


def agreed_time(machine: Machine) -> bool:
    time = state_of(machine, "recorder", RecorderState).retention_time
    return time is not None and time.agreed
