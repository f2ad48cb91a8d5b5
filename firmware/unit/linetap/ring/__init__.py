# SPDX-License-Identifier: Apache-2.0
"""The audio ring: minutes of every line of one card in RAM, written by capture, read by the recorder.

The ring is a file on tmpfs, allocated whole and locked if the limits allow. A slot is a period (10 ms): levels and
audio of all lines, planar. The writer never waits: a reader that is overtaken detects it and records a gap.

A reader detects a slot that was overwritten during the copy by the slot's sequence, which is checked in the copy and
again in the ring afterwards. It detects missing stores, in any memory order, by the CRC over every byte. The doorbell,
one byte into a FIFO after each slot, wakes the reader. As a system call it also orders the slot's stores on ARM; thanks
to the CRC no correctness depends on that order.
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
