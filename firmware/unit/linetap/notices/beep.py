# SPDX-License-Identifier: Apache-2.0
"""The sound of the recording beep: 1400 Hz for 200 ms, as in 47 CFR 64.501 (1260 to 1540 Hz, 170 to 250 ms)."""

from __future__ import annotations

import numpy as np

from linetap.ring import I16, RATE_HZ
from linetap_core.evidence.calls.g711 import FULL_SCALE_DBM0

BEEP = ".beep"  # no imported notice may have this name
HZ, LENGTH_MS, EDGE_MS = 1400, 200, 5


def beep_samples(dbm0: float) -> I16:
    n, edge = (ms * RATE_HZ // 1000 for ms in (LENGTH_MS, EDGE_MS))
    wave = np.sin(2 * np.pi * HZ / RATE_HZ * np.arange(n)) * 32767 * 10 ** ((dbm0 - FULL_SCALE_DBM0) / 20)
    rise = np.minimum(1.0, np.minimum(np.arange(n) + 1, np.arange(n)[::-1] + 1) / edge)  # no click
    return np.rint(wave * rise).astype(np.int16)
