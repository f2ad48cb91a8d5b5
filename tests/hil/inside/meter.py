# SPDX-License-Identifier: Apache-2.0
"""The line meter of the emulated card: it measures the exchange's wires and has the other end of the unit's cable.

`python3 meter.py unit.toml /dev/hil/meter`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import serial

from linetap.bench.meter import Meter
from linetap.bench.wirevolts import WireVolts
from linetap.board.meter.protocol import BAUD
from linetap.board.wires import Wires, wires_path
from linetap.clock import SYSTEM
from linetap.config import load_config

config = load_config(Path(sys.argv[1]))
wires = Wires.attach_or_create(wires_path(config.run_path, 1), len(config.lines_of(1)))
meter = Meter(WireVolts(wires), wires.lines, SYSTEM.monotonic_ns())
with serial.Serial(sys.argv[2], BAUD, timeout=0.01, write_timeout=0) as port:
    print("ready", flush=True)
    while True:
        meter.hear(port.read(256), SYSTEM.monotonic_ns())
        port.write(meter.sent_until(SYSTEM.monotonic_ns()))
