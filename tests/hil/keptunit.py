# SPDX-License-Identifier: Apache-2.0
"""The unit that most tests go on from: its card taken, certified, its time agreed, connected to its broker. It is made
once a run and kept; every test has a copy of it, 3 s after it asked for one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from machine import Kept, Machine
from rig import HOST, Office, certify, state_of

from broker import HOST as LOOPBACK
from broker import free_port
from linetap_core.records import RecorderState, ReporterState
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
    def unit(self, kept: Kept, folder: Path) -> Iterator[Machine]:
        """The kept unit, which goes on; it is connected."""
        folder.mkdir(exist_ok=True)
        with Machine(folder, counted=True, kept=kept) as machine:
            machine.more = [*DEVICES]
            machine.resume()
            machine.until(lambda: connected(machine), "it is connected again")
            yield machine


TIME_SERVER = "10.77.1.1"  # inside/time.sh
DEVICES = ("-device", "qemu-xhci")  # what cables are plugged into


def kept_unit(site: Site, folder: Path) -> Kept:
    with working_unit(site, folder) as machine:
        return machine.keep(folder / "kept")


@contextlib.contextmanager
def working_unit(site: Site, folder: Path, authority: tuple[str, Path] | None = None) -> Iterator[Machine]:
    """From a card as it comes from the factory. `authority`: its key's line, its key list."""
    with site.broker(folder / "broker"), Machine(folder, counted=True) as machine:
        machine.more = [*DEVICES]
        machine.put("linetap.toml", site.office.card("--ntp", TIME_SERVER, port=site.port, authority=authority))
        machine.boot()
        certify(machine, site.office)
        machine.run("sh", "/run/hil/time.sh")
        machine.until(lambda: agreed_time(machine), "the time server is believed")
        machine.until(lambda: connected(machine), "it is connected")
        yield machine


def connected(machine: Machine) -> bool:
    return state_of(machine, "reporter", ReporterState).connected


def agreed_time(machine: Machine) -> bool:
    time = state_of(machine, "recorder", RecorderState).retention_time
    return time is not None and time.agreed
