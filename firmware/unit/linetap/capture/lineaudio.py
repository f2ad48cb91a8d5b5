# SPDX-License-Identifier: Apache-2.0
"""Converts the codec's interleaved bytes to the ring's planar int16 at 8 kHz, the lines in the ring's order.

48 kHz to 8 kHz and back by one Kaiser low-pass, polyphase both ways, numpy alone (scipy's import costs 60 MB). 193
taps, beta 8, cut-off 4000 Hz: flat to +-0.01 dB over 300-3400 Hz, and all aliases in this band are below -63 dB (both
measured by tests/capture/test_decimate.py). Linear phase: the delay is exactly 96 device frames.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linetap.config.schema import Card, Line
from linetap.ring import I16, NS_PER_FRAME, RATE_HZ, SLOT_FRAMES

FACTOR = 6
TAPS = 193
BETA = 8.0
CUTOFF_HZ = 4000
DELAY = (TAPS - 1) // 2  # device frames

_BLOCK = 8  # outputs of one small product: below the size at which BLAS starts threads that spin
_HISTORY = TAPS - 1
F32 = npt.NDArray[np.float32]
_S32_OVER_S16 = 1 << 16


def low_pass() -> npt.NDArray[np.float64]:
    """The taps, unity gain at 0 Hz."""
    n = np.arange(TAPS) - DELAY
    taps = np.sinc(n * 2 * CUTOFF_HZ / (8000 * FACTOR)) * np.kaiser(TAPS, BETA)
    out: npt.NDArray[np.float64] = taps / taps.sum()
    return out


class Decimator:
    """The decimator, with state between periods. Output k is centred on device frame 6 k - DELAY of the run."""

    def __init__(self, lines: int, full_scale: int) -> None:
        """`full_scale`: the input's full scale over that of int16: 1 for S16, 65536 for S32."""
        self._window: F32 = np.zeros((_HISTORY + SLOT_FRAMES * FACTOR, lines), np.float32)
        span = (_BLOCK - 1) * FACTOR + TAPS
        self._taps: F32 = np.zeros((_BLOCK, span), np.float32)
        for row in range(_BLOCK):
            self._taps[row, row * FACTOR : row * FACTOR + TAPS] = low_pass()[::-1] / full_scale
        step, across = self._window.strides
        shape = (SLOT_FRAMES // _BLOCK, span, lines)
        self._blocks = np.lib.stride_tricks.as_strided(self._window, shape, (step * FACTOR * _BLOCK, step, across))
        self._out: F32 = np.zeros((SLOT_FRAMES // _BLOCK, _BLOCK, lines), np.float32)
        self._flat = self._out.reshape(SLOT_FRAMES, lines)

    def reset(self) -> None:
        """Discards the audio before a gap, so that it cannot affect the audio after the gap."""
        self._window[:] = 0

    def period(self, samples: npt.NDArray[np.int16] | npt.NDArray[np.int32], out: I16) -> None:
        """Decimates (480, lines) at the device's rate to `out`, int16 (lines, 80), rounded and limited."""
        self._window[_HISTORY:] = samples
        np.matmul(self._taps, self._blocks, out=self._out)
        self._window[:_HISTORY] = self._window[-_HISTORY:]
        np.rint(self._flat, out=self._flat)
        np.maximum(self._flat, -32768, out=self._flat)  # np.clip takes three times as long
        np.minimum(self._flat.T, 32767, out=out, casting="unsafe")


class Upsampler:
    """Converts a notice to 48 kHz, a period at a time, without the filter's delay."""

    def __init__(self) -> None:
        reach = DELAY // FACTOR  # 8 kHz samples on either side of a device frame that contribute to it
        self._window = np.zeros(SLOT_FRAMES + 1 + 2 * reach)
        self._around = np.lib.stride_tricks.sliding_window_view(self._window, 2 * reach + 1)
        taps = np.pad(low_pass() * FACTOR, (0, FACTOR))  # beyond the last tap: 0
        behind = DELAY + FACTOR * (reach - np.arange(2 * reach + 1))
        self._taps = taps[behind[:, None] + np.arange(FACTOR)]
        self._out = np.zeros((SLOT_FRAMES + 1, FACTOR))
        self._reach = reach

    def piece(self, samples: I16, first: int, end: int) -> npt.NDArray[np.float64]:
        """The device frames [first, end) of `samples` (8 kHz), at most a period; overwritten by the next call."""
        low = first // FACTOR - self._reach  # the sample at the window's beginning
        a, b = max(0, low), min(len(samples), low + len(self._window))
        self._window[:] = 0
        self._window[a - low : b - low] = samples[a:b]
        np.matmul(self._around, self._taps, out=self._out)
        np.rint(self._out, out=self._out)
        np.maximum(self._out, -32768, out=self._out)
        np.minimum(self._out, 32767, out=self._out)
        offset = first % FACTOR
        return self._out.reshape(-1)[offset : offset + end - first]


class LineAudio:
    """The conversion of a card's audio. `delay_frames`: device frames by which a period's audio precedes the period."""

    def __init__(self, card: Card, lines: list[Line]) -> None:
        self._wide = card.format == "S32_LE"
        frames = SLOT_FRAMES * card.rate_hz // RATE_HZ
        interleaved = np.zeros((frames, card.channels), np.dtype("<i4" if self._wide else "<i2"))
        self._bytes = memoryview(interleaved).cast("B")
        columns = [line.channel - 1 for line in lines]
        plain = columns == list(range(columns[0], columns[0] + len(columns)))
        # Adjacent columns are a view; a list of columns costs a copy every period.
        self._columns = None if plain else columns
        self._samples = interleaved[:, columns[0] : columns[0] + len(columns)] if plain else interleaved
        self._exempt = [row for row, line in enumerate(lines) if line.exempt]
        decimated = card.rate_hz == RATE_HZ * FACTOR
        self._decimator = Decimator(len(lines), _S32_OVER_S16 if self._wide else 1) if decimated else None
        self.delay_frames = DELAY if decimated else 0
        self.delay_ns = self.delay_frames * NS_PER_FRAME * RATE_HZ // card.rate_hz
        self._out: I16 = np.zeros((len(lines), SLOT_FRAMES), np.int16)

    def period(self, data: bytes) -> I16:
        """Converts a period to int16 (lines, 80), zeros for exempt lines; overwritten by the next call."""
        self._bytes[:] = data
        samples = self._samples if self._columns is None else self._samples[:, self._columns]
        if self._decimator is not None:
            self._decimator.period(samples, self._out)
        elif self._wide:
            self._out[:] = (samples >> 16).T
        else:
            self._out[:] = samples.T
        for row in self._exempt:
            self._out[row] = 0
        return self._out

    def reset(self) -> None:
        """Resets the filter: the next period does not follow the last."""
        if self._decimator is not None:
            self._decimator.reset()
