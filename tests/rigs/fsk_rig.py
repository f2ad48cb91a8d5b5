# SPDX-License-Identifier: Apache-2.0
"""A caller ID transmitter with adjustable defects, worse than those of any exchange."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from linetap.recorder.signals.caller.fsk import TONES_HZ, Modem
from linetap_core.codecs.codec import RATE_HZ
from linetap_core.codecs.g711 import FULL_SCALE_DBM0

Audio = NDArray[np.int16]


def parameter(kind: int, value: bytes) -> bytes:
    return bytes([kind, len(value)]) + value


def message(kind: int, body: bytes) -> bytes:
    unsummed = bytes([kind, len(body)]) + body
    return unsummed + bytes([-sum(unsummed) % 256])


def bits_of(octets: bytes, seizure: int = 300, mark: int = 180) -> list[int]:
    """The bits by GR-30: channel seizure, mark, octets of start, eight data and stop bits, and some marks
    at the end.
    """
    framed = [bit for o in octets for bit in (0, *((o >> k) & 1 for k in range(8)), 1)]
    return [k % 2 for k in range(seizure)] + [1] * mark + framed + [1] * 10


def fsk(
    bits: list[int], modem: Modem, rng: np.random.Generator, *, dbm0: float = -14.0, twist_db: float = 0.0,
    baud: float = 1.0, pitch: float = 1.0, snr_db: float | None = None, hum_dbm0: float | None = None,
    direct: float = 0.0,
) -> Audio:  # fmt: skip
    """Phase-continuous FSK between stretches of silence; S/N is the power of both tones' mean to noise in 4 kHz."""
    each = RATE_HZ / 1200 / baud
    which = np.minimum((np.arange(int(len(bits) * each)) / each).astype(int), len(bits) - 1)
    is_mark = np.array(bits)[which] == 1
    hz = np.where(is_mark, *TONES_HZ[modem]) * pitch
    sine = np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ + rng.uniform(0, 2 * np.pi))
    peak = amplitude(dbm0)
    sent = peak * 10 ** (np.where(is_mark, twist_db, -twist_db) / 40) * sine
    line = np.concatenate([np.zeros(rng.integers(400, 8000)), sent, np.zeros(2000)])
    if snr_db is not None:
        line += rng.normal(0, peak / np.sqrt(2) * 10 ** (-snr_db / 20), len(line))
    if hum_dbm0 is not None:
        line += amplitude(hum_dbm0) * np.sin(2 * np.pi * 60 / RATE_HZ * np.arange(len(line)))
    return to_audio(line + direct)


def amplitude(dbm0: float) -> float:
    return 32767 * 10 ** ((dbm0 - FULL_SCALE_DBM0) / 20)


def to_audio(line: NDArray[np.floating[Any]]) -> Audio:
    return np.clip(np.round(line), -32768, 32767).astype(np.int16)
