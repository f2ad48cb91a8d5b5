# SPDX-License-Identifier: Apache-2.0
"""The exchange's signal on each line, sample for sample, echo included: the reference for a recording.

`line-NN.s16` (little-endian, the cable's rate, one for each line) and `exchange.json`: `rate_hz`, `lines`, `samples`,
`start_mono_ns` (when sample 0 was heard, CLOCK_MONOTONIC), `script_sample` (where the script began), `anchors`
([sample, mono_ns] wherever the cable's clock jumped), `underruns`, `overruns`, `realtime` (without it JACK may skip a
period without notifying either end of the cable).
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from linetap.ring import I16
from linetap_core.durable.files import replace_in_ram

END_S = 30


class Played(msgspec.Struct, kw_only=True):
    rate_hz: int
    lines: list[int]
    samples: int = 0
    start_mono_ns: int = 0
    script_sample: int | None = None
    anchors: list[tuple[int, int]] = []
    underruns: int = 0
    overruns: int = 0
    realtime: bool = True


class PlayedLog:
    """Files are written by a thread of its own: a slow disk must not stop the exchange."""

    def __init__(self, folder: Path, played: Played) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._queue: queue.SimpleQueue[I16 | None] = queue.SimpleQueue()
        files = [path_of(folder, number).open("wb") for number in played.lines]
        self._thread = threading.Thread(target=self._write, args=(files,), name="played-log", daemon=True)
        self._thread.start()

    def add(self, block: I16) -> None:
        """int16 (lines, n), not changed afterwards."""
        self._queue.put(block)

    def close(self, played: Played) -> None:
        self._queue.put(None)
        self._thread.join(END_S)
        replace_in_ram(self._folder / "exchange.json", msgspec.json.encode(played))

    def _write(self, files: list[IO[bytes]]) -> None:
        while (block := self._queue.get()) is not None:
            for file, samples in zip(files, block.astype("<i2"), strict=True):
                file.write(samples.tobytes())
        for file in files:
            file.close()


def path_of(folder: Path, number: int) -> Path:
    return folder / f"line-{number:02d}.s16"


def read_played(folder: Path) -> tuple[Played, dict[int, I16]]:
    """The log and the samples of each line."""
    played = msgspec.json.decode((folder / "exchange.json").read_bytes(), type=Played)
    return played, {n: np.fromfile(path_of(folder, n), "<i2").astype(np.int16) for n in played.lines}
