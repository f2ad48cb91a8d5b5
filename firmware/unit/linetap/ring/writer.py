# SPDX-License-Identifier: Apache-2.0
"""Capture's side of the ring: writes its slots."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap.ring.layout import (
    CRC_AT,
    HEADER_BYTES,
    I16,
    NS_PER_FRAME,
    RATE_HZ,
    SLOT_FRAMES,
    SLOT_MS,
    Bits,
    Mapped,
    allocate,
    audio_folder,
    bell_path,
    boot_id,
    lock_memory,
    require_ram,
    ring_path,
    same_shape,
    slot_dtype,
)
from linetap_core import rundir

_CRC = struct.Struct("=I")
_BELLS_ENOUGH = contextlib.suppress(BlockingIOError)  # the FIFO is full: the reader is not waiting
_NUMBERS = struct.Struct("=I6q")  # flags to utc_ns


class _Stage:
    """A slot, from its crc on, while it is assembled, and views of its parts."""

    def __init__(self, lines: int) -> None:
        kind = slot_dtype(lines)
        whole = np.zeros(1, kind)
        fields = kind.fields
        assert fields is not None
        self.body = memoryview(whole.view(np.uint8))[CRC_AT:]
        self.lines = self.body[fields["hook"][1] - CRC_AT :]
        self.levels = np.zeros((3, lines, 16), np.bool_)  # hook, ring, polarity; ten bits of sixteen
        self.packed = whole.view(np.uint8)[fields["hook"][1] : fields["volts"][1]].reshape(3, lines, 2)
        self.volts, self.notice = whole["volts"][0], whole["notice"][0]
        self.notice_frame, self.audio = whole["notice_frame"][0], whole["audio"][0]
        self.noticed = False  # whether notice and notice_frame are set


class RingWriter:
    """The ring's writer. Continues a predecessor's ring of the same shape and boot."""

    def __init__(self, run_dir: Path, card: int, line_numbers: list[int], seconds: int, device_rate_hz: int) -> None:
        """OSError if the tmpfs has no room; DeviceFault if `run_dir` is not in RAM."""
        require_ram(rundir.make(audio_folder(run_dir)))
        bell = bell_path(run_dir, card)  # before the ring: a reader that finds the ring opens it
        if not bell.exists():
            os.mkfifo(bell, 0o640)
        self._bell = os.open(bell, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)  # RDWR: opens without a reader
        lines = len(line_numbers)
        slots = seconds * 1000 // SLOT_MS
        path = ring_path(run_dir, card)
        boot = boot_id()
        self.resumed = same_shape(path, card, line_numbers, slots, device_rate_hz, boot)
        if not self.resumed:
            allocate(path, card, line_numbers, slots, device_rate_hz, boot)
        self._map = Mapped(path, lines, slots)
        self._slot_bytes = slot_dtype(lines).itemsize
        self._count = slots
        self.decimation = device_rate_hz // RATE_HZ
        self._stage = _Stage(lines)
        self._seqs, self._heads = self._map.slots["seq"], self._map.header["head"]
        self.locked = lock_memory(self._map.memory)
        self._seq = self._map.head
        self.next_frame = 0
        self.next_device_frame = 0
        self.end_mono_ns: int | None = None
        self.last_hook: Bits = np.zeros(lines, np.bool_)  # in a predecessor's last slot
        if self._seq:
            last = self._map.slots[(self._seq - 1) % slots]
            self.last_hook = (last["hook"] >> (SLOT_MS - 1)) & 1 == 1
            self.next_frame = int(last["frame"] + last["frames"])
            self.next_device_frame = int(last["device_frame"] + last["device_frames"])
            self.end_mono_ns = int(last["mono_ns"] + last["frames"] * NS_PER_FRAME)

    def write(
        self,
        audio: I16,
        hook: Bits,
        ring: Bits,
        polarity: Bits,
        volts: I16,
        notice: npt.NDArray[np.uint32] | None,
        notice_frame: npt.NDArray[np.int32] | None,
        mono_ns: int,
        utc_ns: int,
        flags: int = 0,
    ) -> None:
        """Writes one period: audio int16 (lines, 80), levels bool (lines, 10); `mono_ns`, `utc_ns` of its first sample.

        `notice` and `notice_frame`: see Batch; None: no notice is played.
        """
        stage = self._stage
        stage.levels[0, :, :SLOT_MS], stage.levels[1, :, :SLOT_MS], stage.levels[2, :, :SLOT_MS] = hook, ring, polarity
        stage.packed[:] = np.packbits(stage.levels, axis=-1, bitorder="little")
        stage.volts[:] = volts
        if notice is not None or stage.noticed:
            stage.notice[:] = 0 if notice is None else notice
            stage.notice_frame[:] = 0 if notice_frame is None else notice_frame
            stage.noticed = notice is not None
        stage.audio[:] = audio
        self._publish(SLOT_FRAMES, mono_ns, utc_ns, flags)

    def write_gap(self, frames: int, mono_ns: int, utc_ns: int, flag: int) -> None:
        """Writes a gap of `frames` at 8 kHz after the last slot."""
        self._stage.lines[:] = bytes(len(self._stage.lines))
        self._publish(frames, mono_ns, utc_ns, flag)

    def _publish(self, frames: int, mono_ns: int, utc_ns: int, flags: int) -> None:
        """Copies the assembled slot at once, which costs less than seven small stores into the ring."""
        device_frames, body = frames * self.decimation, self._stage.body
        _NUMBERS.pack_into(
            body, 4, flags, self.next_frame, frames, self.next_device_frame, device_frames, mono_ns, utc_ns
        )  # fmt: skip
        _CRC.pack_into(body, 0, zlib.crc32(body[4:]))
        index = self._seq % self._count
        at = HEADER_BYTES + index * self._slot_bytes
        self._seqs[index] = 0  # shows a reader that is copying the slot's predecessor that it was overtaken
        self._map.bytes[at + CRC_AT : at + self._slot_bytes] = body
        self._seq += 1
        self._seqs[index] = self._seq
        self._heads[0] = self._seq
        self.next_frame += frames
        self.next_device_frame += device_frames
        self.end_mono_ns = mono_ns + frames * NS_PER_FRAME
        with _BELLS_ENOUGH:
            os.write(self._bell, b"\a")

    def close(self) -> None:
        os.close(self._bell)
        del self._seqs, self._heads
        self._map.close()
