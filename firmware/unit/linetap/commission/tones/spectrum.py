# SPDX-License-Identifier: Apache-2.0
"""The one or two frequencies of a recorded tone: roughly in short windows, then within 0.1 Hz in long ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from linetap.ring import RATE_HZ
from linetap_core.codecs.g711 import POWER_0DBM0, power_of

F64 = NDArray[np.float64]
Hz = tuple[float, ...]

LOW_HZ, HIGH_HZ = 300, 3400  # the band of a telephone line, above mains hum
_TAPS, _CUT_HZ = 201, 240  # attenuates 180 Hz, the third harmonic of 60 Hz, by 40 dB, and passes 305 Hz
_FRAME, _STEP = 800, 200  # 100 ms separate 440 from 480 Hz, and fit into the shortest burst
_BINS = 4096  # of 1.95 Hz
_LOBE_HZ = 20.0  # half width for a Hann window of 100 ms
_FLOOR_DBM0 = -50.0
_PURE = 0.75  # share of a frame's power in two peaks; speech reaches it only briefly, and never at one pitch
_STEADY_FRAMES = 12  # 0.3 s in all
_MOST_TONES = 3  # a dial tone before the wanted tone, and one after it
_SAME_HZ = 6.0  # the accuracy of a short window
_OFTEN = 0.4  # minimum share of frames with both frequencies
_PIECE = RATE_HZ  # the error of longer windows would be the PBX's clock


class Lines(NamedTuple):
    """Frequencies with their levels, and the share of the power in a third line (`third_hz`)."""

    hz: Hz
    dbm0: tuple[float, ...]
    third_hz: float
    third_share: float


def without_hum(samples: NDArray[np.int16]) -> F64:
    """The samples as float64, high-pass filtered without delay."""
    at = np.arange(_TAPS) - _TAPS // 2
    low = np.sinc(2 * _CUT_HZ / RATE_HZ * at) * np.hamming(_TAPS)
    kernel = -low / low.sum()
    kernel[_TAPS // 2] += 1
    wave: F64 = np.convolve(samples.astype(np.float64), kernel)[_TAPS // 2 : _TAPS // 2 + len(samples)]
    return wave


def dbm0_of(power: float) -> float:
    """The level of a mean square on int16's scale."""
    return float(10 * np.log10(max(power, 1e-9) / POWER_0DBM0))


def rough(wave: F64, weaker_min: float) -> list[Hz]:
    """The steady tones, to within some hertz, the longest first.

    A second frequency counts from `weaker_min` of the power of both; below that it is a harmonic or noise.
    """
    seen = _peaks(wave, weaker_min)
    tones: list[Hz] = []
    while len(tones) < _MOST_TONES:
        first, count = _commonest(seen)
        if count < _STEADY_FRAMES:
            break
        with_first = (np.abs(seen - first) < _SAME_HZ).any(axis=1)
        others = seen[with_first]
        second, count = _commonest(others[np.abs(others - first) >= _SAME_HZ])
        if count < _OFTEN * len(others):
            tones.append((first,))
            seen = seen[~with_first]
        else:
            tones.append((min(first, second), max(first, second)))
            seen = seen[~(with_first & (np.abs(seen - second) < _SAME_HZ).any(axis=1))]
    return tones


def fine(burst: F64, about: Hz) -> Lines:
    """Measures one whole burst without its edges."""
    wave = burst[:_PIECE]
    window = np.hanning(len(wave))
    bins = 1 << max(14, (4 * len(wave) - 1).bit_length())
    power = np.abs(np.fft.rfft(wave * window, bins)) ** 2
    step = RATE_HZ / bins
    lobe = max(2, int(2.5 * RATE_HZ / len(wave) / step))
    power[: int(LOW_HZ / 2 / step)] = 0
    total = float(power.sum())
    hz = tuple(_interpolate(power, _highest(power, f, _SAME_HZ + 2, step)) * step for f in about)
    base = sines(hz, len(wave))
    parts = np.linalg.lstsq(base, wave, rcond=None)[0].reshape(len(hz), 2)
    dbm0 = tuple(dbm0_of(float((pair**2).sum()) / 2) for pair in parts)
    for f in hz:
        middle = round(f / step)
        power[max(0, middle - lobe) : middle + lobe + 1] = 0
    third = int(power.argmax())
    share = float(power[max(0, third - lobe) : third + lobe + 1].sum()) / max(total, 1e-9)
    return Lines(hz, dbm0, third * step, share)


def sines(hz: Hz, length: int) -> F64:
    """A cosine and a sine of each frequency: (length, 2 x frequencies)."""
    phase = 2 * np.pi / RATE_HZ * np.outer(np.arange(length), hz)
    return np.stack([np.cos(phase), np.sin(phase)], axis=2).reshape(length, -1)


def _peaks(wave: F64, weaker_min: float) -> F64:
    """The peak frequencies (k, 2), Hz, of frames that are nearly all tone; NaN without a second frequency."""
    found: list[tuple[float, float]] = []
    if len(wave) < _FRAME:
        return np.zeros((0, 2))
    step = RATE_HZ / _BINS
    lobe = round(_LOBE_HZ / step)
    band = slice(round(LOW_HZ / step) - lobe, round((HIGH_HZ + 200) / step))
    window = np.hanning(_FRAME)
    floor = power_of(_FLOOR_DBM0)
    for frame in sliding_window_view(wave, _FRAME)[::_STEP]:
        if float(np.mean(frame**2)) < floor:
            continue
        power = np.abs(np.fft.rfft(frame * window, _BINS)) ** 2
        power[: band.start] = power[band.stop :] = 0
        total = float(power.sum())
        places: list[float] = []
        shares: list[float] = []
        for _ in range(2):
            top = int(power.argmax())
            places.append(_interpolate(power, top) * step)
            near = slice(max(0, top - lobe), top + lobe + 1)
            shares.append(float(power[near].sum()) / total)
            power[near] = 0
        if sum(shares) >= _PURE:
            found.append((places[0], places[1] if shares[1] >= weaker_min * sum(shares) else np.nan))
    return np.array(found).reshape(-1, 2)


def _commonest(hz: F64) -> tuple[float, int]:
    """The frequency to which most values are close, and their number."""
    values = np.sort(hz[np.isfinite(hz)])
    if not len(values):
        return 0.0, 0
    ends = np.searchsorted(values, values + _SAME_HZ, side="right")
    counts = ends - np.arange(len(values))
    start = int(counts.argmax())
    return float(np.median(values[start : ends[start]])), int(counts[start])


def _highest(power: F64, hz: float, reach_hz: float, step: float) -> int:
    low, high = round((hz - reach_hz) / step), round((hz + reach_hz) / step) + 1
    return low + int(power[low:high].argmax())


def _interpolate(power: F64, top: int) -> float:
    """The position of a peak between bins: the top of the parabola through three logarithms."""
    if not 0 < top < len(power) - 1 or power[top - 1 : top + 2].min() <= 0:
        return float(top)
    before, peak, after = np.log(power[top - 1 : top + 2])
    bend = before - 2 * peak + after
    return float(top) if bend == 0 else float(top + 0.5 * (before - after) / bend)
