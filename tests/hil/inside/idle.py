# SPDX-License-Identifier: Apache-2.0
"""Lines that are plugged in and on hook, as long as no exchange is there: `python3 idle.py unit.toml`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from linetap.board.wires import Wires, wires_path
from linetap.config import load_config

IDLE = 4800  # hundredths of a volt
AHEAD_MS = 8000

config = load_config(Path(sys.argv[1]))
lines = len(config.lines_of(1))
wires = Wires.attach_or_create(wires_path(config.run_path, 1), lines)
written_ms = time.monotonic_ns() // 1_000_000
while True:
    until_ms = time.monotonic_ns() // 1_000_000 + AHEAD_MS
    shape = lines, until_ms - written_ms
    off = np.zeros(shape, np.bool_)
    wires.put(written_ms, off, off, off, np.full(shape, IDLE, np.int16))
    written_ms = until_ms
    time.sleep(AHEAD_MS / 4000)
