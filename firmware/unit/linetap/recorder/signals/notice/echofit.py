# SPDX-License-Identifier: Apache-2.0
"""Measures the gain of a known sound in a line's audio, block by block, under any other sound.

The method is weighted least squares over cells of time and frequency. A cell's weight is the inverse of the power that
remains around it without the known sound, so the sound is measurable between the harmonics of a louder speaker. The
same weights give the gain's error.

The line has one response for all blocks (a hybrid disperses, and may invert the wave). Each block has its own gain and
uses the response of the other blocks: with its own response, a block would find the sound in noise. The level has the
same weights as the gain: a band full of voice, in which the response is uncertain, must not add its level to a leak
that is certain in other bands.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from linetap.ring import RATE_HZ

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
C64 = npt.NDArray[np.complex64]
Frames = npt.NDArray[np.intp]

WINDOW = 512  # 64 ms: resolves the harmonics of a voice
HOP = 256
# Windows overlap by half, and a cell's noise is estimated from few other cells: without this factor the variance of the
# weights is too small. Measured on noise; checked by tests/signals/test_proof.py.
OPTIMISM = 4.8
ROUNDS = 3  # of response, gains and noise in turn; measured: two give the same verdicts as eight
NOISE_BINS = 5  # noise is estimated over 80 Hz, less than the distance of a voice's harmonics
RESPONSE_BINS = 17  # a line's response changes within 250 Hz: dispersion of 2 ms
ROUNDING = 100.0  # power in a cell by rounding to int16, with a margin
TINY = 1e-20


class Fit(msgspec.Struct, frozen=True):
    """The fit of a known sound, arrays (b,) by block.

    `deviations`: the gain in units of its own error. `echo` (b, k): the line's response times the gain.
    """

    gain: F32
    deviations: F32
    echo: C64


class Sound(msgspec.Struct, frozen=True):
    """A known sound cut into blocks: (b, windows, k) each, and the starts of its windows (b, windows)."""

    starts: Frames
    cells: C64
    power: F32
    band_hz: tuple[int, int]


def sound_of(sound: F32, blocks: Frames, size: int, band_hz: tuple[int, int]) -> Sound:
    """Cuts a sound into blocks. `sound`: (n,), long enough for the last block and a WINDOW; `blocks`: first frames
    (b,) of at least two blocks of `size` frames.
    """
    starts = blocks[:, None] + np.arange(0, size - WINDOW + HOP, HOP)[None, :]
    cells = _cells(sound, starts, band_hz)
    return Sound(starts, cells, _power(cells), band_hz)


def fit(line: F32, sound: Sound, delays: F64) -> Fit:
    """Fits the sound to `line` (n,), which covers the last block, its delay and a WINDOW; `delays` (b,) in frames."""
    x, xx = sound.cells, sound.power
    whole = np.rint(delays).astype(np.intp)
    y = _cells(line, sound.starts + whole[:, None], sound.band_hz)
    y *= _turn(whole - delays, sound.band_hz)[:, None]
    xy = x.conj() * y
    weight = _weight(y)
    # Initially all blocks have equal weight.
    gain: F32 = np.reciprocal(np.sqrt(np.maximum((xx * weight).sum(axis=(1, 2)), TINY)))
    for _ in range(ROUNDS):
        met, sent = (xy * weight).sum(axis=1), (xx * weight).sum(axis=1)  # (b, k)
        response = _response(met, sent, gain)
        energy = (sent * _power(response)).sum(axis=1)
        gain = (met * response.conj()).real.sum(axis=1) / np.maximum(energy, TINY)
        level = gain * np.sqrt(energy / np.maximum(sent.sum(axis=1), TINY))
        weight = _weight(y - (gain[:, None] * response)[:, None] * x)
    energy = (_power(response)[:, None] * xx * weight).sum(axis=(1, 2))
    return Fit(level, gain * np.sqrt(2 / OPTIMISM * energy), (gain[:, None] * response).astype(np.complex64))


def subtract_sound(line: F32, played: F32, sound: Sound, found: Fit, delays: F64) -> F32:
    """The line without the sound that `fit` found on it. Between blocks, the nearer block's fit is used."""
    starts, band_hz = np.arange(0, len(played) - WINDOW + 1, HOP), sound.band_hz
    middles = (sound.starts[:, 0] + sound.starts[:, -1] + WINDOW)[None, :] // 2
    nearest = np.abs(starts[:, None] + WINDOW // 2 - middles).argmin(axis=1)
    cells = _cells(played, starts[:, None], band_hz)[:, 0]
    whole = np.rint(delays).astype(np.intp)
    cells *= (found.echo * _turn(delays - whole, band_hz))[nearest]
    spectrum = np.zeros((len(starts), WINDOW // 2 + 1), np.complex64)
    spectrum[:, _bins(band_hz)] = cells
    rest = line.copy()
    # Hann windows that overlap by half add up to one.
    for start, piece in zip((starts + whole[nearest]).tolist(), np.fft.irfft(spectrum, WINDOW), strict=True):
        rest[start : start + WINDOW] -= piece[: max(0, len(rest) - start)]
    return rest


def _response(met: C64, sent: F32, gain: F32) -> C64:
    """The line's response (b, k) for each block, from the other blocks."""
    audible = np.maximum(gain, 0)[:, None]
    energy = smooth(met * audible, RESPONSE_BINS)
    weight = smooth(sent * np.square(audible), RESPONSE_BINS)
    response: C64 = (energy.sum(axis=0) - energy) / np.maximum(weight.sum(axis=0) - weight, TINY)
    return response


def _cells(audio: F32, starts: Frames, band_hz: tuple[int, int]) -> C64:
    """The spectra of the band, (b, windows, k)."""
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    cells: C64 = np.fft.rfft(sliding_window_view(audio, WINDOW)[starts] * window)[:, :, _bins(band_hz)]
    return cells


def _bins(band_hz: tuple[int, int]) -> slice:
    return slice(band_hz[0] * WINDOW // RATE_HZ, band_hz[1] * WINDOW // RATE_HZ + 1)


def _turn(frames: F64, band_hz: tuple[int, int]) -> C64:
    """The effect on cells of a delay by these fractions of a frame, (b, k)."""
    bins = _bins(band_hz)
    turn: C64 = np.exp(-2j * np.pi / WINDOW * frames[:, None] * np.arange(bins.start, bins.stop)).astype(np.complex64)
    return turn


def _power(cells: C64) -> F32:
    return np.square(cells.real) + np.square(cells.imag)


def _weight(noise: C64) -> F32:
    """The inverse of the noise's power in each cell (b, windows, k), estimated from neighbouring cells."""
    weight: F32 = np.reciprocal(smooth(_power(noise), NOISE_BINS) + ROUNDING)
    return weight


def smooth[T: (F32, C64)](cells: T, width: int) -> T:
    """The mean over `width` bins (odd) of the last axis; over fewer at its edges."""
    n, half = cells.shape[-1], width // 2
    padded = np.zeros((*cells.shape[:-1], n + 2 * half), cells.dtype)
    padded[..., half : half + n] = cells
    mean: T = _sums(padded, width)
    mean *= _shares(n, half)
    return mean


@lru_cache(maxsize=16)
def _shares(n: int, half: int) -> F32:
    """The inverse of the number of bins within `half` of each of `n`."""
    places = np.arange(n)
    bins = np.minimum(places + half + 1, n) - np.maximum(places - half, 0)
    return (1 / bins).astype(np.float32)


def _sums[T: (F32, C64)](cells: T, width: int) -> T:
    """The sums of `width` consecutive values, built from sums of half the width."""
    if width == 1:
        return cells
    half = _sums(cells, width // 2)
    total: T = half[..., : half.shape[-1] - width // 2] + half[..., width // 2 :]
    return total[..., :-1] + cells[..., width - 1 :] if width % 2 else total
