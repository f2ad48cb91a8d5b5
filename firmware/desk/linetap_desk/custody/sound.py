# SPDX-License-Identifier: Apache-2.0
"""Display and playback of a recording: its peaks, and its sound at another speed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from linetap_core.codecs import g711

SPEEDS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
COLUMNS = 1000
_HOP, _FRAME, _REACH = 160, 320, 80  # 20, 40 and 10 ms: a frame holds two periods of a low voice
_AT_ONCE = 4000  # output samples: half a second


def peaks(pcm: NDArray[np.int16], columns: int = COLUMNS) -> list[int]:
    """The largest magnitude of each column, 0 to 127 in mu-law's steps, so that a low voice is visible beside a loud
    one."""
    if not len(pcm):
        return []
    magnitude = ~g711.encode(pcm) & 0x7F
    starts = np.linspace(0, len(pcm), min(columns, len(pcm)), endpoint=False).astype(np.intp)
    return [int(peak) for peak in np.maximum.reduceat(magnitude, starts)]


def played(pcm: NDArray[np.int16], first: int, speed: float) -> Iterator[bytes]:
    """16-bit PCM at 8 kHz from sample `first` on, in blocks of about half a second, at the original pitch."""
    blocks = _plain(pcm[first:]) if speed == 1 else _stretch(pcm[first:], speed)
    for block in blocks:
        yield block.astype("<i2").tobytes()


def _plain(pcm: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    for begin in range(0, len(pcm), _AT_ONCE):
        yield pcm[begin : begin + _AT_ONCE]


def _stretch(pcm: NDArray[np.int16], speed: float) -> Iterator[NDArray[np.int16]]:
    """Changes the speed by WSOLA (Verhelst and Roelands, 1993): frames overlap at a constant step. Each frame is cut
    near its nominal place, where it best continues the previous frame."""
    window = np.hanning(_FRAME + 1)[:-1]
    tail, taken = np.zeros(_HOP), 0
    out: list[NDArray[np.float64]] = []
    for number in range(int(max(0, len(pcm) - _FRAME - _REACH - _HOP) / (_HOP * speed))):
        due = max(round(number * _HOP * speed), 0)
        if number:
            due = _best(pcm, due, taken + _HOP)
        frame = pcm[due : due + _FRAME] * window
        out.append(tail + frame[:_HOP])
        tail, taken = frame[_HOP:], due
        if len(out) * _HOP >= _AT_ONCE:
            yield np.concatenate(out).astype(np.int16)
            out = []
    out.append(tail)
    yield np.concatenate(out).astype(np.int16)


def _best(pcm: NDArray[np.int16], due: int, follows: int) -> int:
    """The place near `due` where the sound is most similar to the continuation of the previous frame."""
    begin = max(0, due - _REACH)
    region = pcm[begin : due + _REACH + _FRAME].astype(np.float64)
    wanted = pcm[follows : follows + _FRAME].astype(np.float64)
    return begin + int(np.argmax(np.correlate(region, wanted, "valid")))
