# SPDX-License-Identifier: Apache-2.0
"""Whether a notice was heard on the line, from the captured audio alone.

What is proven is a level, block by block, at one common delay. A correlation peak is no proof: a quiet line into which
the notice leaks from its neighbour at -50 dB correlates better than a real one under speech.

1. The delay: each active block is correlated with the captured audio, both whitened, so that neither a vowel nor hum
   leads; each block's correlation is measured in its own deviations over all delays, so that no loud word does.
2. The gain of each block at that delay, and the gain's error: `echofit.py`.
3. A block is found if its gain is certain and within the tolerance of the line's calibrated echo.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from linetap.config.numbers import ProofNumbers
from linetap.recorder.signals.notice.echofit import C64, F32, TINY, WINDOW, Fit, Frames, Sound, fit, smooth, sound_of
from linetap.ring import I16, RATE_HZ

ProofWord = Literal["full", "partial", "absent"]

DISPERSION = 12  # frames: within 1.5 ms of the common delay a peak is the line's response, no other delay
PEAK_LIMIT = 12.0  # deviations: no block has more say in the common delay
ENVELOPE_BINS = 17  # 33 Hz each way
TOGETHER = 4  # blocks: what is worked on stays in the cache
KNOWN = 4  # notices: half a megabyte each for 5 s


class Proof(msgspec.Struct, frozen=True):
    """`score`: share of the notice's active blocks that were found. `level_db`: the gain with which the notice is on
    the line, relative to the notice as played, whether or not that is enough to be heard; None: no trace of it."""

    proof: ProofWord
    score: float
    level_db: float | None


def prove(captured: I16, notice: I16, numbers: ProofNumbers) -> Proof:
    """Judges one playing. A notice of less than two active blocks cannot be proven: it is absent.

    captured: int16 (n,), the line's audio from the frame at which the notice began to be played to 200 ms after its
    end; shorter when the call ended early, and what is missing then counts as not heard. notice: int16 (m,), as played.
    """
    return judge(hear(captured, notice, numbers), numbers)


def hear(captured: I16, notice: I16, numbers: ProofNumbers) -> Fit | None:
    """What `prove` judges: each active block's gain and how certain that is; None for fewer than two of them."""
    known = _known(notice.tobytes(), numbers)
    if known is None:
        return None
    line = np.zeros(known.frames, np.float32)
    line[: len(captured)] = captured[: len(line)]
    return fit(line, known.sound, _delays(line, known, numbers))


def judge(heard: Fit | None, numbers: ProofNumbers) -> Proof:
    """The same as often as wanted, with other numbers of level and share, of what was heard once."""
    if heard is None:
        return Proof("absent", 0.0, None)
    certain = heard.deviations > numbers.significance
    gain_db = 20 * np.log10(np.maximum(heard.gain, 1e-6))
    in_reach = np.abs(gain_db - numbers.echo_db) <= numbers.level_tolerance_db + numbers.level_error_db
    found = certain & in_reach
    score = float(found.mean())
    few = max(2, min(numbers.found_min, numbers.found_min_share * len(found)))  # less than that is found by chance
    least = max(few, numbers.partial_share * len(found))
    word: ProofWord = "absent"
    if np.count_nonzero(found) >= least:
        word = "full" if score >= numbers.full_share else "partial"
    if np.count_nonzero(certain) < least:
        return Proof(word, score, None)
    return Proof(word, score, float(np.median(gain_db[certain if word == "absent" else found])))


class _Known(NamedTuple):
    """All that a proof needs of a notice itself: it plays at every call, and is the same."""

    frames: int  # of the line that are looked at
    blocks: Frames
    spectra: C64  # (b, k): of each block, whitened, conjugate, in the band
    sound: Sound


