# SPDX-License-Identifier: Apache-2.0
"""The tones of Korea's exchanges and of fax machines, and the answer of a card terminal's host: a tone (Bell 103 and
212A), or unscrambled ones and then data (ITU-T V.22).
"""

from __future__ import annotations

import numpy as np

from linetap.ring import RATE_HZ
from linetap_bench.sounds.synth import (
    BUSY_DBM0,
    BUSY_HZ,
    BUSY_MS,
    DIAL_DBM0,
    DIAL_HZ,
    F64,
    RINGBACK_DBM0,
    RINGBACK_HZ,
    Cadence,
    Tones,
    pair,
)

# ITU-T E.180 data: Hz, dBm0 of the sum, on and off.
EXCHANGE_TONES: dict[str, tuple[tuple[float, ...], float, Cadence | None]] = {
    "dial": (DIAL_HZ, DIAL_DBM0, None),
    "ringback": (RINGBACK_HZ, RINGBACK_DBM0, (1000, 2000)),
    "busy": (BUSY_HZ, BUSY_DBM0, BUSY_MS),
    "congestion": (BUSY_HZ, BUSY_DBM0, (300, 200)),
    "unobtainable": ((450.0,), BUSY_DBM0, (200, 100, 200, 1500)),
    "call_waiting": (DIAL_HZ, RINGBACK_DBM0, (250, 250, 250, 3250)),
}
FAX_CALLING_HZ, FAX_CALLING_MS = 1100.0, (500, 3000)  # ITU-T T.30
FAX_ANSWER_HZ, FAX_REVERSAL_MS = 2100.0, 450  # ITU-T T.30, V.25
FAX_DBM0 = -18.0  # our estimate: a machine sends about -13, less the line's loss


def exchange_tone(name: str, length: int) -> Tones:
    tones_hz, dbm0, cadence_ms = EXCHANGE_TONES[name]
    return pair(tones_hz, dbm0, length, cadence_ms)


def fax_calling(length: int) -> Tones:
    return Tones([(FAX_CALLING_HZ, FAX_DBM0)], length, FAX_CALLING_MS)


def fax_answer(length: int, reversed_: bool) -> Tones:
    return Tones([(FAX_ANSWER_HZ, FAX_DBM0)], length, None, FAX_REVERSAL_MS if reversed_ else None)


ANSWER_2225_HZ = 2225.0  # Bell 103, 212A
V22_CARRIER_HZ, V22_BAUD = 2400.0, 600  # ITU-T V.22, the answering side
V22_ONES_HZ = V22_CARRIER_HZ - V22_BAUD / 4  # unscrambled ones shift the phase by 270 degrees each symbol
ONES_S, DATA_S = 0.9, 8.0


def v22_answer(which: int) -> F64:
    """Unscrambled ones, then scrambled data, peak about 1."""
    ones = np.arange(round(ONES_S * RATE_HZ))
    tone = np.sin(2 * np.pi * V22_ONES_HZ / RATE_HZ * ones)
    rng = np.random.default_rng([which, 95])
    symbols = np.cumsum(rng.integers(0, 4, round(DATA_S * V22_BAUD)))  # quarter turns
    n = round(DATA_S * RATE_HZ)
    at = np.arange(n) * V22_BAUD / RATE_HZ
    whole = at.astype(int)
    into = 0.5 - 0.5 * np.cos(np.pi * (at - whole))  # a raised cosine from one symbol to the next
    points = np.exp(0.5j * np.pi * symbols)
    following = points[np.minimum(whole + 1, len(points) - 1)]
    base = points[whole] * (1 - into) + following * into
    data: F64 = (base * np.exp(2j * np.pi * V22_CARRIER_HZ / RATE_HZ * np.arange(n))).real
    return np.concatenate([tone, data])
