# SPDX-License-Identifier: Apache-2.0
"""`linetap desk doctor`: runs all checks, also after a fault, and changes nothing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from linetap_core.clock import Clock, from_utc_ns
from linetap_core.errors import BadInput, LinetapError
from linetap_core.wire.mqtt import Broker
from linetap_desk.config import pages
from linetap_desk.doctor import Finding, brokerprobe, keyfiles, rolesfile, serverstate
from linetap_desk.setup import machine
from linetap_desk.setup.services import units


def run_doctor(args: argparse.Namespace, clock: Clock) -> int:
    """Runs the checks. 0: no fault; 1: a fault."""
    if os.geteuid() != 0:
        raise BadInput("linetap desk doctor: has to be run as root: it checks files as each of the desk's users")
    wrong = 0
    for finding in findings(args.config, clock):
        wrong += bool(finding.cure)
        if finding.cure or not args.quiet:
            sys.stdout.write(f"{finding}\n")
            sys.stdout.flush()
    if not args.quiet:
        sys.stdout.write(f"{wrong} wrong\n" if wrong else "nothing is wrong\n")
    return 1 if wrong else 0


def findings(path: Path, clock: Clock) -> Iterator[Finding]:
    try:
        settings = pages.read_settings(path)
    except LinetapError as error:
        yield Finding("configuration", str(error), "linetap desk setup" if not path.exists() else f"mend {path}")
        return
    config = settings.desk
    yield Finding("configuration", f"{path} is read")
    here = config.broker.host in (machine.LOOPBACK, "localhost", "::1")
    yield from keyfiles.modes(config, here)
    yield from keyfiles.certificates(config, here, from_utc_ns(clock.utc_ns()))
    yield keyfiles.authority_here(from_utc_ns(clock.utc_ns()))
    database = [machine.POSTGRESQL_UNIT] if serverstate.is_postgresql(config) else []
    yield from serverstate.services([*database, *units(here)])
    yield from serverstate.ports([*([config.broker.port] if here else []), settings.port], clock)
    yield from brokerprobe.probe(_as_doctor(config.broker), clock)
    yield serverstate.ingest_connected(config.broker.port, clock)
    yield from serverstate.databases(config, path)
    yield from serverstate.pages(settings)
    yield from serverstate.disks(config)
    yield from serverstate.holds(config)
    yield from rolesfile.roles(config)
    yield serverstate.timekeeping(clock)


def _as_doctor(broker: Broker) -> Broker:
    """The same broker with the doctor's own certificate, if there is one."""
    own = machine.FOLDER / "doctor-tls.pem"
    if not own.exists():
        return broker if broker.ca is None else msgspec.structs.replace(broker, certificate=None, key=None)
    return msgspec.structs.replace(broker, certificate=str(own), key=str(own.with_suffix(".key")))
