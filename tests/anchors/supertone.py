# SPDX-License-Identifier: Apache-2.0
"""libspandsp's call progress detector (super_tone_rx), configured with the same cadences as this project's.

Its blocks resolve 62.5 Hz, and it treats frequencies within 10 Hz as one. With 440 and 480 Hz in the list it takes
450 Hz for both of them; without them it detects 450 Hz.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from anchors.spandsp import STEP, TONE_REPORT, library
from linetap.config.numbers import CadenceNumbers, ToneShape
from linetap.ring import I16

BLOCK_MS = 16  # blocks of 128 samples; lengths are whole blocks


class SuperTone:
    """The detector; call `close` at the end."""

    def __init__(self, shapes: Iterable[ToneShape], numbers: CadenceNumbers) -> None:
        self._lib = library()
        self._names = [shape.name for shape in shapes]
        self._told = self._lib.super_tone_rx_make_descriptor(None)
        for shape in shapes:
            tone = self._lib.super_tone_rx_add_tone(self._told)
            first, second = (*(round(hz) for hz in shape.hz), 0)[:2]
            if not shape.cadence_ms:
                self._lib.super_tone_rx_add_element(self._told, tone, first, second, numbers.dial_min_ms, 0)
            for element in range(max(len(shape.cadence_ms), shape.known_after) if shape.cadence_ms else 0):
                nominal_ms = shape.cadence_ms[element % len(shape.cadence_ms)]
                reach_ms = nominal_ms * numbers.tolerance + numbers.slack_ms + BLOCK_MS
                hz = (0, 0) if element % 2 else (first, second)
                shortest, longest = round(nominal_ms - reach_ms), round(nominal_ms + reach_ms)
                self._lib.super_tone_rx_add_element(self._told, tone, *hz, shortest, longest)

    def heard(self, audio: I16) -> list[str]:
        """The names of the detected tones, in the order of their beginnings."""
        got: list[str] = []

        def report(_: int | None, code: int, _level: int, _delay: int) -> None:
            if code >= 0:
                got.append(self._names[code])

        callback = TONE_REPORT(report)
        state = self._lib.super_tone_rx_init(None, self._told, callback, None)
        for at in range(0, len(audio), STEP):
            piece = np.ascontiguousarray(audio[at : at + STEP])
            self._lib.super_tone_rx(state, piece.ctypes.data, len(piece))
        self._lib.super_tone_rx_free(state)
        return got

    def close(self) -> None:
        self._lib.super_tone_rx_free_descriptor(self._told)
