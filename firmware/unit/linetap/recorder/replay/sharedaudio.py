# SPDX-License-Identifier: Apache-2.0
"""The lines' audio in memory that the process which seals it sees too."""

from __future__ import annotations

import mmap
import os

import numpy as np

from linetap.ring import I16


class SharedAudio:
    """In RAM, without a name: it goes with its last process. `fd` is for that process, until `close`."""

    def __init__(self) -> None:
        self.fd, self.frames = os.memfd_create("linetap-replay"), 0

    def room(self, lines: int, frames: int) -> I16:
        """Zeros, int16 (lines, frames)."""
        os.ftruncate(self.fd, lines * frames * 2)
        self.frames = frames
        return mapped(self.fd, lines, frames)

    def close(self) -> None:
        """The array stays."""
        os.close(self.fd)


def mapped(fd: int, lines: int, frames: int) -> I16:
    """What another process has made room for."""
    memory = mmap.mmap(fd, lines * frames * 2)  # lives as long as the array
    return np.frombuffer(memory, np.int16).reshape(lines, frames)
