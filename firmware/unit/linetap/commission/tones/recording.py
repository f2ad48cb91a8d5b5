# SPDX-License-Identifier: Apache-2.0
"""Reads and measures one recording of one tone."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from linetap.commission.tones.cadence import Burst, Cadence, bursts, cadence, frames_ms
from linetap.commission.tones.spectrum import F64, HIGH_HZ, LOW_HZ, Hz, Lines, rough, without_hum
from linetap.config.profile import KR_PSTN
from linetap.notices.wavfile import WAVE_FAULTS
from linetap.ring import I16, MAX_LINES, RATE_HZ
from linetap_core.errors import BadInput

LONGEST_S = 300
CONTINUOUS_MS = 3000  # our estimate: a longer burst is a continuous tone
_THIRD = 0.08  # share of a third frequency; the detector requires nine tenths in one or two
_MAINS_OFF_HZ = 2.0  # the deviation of an overloaded grid, at its harmonics
_HARMONIC_OFF = 0.01
_LISTED = 6  # number of bursts listed if irregular

RIGHT = "several periods of the tone, alone on the line"


class MeasuredTone(NamedTuple):
    """A measured tone. `elements_ms`: multiples of five, which is the accuracy; empty: continuous."""

    name: str
    path: Path
    hz: Hz
    dbm0: tuple[float, ...]
    elements_ms: tuple[int, ...]
    spread_ms: float
    periods: float
    start: int  # the part of the recording that was used
    end: int
    audio: I16

    def line(self) -> str:
        hz = " + ".join(f"{f:.1f}" for f in self.hz)
        levels = " and ".join(f"{level:.1f}" for level in self.dbm0)
        between = f"from {self.start / RATE_HZ:.2f} to {self.end / RATE_HZ:.2f} s"
        if not self.elements_ms:
            return f"{self.name}: {hz} Hz at {levels} dBm0, without a pause, {between} of {self.path}"
        elements = "/".join(str(ms) for ms in self.elements_ms)
        spread = f"+-{max(1, round(self.spread_ms))} ms in {self.periods:.1f} periods"
        return f"{self.name}: {hz} Hz at {levels} dBm0, {elements} ms, {spread}, {between} of {self.path}"


def read(path: Path, line: int | None) -> I16:
    """One channel: that of `line`, if the recording has several. BadInput unless it is 8 kHz and 16 bit."""
    try:
        with wave.open(str(path), "rb") as file:
            rate_hz, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            if (rate_hz, width) != (RATE_HZ, 2) or channels > MAX_LINES:
                found = f"{rate_hz} Hz, {8 * width} bit, {channels} channels"
                remedy = f"`sox {path.name} -r 8000 -b 16 -c 1 new.wav` writes one"
                raise BadInput(f"{path}: {found}; 8000 Hz, 16 bit, one channel a line expected: {remedy}")
            raw = file.readframes(LONGEST_S * RATE_HZ + 1)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except WAVE_FAULTS as error:
        raise BadInput(f"{path}: not a WAV file: {str(error) or 'it is cut short or empty'}") from None
    if channels > 1 and line is None:
        raise BadInput(f"{path}: {channels} channels; --line 1 to --line {channels} selects one")
    if channels > 1 and line is not None and not 1 <= line <= channels:
        raise BadInput(f"{path}: there is no channel {line}; --line 1 to --line {channels} expected")
    frames = len(raw) // (2 * channels)
    if frames > LONGEST_S * RATE_HZ:
        raise BadInput(f"{path}: longer than {LONGEST_S} s; {RIGHT} expected")
    if not frames:
        raise BadInput(f"{path}: has no audio in it")
    table = np.frombuffer(raw, "<i2", frames * channels).reshape(frames, channels)
    return np.ascontiguousarray(table[:, 0 if channels == 1 or line is None else line - 1], dtype=np.int16)


def measure(name: str, path: Path, audio: I16) -> MeasuredTone:
    """Measures the tone. BadInput if no part is steady, or no pattern repeats."""
    clean = without_hum(audio)
    tones = [runs for about in rough(clean, KR_PSTN.tones.twist_share) if (runs := bursts(clean, about))]
    if not tones:
        band = f"between {LOW_HZ} and {HIGH_HZ} Hz"
        raise BadInput(f"{path}: {name}: no steady tone {band} in {len(audio) / RATE_HZ:.1f} s; {RIGHT} expected")
    cadences = [(found, runs) for runs in tones if (found := _best(runs)) is not None]
    run = max(tones[0], key=lambda some: sum(burst.ms for burst in some))
    steady = max((burst for runs in tones for some in runs for burst in some), key=lambda burst: burst.ms)
    # A recording of busy tone begins with dial tone, which only a recording of dial tone may use.
    if steady.ms >= CONTINUOUS_MS and (name == "dial" or not cadences):
        if _is_hum(audio, clean, steady):
            raise BadInput(f"{path}: {name}: the hum of the mains is louder than any tone; {RIGHT} expected")
        return _measured_tone(name, path, audio, [steady], None)
    if not cadences:
        raise BadInput(f"{path}: {name}: {_irregular(run)}; two whole periods, better four expected")
    found, runs = max(cadences, key=lambda each: each[0].end - each[0].start)
    return _measured_tone(
        name, path, audio, [b for some in runs for b in some if found.start <= b.start < found.end], found
    )


def _best(runs: list[list[Burst]]) -> Cadence | None:
    """The longest cadence."""
    return max(filter(None, map(cadence, runs)), key=lambda each: each.end - each.start, default=None)


def _measured_tone(name: str, path: Path, audio: I16, learnt: list[Burst], cadence: Cadence | None) -> MeasuredTone:
    hz, dbm0 = _mean(name, path, learnt)
    if cadence is None:
        start, end = min(b.start for b in learnt), max(b.end for b in learnt)
        return MeasuredTone(name, path, hz, dbm0, (), 0.0, 0.0, start, end, audio)
    elements = tuple(_fives(ms) for ms in cadence.elements_ms)
    return MeasuredTone(
        name, path, hz, dbm0, elements, cadence.spread_ms, cadence.periods, cadence.start, cadence.end, audio
    )


def _mean(name: str, path: Path, learnt: list[Burst]) -> tuple[Hz, tuple[float, ...]]:
    """Averages over the bursts, weighted by length: the longer the burst, the smaller the error of its frequency."""
    lines: list[Lines] = [burst.lines for burst in learnt]
    weights = np.array([burst.ms for burst in learnt]) ** 2
    if float(np.median([0.0 if _is_harmonic(each) else each.third_share for each in lines])) >= _THIRD:
        several = sorted((*lines[0].hz, lines[0].third_hz))
        frequencies = ", ".join(f"{f:.0f}" for f in several)
        raise BadInput(
            f"{path}: {name}: {frequencies} Hz at once; one frequency or two, as a telephone system's expected"
        )
    hz = np.average([each.hz for each in lines], axis=0, weights=weights)
    dbm0 = np.average([each.dbm0 for each in lines], axis=0, weights=weights)
    return tuple(round(float(f), 1) for f in hz), tuple(float(level) for level in dbm0)


def _is_harmonic(lines: Lines) -> bool:
    """Whether the third line is a harmonic of a distorted tone; the final check shows whether it is accepted."""
    return any(abs(lines.third_hz / f - k) < _HARMONIC_OFF for f in lines.hz for k in (2, 3, 5))


def _is_hum(audio: I16, clean: F64, burst: Burst) -> bool:
    """Whether a burst is mains hum, whose harmonics are steady too; a dial tone at such a harmonic is louder than the
    sound below the band.
    """
    mains_hz = KR_PSTN.tones.mains_hz
    own = float(np.var(clean[burst.start : burst.end]))
    below = float(np.var(audio[burst.start : burst.end])) - own
    return below > own and all(abs(f - mains_hz * round(f / mains_hz)) < _MAINS_OFF_HZ for f in burst.lines.hz)


def _irregular(run: list[Burst]) -> str:
    lengths = [run[0].ms]
    for before, after in pairwise(run):
        lengths += [frames_ms(after.start - before.end), after.ms]
    elements = [str(_fives(ms)) for ms in lengths]
    more = ", ..." if len(elements) > _LISTED else ""
    hz = " + ".join(f"{f:.0f}" for f in run[0].lines.hz)
    return f"{hz} Hz on, off, on for {', '.join(elements[:_LISTED])}{more} ms, which is not two periods of any cadence"


def _fives(ms: float) -> int:
    return 5 * round(ms / 5)
