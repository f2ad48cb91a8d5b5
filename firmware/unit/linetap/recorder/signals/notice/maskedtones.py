# SPDX-License-Identifier: Apache-2.0
"""Detects tones under our own notice: of a fax or a modem, a mailbox's beep, or of another party.

The notice's echo may be louder than the tone, but is known: its largest power in the tone's narrow band is computed
from the notice as played, at every possible delay of the line. A tone has more power than this echo, is alone in its
band, and keeps its level and phase; a voice's harmonics do not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from linetap.config.numbers import BeneathNumbers, ProofNumbers
from linetap.config.profile import Profile
from linetap.recorder.signals.events import ToneHeard
from linetap.recorder.signals.notice.proof import without_echo
from linetap.recorder.signals.tones.detector import CARRIER_TOLERANCE, CARRIERS, CHUNK, ToneDetector
from linetap.ring import I16, RATE_HZ

F64 = npt.NDArray[np.float64]

LENGTH = 3200  # frames, 400 ms: within a calling fax's half second at any phase; 2.5 Hz a bin
EVERY = 800  # frames between two examinations
_BIN_HZ = RATE_HZ / LENGTH
_PEAK = 3  # bins on either side that a sine fills with a Hann window
_PIECES = 4  # pieces of 100 ms, each of which must contain the tone
_TINY = 1.0
_OF_ANOTHER_PARTY = frozenset({"call_waiting", "ringback"})


class _Band(NamedTuple):
    name: str
    tone: slice  # bins in which the tone may lie
    around: slice  # bins in which the tone must be alone


def carrier_under_notice(line: I16, played: I16, numbers: BeneathNumbers) -> str | None:
    """The carrier in `line` (LENGTH,): "calling", "answer", "modem_answer", "modem_calling", or None.

    `played`: the notice over the same frames and over `delay_max_ms` before them, 0 before its beginning.
    """
    power = _power(line.astype(np.float64))
    for band in _bands(numbers.around_hz):
        top = band.tone.start + int(power[band.tone].argmax())
        if _stands_out(line, power, top, band.around, played, numbers):
            return band.name
    return None


def beep_under_notice(line: I16, played: I16, numbers: BeneathNumbers, from_hz: float, longest: int) -> bool:
    """Whether `line`, which begins with the notice, contains a beep: one tone above `from_hz`, once, at most `longest`
    frames.

    `played`: the notice, from `delay_max_ms` before its beginning on. Notes of music change, or last longer.
    """
    side, first = round(numbers.around_hz / _BIN_HZ), round(from_hz / _BIN_HZ)
    late = numbers.delay_max_ms * RATE_HZ // 1000
    found: list[tuple[int, int]] = []
    for frame in range(LENGTH, len(line) + 1, EVERY):
        piece, sent = line[frame - LENGTH : frame], played[frame - LENGTH : frame + late]
        power = _power(piece.astype(np.float64))
        top = first + int(power[first : round(numbers.beep_to_hz / _BIN_HZ)].argmax())
        if _stands_out(piece, power, top, slice(top - side, top + side + 1), sent, numbers):
            found.append((frame, top))
    if len(found) < numbers.beep_looks:
        return False
    tops = [top for _, top in found]
    return max(tops) - min(tops) <= 1 and found[-1][0] - found[0][0] + LENGTH <= longest


def another_party_under_notice(captured: I16, notice: I16, numbers: ProofNumbers, profile: Profile) -> bool:
    """Whether call waiting or ringback sounded under the notice. `captured`, `notice`, `numbers`: as for `prove`.

    The ordinary detector detects a tone only if no other sound is as loud, and the notice's echo is: the detector is
    therefore applied to the audio without that echo.
    """
    rest = without_echo(captured, notice, numbers)
    audio = np.concatenate([np.zeros(CHUNK, np.int16), rest, np.zeros(4 * CHUNK, np.int16)])[None, :]
    found = ToneDetector(1, profile).follow(audio, 0)
    return any(isinstance(event, ToneHeard) and event.tone in _OF_ANOTHER_PARTY for event in found)


def _stands_out(line: I16, power: F64, top: int, around: slice, played: I16, numbers: BeneathNumbers) -> bool:
    """Whether a tone at this bin is alone in `around`, steady, and louder than the notice's echo can be."""
    peak = float(power[top - _PEAK : top + _PEAK + 1].sum())
    if peak < numbers.least_power or peak < numbers.alone_share * float(power[around].sum()):
        return False
    return _steady(line, top * _BIN_HZ, numbers) and peak > numbers.above_echo * _echo(power, played, top, around)


def _echo(power: F64, played: I16, top: int, around: slice) -> float:
    """The largest power of the notice's echo at the peak: the line's other sound bounds the echo's gain."""
    most = 0.0
    rest = float(power.sum() - power[around].sum())
    for first in range(0, len(played) - LENGTH + 1, LENGTH // 8):
        sent = _power(played[first : first + LENGTH].astype(np.float64))
        elsewhere = float(sent.sum() - sent[around].sum())
        at_peak = float(sent[top - _PEAK : top + _PEAK + 1].max()) * (2 * _PEAK + 1)
        most = max(most, at_peak * rest / max(elsewhere, _TINY))
    return most


def _steady(line: I16, hz: float, numbers: BeneathNumbers) -> bool:
    """Whether the tone has the same level in all pieces and a continuous phase."""
    turn = np.exp(-2j * np.pi * hz / RATE_HZ * np.arange(LENGTH))
    pieces = (line * turn).reshape(_PIECES, -1) @ np.hanning(LENGTH // _PIECES)
    level = np.abs(pieces)
    if level.min() < numbers.level_share * level.max():
        return False
    # If the tone is slightly off the peak's bin, its phase rotates evenly.
    steps = np.angle(pieces[1:] * pieces[:-1].conj() * np.exp(-1j * np.angle((pieces[1:] * pieces[:-1].conj()).sum())))
    return bool(np.abs(steps).max() <= numbers.phase_max_rad)


def _power(audio: F64) -> F64:
    cells = np.fft.rfft(audio * _SHAPE)
    power: F64 = np.square(cells.real) + np.square(cells.imag)
    power[:_LOWEST] = 0
    return power


_SHAPE = np.hanning(LENGTH + 1)[:-1]
_LOWEST = round(250 / _BIN_HZ)  # below it is hum, not the notice


@lru_cache(maxsize=8)
def _bands(around_hz: float) -> tuple[_Band, ...]:
    bands = []
    for name, kinds in CARRIERS.items():
        hz = kinds[0][0]
        low, high = (hz * (1 + sign * CARRIER_TOLERANCE[hz]) for sign in (-1, 1))
        bands.append(
            _Band(
                name,
                slice(round(low / _BIN_HZ), round(high / _BIN_HZ) + 1),
                slice(round((hz - around_hz) / _BIN_HZ), round((hz + around_hz) / _BIN_HZ) + 1),
            )
        )
    return tuple(bands)
