# SPDX-License-Identifier: Apache-2.0
"""Lines that are plugged in and on-hook while no exchange runs: `python3 idle.py unit.toml`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from linetap.board.wires import Wires, wires_path
from linetap.config import load_config

IDLE = 4800  # hundredths of a volt
AHEAD_MS = 4000
EXCHANGE = Path("/sys/fs/cgroup/system.slice/exchange.service")

config = load_config(Path(sys.argv[1]))
lines = len(config.lines_of(1))
wires = Wires.attach_or_create(wires_path(config.run_path, 1), lines)
written_ms = 0
while True:
    if EXCHANGE.exists():
        written_ms = 0
    else:
        now_ms = time.monotonic_ns() // 1_000_000
        from_ms, until_ms = max(written_ms, now_ms), now_ms + AHEAD_MS
        shape = lines, until_ms - from_ms
        off = np.zeros(shape, np.bool_)
        wires.put(from_ms, off, off, off, np.full(shape, IDLE, np.int16))
        written_ms = until_ms
    time.sleep(1)
