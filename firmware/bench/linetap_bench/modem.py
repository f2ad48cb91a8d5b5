# SPDX-License-Identifier: Apache-2.0
"""What a card terminal's host answers with: Bell 103 and 212A by a tone, ITU-T V.22 by unscrambled ones, then data."""

from __future__ import annotations

import numpy as np

from linetap.ring import RATE_HZ
from linetap_bench.synth import F64

ANSWER_2225_HZ = 2225.0  # Bell 103, 212A
V22_CARRIER_HZ, V22_BAUD = 2400.0, 600  # ITU-T V.22, the answering side
V22_ONES_HZ = V22_CARRIER_HZ - V22_BAUD / 4  # unscrambled ones turn the phase by 270 degrees each symbol
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