@lru_cache(maxsize=KNOWN)
def _known(samples: bytes, numbers: ProofNumbers) -> _Known | None:
    """`samples`: of the notice, int16."""
    notice = np.frombuffer(samples, np.int16)
    blocks = active_blocks(notice, numbers)
    if len(blocks) < 2:
        return None
    size, slack, length, bins = _sizes(numbers)
    played = np.zeros(int(blocks[-1]) + size + slack + WINDOW, np.float32)
    played[: len(notice)] = notice[: len(played)]
    spectra = np.fft.rfft(sliding_window_view(played, size)[blocks], n=length)[:, bins]
    sound = sound_of(played, blocks, size, (numbers.band_low_hz, numbers.band_high_hz))
    return _Known(len(played), blocks, _whitened(spectra).conj(), sound)


def _sizes(numbers: ProofNumbers) -> tuple[int, int, int, slice]:
    """Frames of a block, of all delays, of both in a transform; and the band's bins in that."""
    size, slack = frames_of(numbers.block_ms), frames_of(numbers.delay_max_ms + numbers.delay_spread_ms)
    length = 1 << (size + slack - 1).bit_length()
    return size, slack, length, slice(numbers.band_low_hz * length // RATE_HZ, numbers.band_high_hz * length // RATE_HZ)


def frames_of(ms: int) -> int:
    return RATE_HZ * ms // 1000


def active_blocks(notice: I16, numbers: ProofNumbers) -> Frames:
    """First frames of the blocks in which the notice speaks, (b,)."""
    size = frames_of(numbers.block_ms)
    padded = np.zeros(-(-len(notice) // size) * size, np.float64)
    padded[: len(notice)] = notice
    power = np.square(padded).reshape(-1, size).mean(axis=1)
    active = power > 0
    while active.any():  # from all blocks on, pauses are left out until none is left
        kept = active & (power >= power[active].mean() * 10 ** (-numbers.active_below_db / 10))
        if (kept == active).all():
            break
        active = kept
    return np.flatnonzero(active) * size


def _delays(line: F32, known: _Known, numbers: ProofNumbers) -> Frames:
    """The delay of each block in frames (b,): the common one, unless the block itself surely stands elsewhere."""
    latest = frames_of(numbers.delay_max_ms)
    near = frames_of(numbers.delay_spread_ms)
    places = range(0, len(known.blocks), TOGETHER)
    pieces = [_likeness(line, known.blocks[n : n + TOGETHER], known.spectra[n : n + TOGETHER], numbers) for n in places]
    likeness = np.concatenate(pieces)
    common = int(np.argmax(np.minimum(likeness, PEAK_LIMIT)[:, : latest + 1].sum(axis=0)))
    first = max(0, common - near)
    around = likeness[:, first : common + near + 1]
    best = np.argmax(around, axis=1)
    at_common = likeness[:, max(0, common - DISPERSION) : common + DISPERSION + 1].max(axis=1)
    strays = np.take_along_axis(around, best[:, None], axis=1)[:, 0] > at_common + numbers.stray_significance
    return np.where(strays, best + first, common)


def _likeness(line: F32, blocks: Frames, spectra: C64, numbers: ProofNumbers) -> F32:
    """How alike the line is to each block at each delay, in deviations of all delays: (b, delays)."""
    size, slack, length, bins = _sizes(numbers)
    there = sliding_window_view(line, size + slack)[blocks]
    cross = np.zeros((len(blocks), length // 2 + 1), np.complex64)
    cross[:, bins] = _whitened(np.fft.rfft(there, n=length)[:, bins])
    cross[:, bins] *= spectra
    likeness: F32 = np.abs(np.fft.irfft(cross, n=length)[:, : slack + 1])  # a line may turn the wave over
    spread = np.sqrt(np.square(likeness).mean(axis=1, keepdims=True))
    likeness /= np.maximum(spread, TINY)
    return likeness


def _whitened(spectrum: C64) -> C64:
    """(b, k) over its own envelope."""
    envelope = np.sqrt(smooth(np.square(np.abs(spectrum)), ENVELOPE_BINS))
    white: C64 = spectrum / (envelope + 1e-3)
    return white
