# SPDX-License-Identifier: Apache-2.0
"""Plays tones on lines through the card's own codec, and measures the same tones in the captured audio.

The service capture must not run meanwhile: only one program can open the device.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from math import log10, pi
from typing import Protocol

import numpy as np
import numpy.typing as npt

from linetap.capture.alsa import AlsaCodec
from linetap.config.schema import Card
from linetap_core.errors import DeviceFault

PLAYED = 0.5  # of full scale, with headroom for the drivers
KEPT_S = 0.3
WAIT_MS = 500
CLOSE_S = 5
FULL = {"S16_LE": 1 << 15, "S32_LE": 1 << 31}
DTYPE = {"S16_LE": "<i2", "S32_LE": "<i4"}
Waves = npt.NDArray[np.float64]


class Sound(Protocol):
    """`captured` returns the last part of a second, (lines, frames), full scale 1. DeviceFault at a stall."""

    rate_hz: int

    def play(self, lines: Sequence[int], hz: float) -> None: ...
    def captured(self) -> Waves: ...
    def close(self) -> None: ...


def level_db(wave: npt.NDArray[np.float64], hz: float, rate_hz: int) -> float:
    """The tone's amplitude in dB of the played tone, through a window that attenuates the next tone by 90 dB."""
    turned = abs(np.sum(wave * _turning(len(wave), hz, rate_hz)))
    return 20 * log10(max(float(turned), 1e-9) / PLAYED)


@lru_cache(8)
def _turning(n: int, hz: float, rate_hz: int) -> npt.NDArray[np.complex128]:
    """The tone's own weights, which each line of the card is measured with."""
    window = np.blackman(n)
    return np.asarray(2 * window * np.exp(-2j * pi * hz * np.arange(n) / rate_hz) / window.sum(), np.complex128)


class AlsaSound:
    """The tones through ALSA, with a thread for the device. `channels`: each line's channel, from 1."""

    def __init__(self, card: Card, channels: Sequence[int]) -> None:
        """DeviceFault if the device cannot be opened with these parameters."""
        self.rate_hz: int = card.rate_hz
        self._card, self._rows = card, [channel - 1 for channel in channels]
        self._codec = AlsaCodec(card)
        self._kept: deque[bytes] = deque(maxlen=round(KEPT_S * card.rate_hz / self._codec.period))
        self._tone: tuple[tuple[int, ...], float] = ((), 0.0)
        self._at, self._stopped, self._why = 0, threading.Event(), ""
        self._thread = threading.Thread(target=self._run, name="tones", daemon=True)
        self._codec.restart_capture()
        self._thread.start()

    def play(self, lines: Sequence[int], hz: float) -> None:
        self._tone = (tuple(self._rows[line] for line in lines), hz)

    def captured(self) -> Waves:
        if not self._thread.is_alive() or self._why:
            raise DeviceFault("codec_lost", self._why or "the codec's loop has ended")
        if not self._kept:
            raise DeviceFault("codec_lost", "nothing from the codec yet")
        data = np.frombuffer(b"".join(self._kept), DTYPE[self._card.format]).reshape(-1, self._card.channels)
        waves: Waves = data[:, self._rows].T / FULL[self._card.format]
        return waves

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive():  # else the thread hangs in the device, which the process's end closes
            self._codec.close()

    def _run(self) -> None:
        try:
            with self._codec.faults():
                while not self._stopped.is_set():
                    self._codec.wait(WAIT_MS)
                    data = self._codec.read()
                    if data:
                        self._kept.append(data)
                    for _ in range(min(self._codec.room(), self._codec.buffer) // self._codec.period):
                        self._codec.write(self._period())
        except DeviceFault as fault:
            self._why = str(fault)

    def _period(self) -> bytes:
        rows, hz = self._tone
        out = np.zeros((self._codec.period, self._card.channels))
        at = np.arange(self._at, self._at + self._codec.period)
        self._at += self._codec.period
        for row in rows:
            out[:, row] = PLAYED * np.sin(2 * pi * hz * at / self.rate_hz)
        return (out * (FULL[self._card.format] - 1)).astype(DTYPE[self._card.format]).tobytes()
