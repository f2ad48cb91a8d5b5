# SPDX-License-Identifier: Apache-2.0
"""The ten simulated units of the demo, as in `linetap fleet`, in one process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from linetap_bench.demo.deskkeys import DemoKeys
from linetap_bench.fleet.fleet import Fleet
from linetap_bench.fleet.schedule import Happening
from linetap_bench.fleet.unit import Identity
from linetap_bench.stage.servers import HOST
from linetap_core.clock import SYSTEM
from linetap_core.durable import signedfile
from linetap_core.service import Stop
from linetap_core.wire.mqtt import Broker
from linetap_desk.accesslog import deskfolder

UNITS = tuple(f"{building}-{floor:02d}" for building in ("annex", "council") for floor in range(1, 6))
LINES = 8
EVERY_S = 180.0  # between the starts of two calls on a line
CUT_AT_S, CUT_FOR_S = 120, 60  # the first unit is cut off, so that the pages show an offline unit
CONNECTED = "connected"


def identities(folder: Path, port: int) -> Iterator[Identity]:
    made = DemoKeys(folder)
    authority = deskfolder.read_public(made.authority)
    roles = deskfolder.read_roles(made.roles, authority)[2]
    for name in UNITS:
        own = folder / "units" / name
        broker = Broker(host=HOST, port=port, ca=str(made.ca), certificate=f"{own}/tls.pem", key=f"{own}/tls.key")
        yield Identity(name, signedfile.load_key(own / "unit.key"), broker, authority, roles)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("disks", type=Path, help="their outboxes")
    args = parser.parse_args()
    stop = Stop()
    fleet = Fleet(identities(args.folder, args.port), LINES, args.disks, EVERY_S, SYSTEM)
    try:
        begun = False
        while not stop.requested:
            fleet.turn()
            if not begun and fleet.connected == len(UNITS):
                begun = True
                print(f"{len(UNITS)} units: {CONNECTED}", flush=True)
                fleet.busy_hour()
                fleet.schedule([Happening("partition", CUT_AT_S, CUT_FOR_S, 1)])
    finally:
        fleet.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
