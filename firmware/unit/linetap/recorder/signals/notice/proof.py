# SPDX-License-Identifier: Apache-2.0
"""Proves from the captured audio alone that the line returned the notice.

The proof is a level, block by block, at one common delay. A correlation peak is no proof: a quiet line with a leak of
-50 dB from its neighbour correlates better than a real echo under speech.

1. The delay, which drifts if two clocks do: delays.py.

2. The gain of each block at that delay, and the gain's error: echofit.py.

3. A block is found if its gain is certain and within the tolerance of the line's calibrated echo.

The same notice may come from elsewhere: from a recorder at the far end, or from a neighbour's line. The delay of a
line's own echo is known; a notice at another delay is another line's. That copy is removed from the audio, and the
line's own delay is judged in the remainder.

A proof is absent on a deaf line, and also under whistling, shouting or a held key. `too_quiet_for` separates the two
cases by power: no sound can have masked the notice on a line with less power than the notice's faintest echo.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from linetap.config.numbers import ProofNumbers
from linetap.recorder.signals.notice.delays import Course, Sizes, course, delays_of, frames_of, likeness_of, spectra_of
from linetap.recorder.signals.notice.echofit import (
    C64,
    F32,
    F64,
    WINDOW,
    Fit,
    Frames,
    Sound,
    fit,
    sound_of,
    subtract_sound,
)
from linetap.ring import I16, RATE_HZ

Bools = npt.NDArray[np.bool_]
ProofWord = Literal["full", "partial", "absent"]

KNOWN = 4  # notices kept: half a megabyte each for 5 s
STRANGERS = 3  # the most copies of a notice at other delays that are removed


class Proof(msgspec.Struct, frozen=True):
    """A proof. `score`: found share of the notice's active blocks. `level_db`: the gain of the notice on the line.

    `level_db` is relative to the notice as played, audible or not; None: no trace of the notice. `delay_ms`: the
    notice's delay; None: not found. `elsewhere_ms`: the delay of the loudest copy from another line.
    """

    proof: ProofWord
    score: float
    level_db: float | None
    delay_ms: float | None = None
    elsewhere_ms: float | None = None


class EchoFit(msgspec.Struct, frozen=True):
    """The measured echo of the notice: each active block's gain, and the delay. `elsewhere_ms` None: no other copy."""

    fit: Fit
    delay_ms: float
    elsewhere_ms: float | None = None


def prove(captured: I16, notice: I16, numbers: ProofNumbers) -> Proof:
    """Judges one playing. A notice of fewer than two active blocks cannot be proven and is absent.

    captured: int16 (n,), the line's audio from the first played frame of the notice to the longest delay after its
    end; shorter if the call ended early, and the missing part counts as not heard. notice: int16 (m,), as played.
    """
    return judge(measure_echo(captured, notice, numbers), numbers)


def measure_echo(captured: I16, notice: I16, numbers: ProofNumbers) -> EchoFit | None:
    """Returns the measurement for `judge`; None for a notice of fewer than two active blocks."""
    known = _known(notice.tobytes(), msgspec.structs.replace(numbers, echo_db=0.0, echo_delay_ms=None))
    if known is None:
        return None
    line = np.zeros(known.frames, np.float32)
    line[: len(captured)] = captured[: len(line)]
    anywhere = range(frames_of(numbers.delay_max_ms) + 1)
    own = anywhere if numbers.echo_delay_ms is None else _own_delays(numbers)
    elsewhere: float | None = None
    for _ in range(STRANGERS):
        found, fit, delays = _best_match(line, known, anywhere, numbers)
        if own.start <= found.first <= own.stop:
            return EchoFit(fit, found.first * 1000 / RATE_HZ, elsewhere)
        if np.count_nonzero(_certain(fit, numbers)) < _least(fit, numbers):
            break
        if elsewhere is None:
            elsewhere = round(found.first * 1000 / RATE_HZ, 1)
        line = subtract_sound(line, known.played, known.sound, fit, delays)
    found, fit, _ = _best_match(line, known, own, numbers)
    return EchoFit(fit, found.first * 1000 / RATE_HZ, elsewhere)


def without_echo(captured: I16, notice: I16, numbers: ProofNumbers) -> I16:
    """`captured` without the returned notice: the line's other sound. Arguments as for `prove`."""
    known = _known(notice.tobytes(), msgspec.structs.replace(numbers, echo_db=0.0, echo_delay_ms=None))
    if known is None:
        return captured
    line = np.zeros(max(known.frames, len(captured)), np.float32)
    line[: len(captured)] = captured
    own = range(frames_of(numbers.delay_max_ms) + 1) if numbers.echo_delay_ms is None else _own_delays(numbers)
    _, fit, delays = _best_match(line, known, own, numbers)
    rest = subtract_sound(line, known.played, known.sound, fit, delays)[: len(captured)]
    return np.clip(np.rint(rest), -32768, 32767).astype(np.int16)


