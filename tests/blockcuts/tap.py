# SPDX-License-Identifier: Apache-2.0
"""A separate reader that keeps the signals on the lines: the ground truth for every recording."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap.ring import RATE_HZ, RingReader
from linetap_core.clock import NS_PER_MS, SYSTEM
from linetap_core.codecs import g711
from linetap_core.errors import DeviceFault

LOOK_S = 0.02
SLOTS = 4
SLOT = RATE_HZ // 100


class Tap:
    """Follows card 1 in a thread; leaves the doorbell to the recorder."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._audio: list[npt.NDArray[np.int16]] = []
        self._hook: list[npt.NDArray[np.bool_]] = []
        self._times: list[int] = []  # monotonic time of each slot, ns
        self.first_frame: int | None = None
        self.frames = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> Truth:
        self._ended.set()
        self._thread.join(120)
        assert self.first_frame is not None, "nothing went through the ring"
        codes = g711.encode(np.concatenate(self._audio, axis=1))
        return Truth(self.first_frame, codes, np.concatenate(self._hook, axis=1), np.array(self._times))

    def _follow(self) -> None:
        reader: RingReader | None = None
        while not self._ended.wait(LOOK_S):
            try:
                reader = reader or RingReader(self._run_dir, 1)
            except DeviceFault:
                continue  # capture has not started yet
            while (batch := reader.read(SLOTS)) is not None:
                if self.first_frame is None:
                    self.first_frame = batch.frame
                slots = batch.frames // SLOT
                gap = batch.gap is not None
                lines = reader.lines
                self._audio.append(np.zeros((lines, batch.frames), np.int16) if gap else batch.audio)
                self._hook.append(np.zeros((lines, slots * 10), np.bool_) if gap else batch.hook)
                now_ns = SYSTEM.monotonic_ns()
                begun_ns = batch.mono_ns if not gap else now_ns - batch.frames * 125_000
                self._times += [begun_ns + n * 10 * NS_PER_MS for n in range(slots)]
                self.frames += batch.frames


class Truth:
    """The kept signals. `codes`: mu-law (lines, frames); `hook`: (lines, milliseconds), true is off-hook."""

    def __init__(
        self, first_frame: int, codes: npt.NDArray[np.uint8], hook: npt.NDArray[np.bool_], times: npt.NDArray[np.int64]
    ) -> None:
        self.first_frame, self.codes, self.hook, self._times = first_frame, codes, hook, times
        self._lines = [row.tobytes() for row in codes]

    def frames_at(self, mono_ns: int) -> int:
        """The number of frames on the line up to `mono_ns`, in whole slots."""
        return max(0, int(np.searchsorted(self._times, mono_ns - 10 * NS_PER_MS, "right")) - 1) * SLOT

    def place_of(self, line: int, kept: bytes, earliest: int) -> int:
        """The frame, from `earliest` on, at which the recording `kept` begins; -1 if it is not found."""
        begin: int = self._lines[line - 1].find(kept[:RATE_HZ], earliest)
        return begin

    def off_hook_until(self, line: int, frame: int) -> int | None:
        """The first frame from `frame` on at which the line is on-hook for longer than a flash; None: never."""
        down: npt.NDArray[np.bool_] = ~self.hook[line - 1][frame // 8 :]
        edges = np.flatnonzero(down)
        for edge in edges:
            if down[edge : edge + 1100].all():
                return frame + int(edge) * 8
        return None
