# SPDX-License-Identifier: Apache-2.0
"""What a telephone's microphone picks up of the room: a cough, hands on a keyboard."""

from __future__ import annotations

import numpy as np

from linetap.ring import RATE_HZ
from linetap_bench.synth import F64

KEYBOARD_S = 6.0


def cough(which: int) -> F64:
    """One to three bursts: a plosive, then a breath whose band narrows."""
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng([which, 81])
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        n = round(rng.uniform(0.18, 0.38) * RATE_HZ)
        t = np.arange(n) / RATE_HZ
        burst = rng.standard_normal(n) * (np.exp(-t / 0.03) + 0.35 * np.exp(-t / 0.12))
        low = float(rng.uniform(250, 500))
        parts += [sosfilt(butter(2, (low, 2600), "bandpass", fs=RATE_HZ, output="sos"), burst)]
        parts += [np.zeros(round(rng.uniform(0.08, 0.3) * RATE_HZ))]
    return np.concatenate(parts)


def keyboard(which: int) -> F64:
    """KEYBOARD_S of it: each key is a click down and a fainter one up."""
    rng = np.random.default_rng([which, 82])
    out = np.zeros(round(KEYBOARD_S * RATE_HZ))
    at = 0.1
    while at < KEYBOARD_S - 0.3:
        _click(out, at, 1.0, rng)
        _click(out, at + float(rng.uniform(0.06, 0.12)), 0.4, rng)
        at += float(rng.exponential(0.09)) + 0.07
    return out


def _click(out: F64, at_s: float, loud: float, rng: np.random.Generator) -> None:
    first, n = round(at_s * RATE_HZ), 100
    t = np.arange(n) / RATE_HZ
    ring = np.sin(2 * np.pi * rng.uniform(900, 3000) * t)
    out[first : first + n] += loud * (0.6 * rng.standard_normal(n) + ring) * np.exp(-t / 0.003)