def judge(fit: EchoFit | None, numbers: ProofNumbers) -> Proof:
    """The verdict; the same measurement can be judged again with other numbers of level and share."""
    if fit is None:
        return Proof("absent", 0.0, None)
    certain = _certain(fit.fit, numbers)
    gain_db = 20 * np.log10(np.maximum(fit.fit.gain, 1e-6))
    in_reach = np.abs(gain_db - numbers.echo_db) <= numbers.level_tolerance_db + numbers.level_error_db
    found = certain & in_reach
    score = float(found.mean())
    least = _least(fit.fit, numbers)
    word: ProofWord = "absent"
    if np.count_nonzero(found) >= least:
        word = "full" if score >= numbers.full_share else "partial"
    if np.count_nonzero(certain) < least:
        return Proof(word, score, None, elsewhere_ms=fit.elsewhere_ms)
    level_db = float(np.median(gain_db[certain if word == "absent" else found]))
    delay_ms = None if word == "absent" else round(fit.delay_ms, 1)
    return Proof(word, score, level_db, delay_ms, fit.elsewhere_ms)


def _certain(fit: Fit, numbers: ProofNumbers) -> Bools:
    return fit.deviations > numbers.significance


def _least(fit: Fit, numbers: ProofNumbers) -> float:
    """The smallest number of found blocks that excludes chance."""
    count = len(fit.gain)
    return max(2, min(numbers.found_min, numbers.found_min_share * count), numbers.partial_share * count)


class _Known(NamedTuple):
    """The constants of a notice that every proof of it needs."""

    frames: int  # examined frames of the line
    played: F32
    blocks: Frames
    spectra: C64
    sound: Sound


@lru_cache(maxsize=KNOWN)
def _known(samples: bytes, numbers: ProofNumbers) -> _Known | None:
    """The constants of a notice. `samples`: int16; `numbers`: without those that differ between lines."""
    notice = np.frombuffer(samples, np.int16)
    blocks = active_blocks(notice, numbers)
    if len(blocks) < 2:
        return None
    sizes = Sizes.of(numbers)
    played = np.zeros(int(blocks[-1]) + sizes.block + sizes.slack + WINDOW, np.float32)
    played[: len(notice)] = notice[: len(played)]
    sound = sound_of(played, blocks, sizes.block, (numbers.band_low_hz, numbers.band_high_hz))
    return _Known(len(played), played, blocks, spectra_of(played, blocks, numbers), sound)


def _best_match(line: F32, known: _Known, within: range, numbers: ProofNumbers) -> tuple[Course, Fit, F64]:
    """The place of best agreement of the blocks within these frames, with the gains and delays at this place."""
    likeness = likeness_of(line, known.blocks, known.spectra, numbers)
    found = course(likeness, known.blocks, within, numbers)
    delays = delays_of(likeness, known.blocks, found, numbers)
    return found, fit(line, known.sound, delays), delays


def _own_delays(numbers: ProofNumbers) -> range:
    """The frames within which the line's own echo begins."""
    assert numbers.echo_delay_ms is not None
    last = frames_of(numbers.delay_max_ms)
    low, high = (frames_of(numbers.echo_delay_ms + side * numbers.echo_delay_spread_ms) for side in (-1, 1))
    return range(min(max(low, 0), last), min(max(high, 0), last) + 1)


def active_blocks(notice: I16, numbers: ProofNumbers) -> Frames:
    """First frames of the blocks of the notice with speech, (b,)."""
    size = frames_of(numbers.block_ms)
    padded = np.zeros(-(-len(notice) // size) * size, np.float64)
    padded[: len(notice)] = notice
    power = np.square(padded).reshape(-1, size).mean(axis=1)
    active = power > 0
    while active.any():  # from all blocks, pauses are removed until none remains
        kept = active & (power >= power[active].mean() * 10 ** (-numbers.active_below_db / 10))
        if (kept == active).all():
            break
        active = kept
    return np.flatnonzero(active) * size


def too_quiet_for(captured: I16, notice: I16, numbers: ProofNumbers) -> bool:
    """Whether the line was too quiet to have carried the notice, which must have been played to its end.

    `captured`, `notice` and `numbers` as for `prove`.
    """
    blocks = active_blocks(notice, numbers)
    size, slack = frames_of(numbers.block_ms), frames_of(numbers.delay_max_ms)
    if len(blocks) == 0 or len(captured) < int(blocks[-1]) + size:
        return False
    faintest = 10 ** ((numbers.echo_db - numbers.level_tolerance_db) / 10)
    quiet = 0
    for block in blocks:
        played = _energy(notice[block : block + size], numbers)
        quiet += _energy(captured[block : block + size + slack], numbers) < played * faintest
    return bool(quiet >= numbers.deaf_share * len(blocks))


def _energy(samples: I16, numbers: ProofNumbers) -> float:
    """The energy in the band of a notice, without hum, which lies below."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    band = (hz >= numbers.band_low_hz) & (hz <= numbers.band_high_hz)
    return float(np.square(np.abs(spectrum[band])).sum() / len(samples))
