# SPDX-License-Identifier: Apache-2.0
"""The audio ring: minutes of every line of one card in RAM, written by capture, read by the recorder.

A file on tmpfs, allocated whole and locked where the limits allow. One slot a period (10 ms): levels and audio of all
lines, planar. The writer never waits: a reader that is overtaken finds out and records a gap.

A reader detects an incomplete slot by the slot's sequence, which is checked in the copy and again in the ring after
copying (was it overtaken meanwhile?), and the CRC covers every byte of it (did all stores arrive, in any order?). The
doorbell, one byte into a FIFO after each slot, wakes the reader, and as a system call puts the slot's stores before it
on ARM; with the CRC that is an optimisation instead of an assumption.
"""

from linetap.ring.batch import Batch, Stretch, batch_of, gap_batch
from linetap.ring.layout import (
    BY_SOUND,
    GAP_CAUSES,
    GAP_OVERRUN,
    GAP_RESTART,
    I16,
    MAX_LINES,
    NO_VOLTS,
    NS_PER_FRAME,
    RATE_HZ,
    SLOT_FRAMES,
    SLOT_MS,
    UNDERRUN,
    Bits,
    bell_path,
    require_ram,
    ring_path,
    slot_dtype,
)
from linetap.ring.reader import RingReader
from linetap.ring.writer import RingWriter

__all__ = [
    "BY_SOUND",
    "GAP_CAUSES",
    "GAP_OVERRUN",
    "GAP_RESTART",
    "I16",
    "MAX_LINES",
    "NO_VOLTS",
    "NS_PER_FRAME",
    "RATE_HZ",
    "SLOT_FRAMES",
    "SLOT_MS",
    "UNDERRUN",
    "Batch",
    "Bits",
    "RingReader",
    "RingWriter",
    "Stretch",
    "batch_of",
    "bell_path",
    "gap_batch",
    "require_ram",
    "ring_path",
    "slot_dtype",
]
