# SPDX-License-Identifier: Apache-2.0
"""Between the exchange's wires and the pins of gpio-sim: hook levels one way, relays the other.

`python3 header.py unit.toml /sys/.../gpiochipN`: what a line card does to the header of a Pi.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from linetap.board.pins import card_wiring, load_pins
from linetap.board.wires import Wires, wires_path
from linetap.config import load_config

config, chip = load_config(Path(sys.argv[1])), Path(sys.argv[2])
wiring = card_wiring(config, 1, load_pins(Path("/etc/linetap/pins.toml")))
lines = len(config.lines_of(1))
wires = Wires.attach_or_create(wires_path(config.run_path, 1), lines)
pulls = [chip / f"sim_gpio{pin}" / "pull" for pin in wiring.hook]
relays = [os.open(chip / f"sim_gpio{pin}" / "value", os.O_RDONLY) for pin in wiring.relay]
level = {wiring.hook_active_high: "pull-up", not wiring.hook_active_high: "pull-down"}
closed = b"1" if wiring.relay_active_high else b"0"
was: list[bool | None] = [None] * lines
print("ready", flush=True)
while True:
    now_ms = time.monotonic_ns() // 1_000_000
    for row, hook in enumerate(wires.take(now_ms).hook[:, -1].tolist()):
        if was[row] != hook:
            was[row] = hook
            pulls[row].write_text(level[hook])
        wires.relays[row] = os.pread(relays[row], 8, 0).strip() == closed
    wires.arm(now_ms)
    time.sleep(0.02)
