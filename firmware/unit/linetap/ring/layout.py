# SPDX-License-Identifier: Apache-2.0
"""The ring's layout in memory: constants, header, slot, and the file on tmpfs."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linetap_core import rundir
from linetap_core.errors import DeviceFault

RATE_HZ = 8000
SLOT_FRAMES = 80
SLOT_MS = 10
NS_PER_FRAME = 125_000
MAX_LINES = 32
NO_VOLTS = -32768  # the board has no meter, or it was silent

# Flags of a slot. A gap slot has no audio and represents any number of frames.
GAP_OVERRUN = 1
GAP_RESTART = 2
UNDERRUN = 4  # an underrun in this period: a notice in it was disturbed
BY_SOUND = 8  # the card's meter was silent: levels come from the audio alone
GAP_CAUSES = {GAP_OVERRUN: "overrun", GAP_RESTART: "capture_restart"}

MAGIC = b"LTRING"
VERSION = 1
HEADER_BYTES = 4096
MOST_BYTES = 1 << 31  # of a ring: 32 lines need 33 MB a minute
HEADER = np.dtype(
    [
        ("magic", "S8"), ("version", "u4"), ("card", "u4"), ("lines", "u4"), ("slots", "u4"), ("slot_bytes", "u4"),
        ("device_rate_hz", "u4"), ("boot", "S36"), ("ring_id", "u8"), ("line_numbers", "u2", (MAX_LINES,)),
        ("head", "u8"),
    ]
)  # fmt: skip

CRC_AT = 8
CRC_FROM = 12  # after seq and crc

I16 = npt.NDArray[np.int16]
Bits = npt.NDArray[np.bool_]


def slot_dtype(lines: int) -> np.dtype[Any]:
    """The type of a slot. `seq`: its number + 1 once it is whole; `crc` covers all bytes after the field."""
    return np.dtype(
        [
            ("seq", "u8"), ("crc", "u4"), ("flags", "u4"), ("frame", "i8"), ("frames", "i8"), ("device_frame", "i8"),
            ("device_frames", "i8"), ("mono_ns", "i8"), ("utc_ns", "i8"),
            ("hook", "u2", (lines,)), ("ring", "u2", (lines,)), ("polarity", "u2", (lines,)), ("volts", "i2", (lines,)),
            ("notice", "u4", (lines,)), ("notice_frame", "i4", (lines,)), ("audio", "i2", (lines, SLOT_FRAMES)),
        ]
    )  # fmt: skip


def audio_folder(run_dir: Path) -> Path:
    """The only folder with audio in the clear: capture's, to which otherwise only the recorder has access."""
    return run_dir / rundir.AUDIO


def ring_path(run_dir: Path, card: int) -> Path:
    return audio_folder(run_dir) / f"ring-{card}"


def bell_path(run_dir: Path, card: int) -> Path:
    return audio_folder(run_dir) / f"ring-{card}.bell"


class Mapped:
    """The file as a header record and an array of slots, for its writer alone: a reader copies (reader.py)."""

    def __init__(self, path: Path, lines: int, slots: int) -> None:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self.memory = mmap.mmap(fd, 0)
        finally:
            os.close(fd)
        self.header = np.frombuffer(self.memory, HEADER, 1)
        self.slots = np.frombuffer(self.memory, slot_dtype(lines), slots, offset=HEADER_BYTES)
        self.bytes = memoryview(self.memory)

    @property
    def head(self) -> int:
        return int(self.header["head"][0])

    def close(self) -> None:
        self.bytes.release()
        del self.header, self.slots
        with contextlib.suppress(BufferError):  # an array still refers to the mapping; the process's end unmaps it
            self.memory.close()


def require_ram(folder: Path) -> None:
    """DeviceFault `ring_on_disk` unless the folder is on tmpfs: audio in the clear must never reach storage."""
    best, kind = "", ""
    where = str(folder.resolve())
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, fs_type, *_ = line.split(" ")
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fs_type
    if kind not in ("tmpfs", "ramfs"):
        raise DeviceFault(
            "ring_on_disk", f"{folder}: is on {kind or 'an unknown file system'}; run_dir must be on tmpfs"
        )


def allocate(path: Path, card: int, lines: list[int], slots: int, device_rate_hz: int, boot: bytes) -> None:
    """Allocates the whole file, so that a full tmpfs fails now, not later by SIGBUS during a call."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        os.posix_fallocate(fd, 0, HEADER_BYTES + slots * slot_dtype(len(lines)).itemsize)
        header = np.zeros(1, HEADER)
        header["magic"], header["version"], header["card"] = MAGIC, VERSION, card
        header["lines"], header["slots"], header["slot_bytes"] = len(lines), slots, slot_dtype(len(lines)).itemsize
        header["device_rate_hz"], header["boot"] = device_rate_hz, boot
        header["ring_id"] = int.from_bytes(os.urandom(8)) >> 1
        header["line_numbers"][0, : len(lines)] = lines
        os.pwrite(fd, header.tobytes(), 0)
    finally:
        os.close(fd)
    fresh.rename(path)


def same_shape(path: Path, card: int, lines: list[int], slots: int, device_rate_hz: int, boot: bytes) -> bool:
    """Whether the file is a ring of this shape, version and boot."""
    header = read_header(path)
    if header is None or header["magic"] != MAGIC or header["version"] != VERSION or header["boot"] != boot:
        return False
    there = (int(header["card"]), int(header["slots"]), int(header["device_rate_hz"]), int(header["slot_bytes"]))
    here = (card, slots, device_rate_hz, slot_dtype(len(lines)).itemsize)
    return there == here and [int(n) for n in header["line_numbers"][: len(lines)]] == lines


def read_header(path: Path) -> Any | None:
    """The header; None without a file, or if the header does not fit the file's size."""
    try:
        with rundir.opened(path.parent, path.name, MOST_BYTES) as (fd, size):
            raw = os.pread(fd, HEADER_BYTES, 0)
    except OSError:
        return None
    if len(raw) < HEADER_BYTES:
        return None
    header = np.frombuffer(raw, HEADER, 1)[0]
    slots, slot_bytes = int(header["slots"]), int(header["slot_bytes"])
    return header if slots and size == HEADER_BYTES + slots * slot_bytes else None


def boot_id() -> bytes:
    return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()


def lock_memory(memory: mmap.mmap) -> bool:
    """Locks the memory, so that it is never swapped (mlock(2)). False if RLIMIT_MEMLOCK forbids it."""
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return bool(libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(memory))) == 0)
