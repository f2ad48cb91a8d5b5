# SPDX-License-Identifier: Apache-2.0
"""How well a stretch of sound keeps its notes: what music does also through a codec, and a voice does not."""

from __future__ import annotations

import numpy as np

from linetap.ring import I16, RATE_HZ

WINDOW, STEP = RATE_HZ * 64 // 1000, RATE_HZ * 32 // 1000
LATER = 3  # steps: 96 ms, shorter than a note and longer than a vowel keeps its pitch
LOW, HIGH = 200 * WINDOW // RATE_HZ, 3400 * WINDOW // RATE_HZ
FAINTEST = 3e-3  # of the loudest window's power: below is a pause
FEWEST = 8  # windows


def kept_notes(audio: I16) -> float | None:
    """How alike spectra 96 ms apart are, 0 to 1: the median of those with sound. None: too little of it."""
    windows = (len(audio) - WINDOW) // STEP + 1
    if windows < FEWEST + LATER:
        return None
    pieces = np.lib.stride_tricks.sliding_window_view(audio.astype(np.float64), WINDOW)[::STEP]
    spectra = np.abs(np.fft.rfft(pieces * np.hanning(WINDOW)))[:, LOW:HIGH]
    power = (spectra**2).sum(axis=1)
    sound = power > power.max() * FAINTEST
    both = sound[LATER:] & sound[:-LATER]
    if power.max() <= 0 or both.sum() < FEWEST:
        return None
    spectra /= np.sqrt(power)[:, None] + 1e-9
    return float(np.median((spectra[LATER:] * spectra[:-LATER]).sum(axis=1)[both]))
