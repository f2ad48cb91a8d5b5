# SPDX-License-Identifier: Apache-2.0
"""The other end of the cable: `far_end.py RATE_HZ CHANNELS READY` plays numbered samples until it is ended, and
discards what it captures.

The signal gives the position: at 8 kHz channel 0 holds the low 15 bits of the sample's number and channel 1 the rest.
At 48 kHz, where a filter lies between, every channel plays one known noise inside the telephone band.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap_bench.stage.cable import report_late

PERIODS = 64


def numbered(first: int, count: int, channels: int) -> npt.NDArray[np.int16]:
    """Samples from `first` on, (count, channels)."""
    n = np.arange(first, first + count, dtype=np.int64)
    mixed = (n[:, None] * 2654435761 + np.arange(channels) * 40503) >> 9
    out = (mixed & 0xFFFF).astype(np.uint16).view(np.int16)
    out[:, 0] = n & 0x7FFF
    if channels > 1:
        out[:, 1] = n >> 15
    return out


NOISE_FRAMES = 1 << 17  # 16.4 s at 8 kHz before it repeats


def band_noise(rate_hz: int) -> npt.NDArray[np.int16]:
    """One period of noise in 300-3400 Hz, the same at every rate: int16 (NOISE_FRAMES x rate / 8000,)."""
    length = NOISE_FRAMES * rate_hz // 8000
    rng = np.random.default_rng(8000)
    low, high = round(300 * NOISE_FRAMES / 8000), round(3400 * NOISE_FRAMES / 8000)
    spectrum = np.zeros(length // 2 + 1, np.complex128)
    spectrum[low:high] = np.exp(2j * np.pi * rng.random(high - low))
    wave = np.fft.irfft(spectrum, length)
    return np.rint(wave * 4000 / wave.std()).astype(np.int16)


def main(rate_hz: int, channels: int, ready: Path) -> None:
    import alsaaudio

    period = rate_hz // 100
    noise = np.concatenate([band_noise(rate_hz)] * 2) if rate_hz != 8000 else None

    def opened(kind: int, name: str) -> alsaaudio.PCM:
        return alsaaudio.PCM(
            kind, alsaaudio.PCM_NONBLOCK, device=name, rate=rate_hz, channels=channels,
            format=alsaaudio.PCM_FORMAT_S16_LE, periodsize=period, periods=PERIODS,
        )  # fmt: skip

    playback = opened(alsaaudio.PCM_PLAYBACK, "exchange_playback")
    capture = opened(alsaaudio.PCM_CAPTURE, "exchange_capture")
    number = 0
    dry_at = 0.0  # time.monotonic() at which the written samples are used up
    while True:
        while playback.avail() >= 2 * period:
            if noise is None:
                block = numbered(number, period, channels)
            else:
                at = number % (len(noise) // 2)
                block = np.repeat(noise[at : at + period, None], channels, axis=1)
            if playback.write(block.tobytes()) < 0:
                report_late("the far end", 1000 * (time.monotonic() - dry_at) if dry_at else 0.0)
                sys.exit("the far end ran dry")
            number += period
            dry_at = max(dry_at, time.monotonic()) + period / rate_hz
        while capture.read()[0] > 0:
            pass
        if number and not ready.exists():
            ready.touch()
        time.sleep(0.02)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
