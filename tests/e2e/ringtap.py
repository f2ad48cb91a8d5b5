# SPDX-License-Identifier: Apache-2.0
"""The ring's audio, stored by a separate reader: the reference for a recorder, independent of the cable."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from linetap.ring import I16, RingReader
from linetap_core.errors import DeviceFault

LOOK_S = 0.05


class RingTap:
    """Follows one line of card 1 in a thread; never touches the doorbell, which is the recorder's."""

    def __init__(self, run_dir: Path, line_index: int) -> None:
        self._run_dir, self._index = run_dir, line_index
        self._pieces: list[I16] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    @property
    def frames(self) -> int:
        """Frames read so far."""
        return sum(len(piece) for piece in self._pieces)

    def audio(self) -> I16:
        """All audio; ends the tap. A gap is silence."""
        self._ended.set()
        self._thread.join(120)
        return np.concatenate(self._pieces)

    def _follow(self) -> None:
        reader: RingReader | None = None
        while not self._ended.wait(LOOK_S):
            try:
                reader = reader or RingReader(self._run_dir, 1)
            except DeviceFault:
                continue  # capture is not up yet
            while (batch := reader.read(100)) is not None:
                gap = batch.gap is not None
                self._pieces.append(np.zeros(batch.frames, np.int16) if gap else batch.audio[self._index].copy())
