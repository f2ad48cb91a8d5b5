# SPDX-License-Identifier: Apache-2.0
"""Finds the delay of each returned block of a known sound: a common delay, which drifts if two clocks do.

Each block is correlated with the captured audio. Both are whitened, so that neither a vowel nor hum dominates. Each
block's correlation is in units of its own deviation over all delays, so that no loud word dominates. If player and
capture have different clocks, the delay is a straight line over the notice: every line within the possible drift is
tried.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from linetap.config.numbers import ProofNumbers
from linetap.recorder.signals.notice.echofit import C64, F32, F64, TINY, Frames, smooth
from linetap.ring import RATE_HZ

DISPERSION = 12  # frames: a peak within 1.5 ms of the common delay is part of the line's response
PEAK_LIMIT = 12.0  # deviations: the largest weight of a block in the common delay
ENVELOPE_BINS = 17  # 33 Hz each way
TOGETHER = 4  # blocks at once: their data fits into the cache
STEPS = np.linspace(-1, 1, 9)  # frames: the final resolution of a line of delays


class Sizes(NamedTuple):
    """Sizes in frames of a block, of all delays, and of a transform of both; the band's bins in the transform."""

    block: int
    slack: int
    length: int
    bins: slice

    @classmethod
    def of(cls, numbers: ProofNumbers) -> Sizes:
        block, slack = frames_of(numbers.block_ms), frames_of(numbers.delay_max_ms + numbers.delay_spread_ms)
        length = 1 << (block + slack - 1).bit_length()
        band = slice(numbers.band_low_hz * length // RATE_HZ, numbers.band_high_hz * length // RATE_HZ)
        return cls(block, slack, length, band)


class Course(NamedTuple):
    """Delays in frames: of the notice's first sample, and the increase up to its last block."""

    first: float
    drift: float

    def of(self, blocks: Frames) -> F64:
        """The delay at each block (b,)."""
        return self.first + self.drift * blocks / max(1, int(blocks[-1]))


def frames_of(ms: float) -> int:
    return int(RATE_HZ * ms // 1000)


def course(likeness: F32, blocks: Frames, within: range, numbers: ProofNumbers) -> Course:
    """The line of delays with the best agreement of the blocks; it begins within these frames."""
    reach = int(np.ceil(numbers.drift_max_ppm * 1e-6 * int(blocks[-1])))
    padded = np.pad(np.minimum(likeness, PEAK_LIMIT), ((0, 0), (reach, reach)))
    ends = blocks / max(1, int(blocks[-1]))
    best, found = -1.0, Course(within.start, 0.0)
    for drift in sorted(range(-reach, reach + 1), key=abs):  # less drift wins between two equally good lines
        shifts = reach + np.rint(drift * ends).astype(int)
        total = np.zeros(len(within), np.float32)
        for block, shift in enumerate(shifts.tolist()):
            total += padded[block, within.start + shift : within.stop + shift]
        place = int(total.argmax())
        if float(total[place]) > best:
            best, found = float(total[place]), Course(within.start + place, drift)
    return found if abs(found.drift) < 1 else _placed(padded, reach, ends, found)


def delays_of(likeness: F32, blocks: Frames, found: Course, numbers: ProofNumbers) -> F64:
    """The delay of each block in frames (b,): the common delay, unless the block certainly has another."""
    near, last = frames_of(numbers.delay_spread_ms), likeness.shape[1] - 1
    delays = found.of(blocks)
    for block, common in enumerate(np.clip(np.rint(delays), 0, last).astype(int).tolist()):
        row = likeness[block]
        first = max(0, common - near)
        best = first + int(row[first : common + near + 1].argmax())
        if row[best] > row[max(0, common - DISPERSION) : common + DISPERSION + 1].max() + numbers.stray_significance:
            delays[block] = best
    return delays


def _placed(padded: F32, reach: int, ends: F64, found: Course) -> Course:
    """Refines the line to fractions of a frame: a block's gain depends on phases, and half a frame rotates 3 kHz by
    a fifth of a circle.
    """
    rows = np.arange(len(ends))
    best, placed = -1.0, found
    for more in STEPS:
        for later in STEPS[::2]:
            at = np.clip(reach + found.first + later + (found.drift + more) * ends, 0, padded.shape[1] - 2)
            whole = at.astype(int)
            share = at - whole
            total = float((padded[rows, whole] * (1 - share) + padded[rows, whole + 1] * share).sum())
            if total > best:
                best, placed = total, Course(found.first + float(later), found.drift + float(more))
    return placed


def likeness_of(line: F32, blocks: Frames, spectra: C64, numbers: ProofNumbers) -> F32:
    """The likeness of the line to each block at each delay, in deviations over all delays: (b, delays)."""
    places = range(0, len(blocks), TOGETHER)
    return np.concatenate([_some(line, blocks[n : n + TOGETHER], spectra[n : n + TOGETHER], numbers) for n in places])


def spectra_of(played: F32, blocks: Frames, numbers: ProofNumbers) -> C64:
    """The conjugate whitened spectrum of each block in the band, (b, k)."""
    sizes = Sizes.of(numbers)
    spectra = np.fft.rfft(sliding_window_view(played, sizes.block)[blocks], n=sizes.length)[:, sizes.bins]
    return _whitened(spectra).conj()


def _some(line: F32, blocks: Frames, spectra: C64, numbers: ProofNumbers) -> F32:
    size, slack, length, bins = Sizes.of(numbers)
    there = sliding_window_view(line, size + slack)[blocks]
    cross = np.zeros((len(blocks), length // 2 + 1), np.complex64)
    cross[:, bins] = _whitened(np.fft.rfft(there, n=length)[:, bins])
    cross[:, bins] *= spectra
    likeness: F32 = np.abs(np.fft.irfft(cross, n=length)[:, : slack + 1])  # absolute: a line may invert the wave
    spread = np.sqrt(np.square(likeness).mean(axis=1, keepdims=True))
    likeness /= np.maximum(spread, TINY)
    return likeness


def _whitened(spectrum: C64) -> C64:
    """The spectrum (b, k) divided by its own envelope."""
    envelope = np.sqrt(smooth(np.square(np.abs(spectrum)), ENVELOPE_BINS))
    white: C64 = spectrum / (envelope + 1e-3)
    return white
