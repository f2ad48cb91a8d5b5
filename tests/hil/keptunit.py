# SPDX-License-Identifier: Apache-2.0
"""The units from which tests continue, made once a run and kept; every test gets a copy in 3 s.

One has accepted its card, has a certificate and is connected to its broker. The other is the same machine later: it has
agreed the time, and its alerts no longer change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hil_table import NOTES, once
from machine import Kept, Machine
from rig import HOST, UNIT, Office, certify, idle_lines, state_of

from broker import HOST as LOOPBACK
from linetap.checks.judgement import QUIET_S
from linetap_bench.stage.servers import free_port
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.records import PanelState, RecorderState, ReporterState
from pki_rig import Pair
from shipped_broker import ShippedBroker


@dataclass(frozen=True)
class Site:
    """The surroundings of the unit: the office, and its broker's address."""

    office: Office
    pair: Pair
    port: int

    @classmethod
    def new(cls, folder: Path) -> Self:
        office = Office.new(folder / "office")
        return cls(office, office.pki.host(HOST, LOOPBACK), free_port())

    def broker(self, folder: Path) -> ShippedBroker:
        """A broker without any session yet."""
        return ShippedBroker(folder, pki=self.office.pki, pair=self.pair, port=self.port)

    @contextlib.contextmanager
    def unit(self, kept: Kept, folder: Path, broker: ShippedBroker) -> Iterator[Machine]:
        """The kept unit, resumed, and connected to this broker."""
        folder.mkdir(exist_ok=True)
        with Machine(folder, counted=True, kept=kept) as machine:
            machine.more = [*DEVICES]
            machine.resume()
            machine.run("ss", "-K", "dst", HOST, check=False)  # a connection whose other end is gone
            machine.until(lambda: f"as {UNIT} " in broker.said(), "it is connected again")
            yield machine


TIME_SERVER = "10.77.1.1"  # inside/time.sh
# Beside busy ones a counted machine sends nothing to the broker for minutes.
PATIENT = {"keepalive_s = 30": "keepalive_s = 3600"}
SETTLES_S = QUIET_S + 120  # in the machine's own time
DEVICES = ("-device", "qemu-xhci")  # the controller for plugged-in cables


class UnitMaker:
    """Makes both units with one machine, kept at two moments: a machine resumed from the first would lose its broker
    once more, and an alert that comes and goes twice stays on the LEDs for ten minutes.
    """

    def __init__(self, site: Site, shared: Path) -> None:
        self._site, self._shared = site, shared
        self._on = contextlib.ExitStack()
        self._machine: Machine | None = None  # between the two moments, or after the second

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._on.close()

    def connected(self) -> Kept:
        return once(self._shared / "connected", self._connect)

    def settled(self) -> Kept:
        return once(self._shared / "settled", self._settle)

    def unit(self, folder: Path) -> Machine:
        """The settled unit, with a broker; the original machine if it was made in this run."""
        kept = self.settled()
        return self._machine or self._resumed(kept, folder)

    def _connect(self, folder: Path) -> Kept:
        began_ns = SYSTEM.monotonic_ns()
        self._machine = self._on.enter_context(working_unit(self._site, folder))
        idle_lines(self._machine)
        made = self._machine.keep(folder / "kept")
        NOTES.append(f"a unit was connected and kept in {_since_s(began_ns):.0f} s")
        return made

    def _settle(self, folder: Path) -> Kept:
        began_ns = SYSTEM.monotonic_ns()
        connected = self.connected()
        machine = self._machine or self._resumed(connected, folder)
        machine.until(lambda: agreed_time(machine), "the time server is believed")
        # Beside busy machines its broker connection drops during its start, which the LEDs show for ten quiet minutes.
        machine.until(lambda: is_settled(machine), "no alert comes and goes", SETTLES_S, every_s=3.0)
        made = machine.keep(folder / "kept")
        NOTES.append(f"it was settled and kept after {_since_s(began_ns):.0f} s")
        return made

    def _resumed(self, kept: Kept, folder: Path) -> Machine:
        broker = self._on.enter_context(self._site.broker(folder / "broker"))
        self._machine = self._on.enter_context(self._site.unit(kept, folder, broker))
        return self._machine


def _since_s(began_ns: int) -> float:
    return (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S


@contextlib.contextmanager
def working_unit(
    site: Site, folder: Path, *, is_timed: bool = True, authority: tuple[str, Path] | None = None, lines: int = 8
) -> Iterator[Machine]:
    """A machine with a card in factory state. `is_timed`: it gets the time from a server, which is gone after a start.
    `authority`: its key's line, its key list.
    """
    with site.broker(folder / "broker"), Machine(folder, counted=True) as machine:
        machine.more = [*DEVICES]
        network = ("--ntp", TIME_SERVER) if is_timed else ()
        card = site.office.card(*network, lines=lines, port=site.port, changes=PATIENT, authority=authority)
        machine.put("linetap.toml", card)
        machine.boot()
        if is_timed:
            machine.run("sh", "/run/hil/time.sh")  # polled and accepted while the certificate is made
        certify(machine, site.office)
        machine.until(lambda: connected(machine), "it is connected")
        yield machine


def connected(machine: Machine) -> bool:
    return state_of(machine, "reporter", ReporterState).connected


def is_settled(machine: Machine) -> bool:
    alerts = state_of(machine, "panel", PanelState).alerts
    return "line_cut" not in alerts and not any(alert.changes for alert in alerts.values())


def agreed_time(machine: Machine) -> bool:
    time = state_of(machine, "recorder", RecorderState).retention_time
    return time is not None and time.agreed
