# SPDX-License-Identifier: Apache-2.0
"""The wires between the simulated exchange and a simulated card: shared memory on tmpfs, one file a card.

The exchange writes line levels ahead of time, one sample a millisecond and line; the board reads them when they are due
and writes the relays and series contacts. A sample is one aligned 64-bit word with its millisecond and its levels, so
another process reads it completely or not at all, in any memory order. An old sample from an earlier turn of the buffer
(the exchange died) is recognised by its millisecond and reads as an unplugged line. Locks were rejected: the reader is
the capture loop, which never waits.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from linetap.board.interface import PERIOD_MS, Levels
from linetap.ring import I16, MAX_LINES, Bits
from linetap_core import rundir
from linetap_core.errors import DeviceFault

ARMED_MS = 1000  # like the card's one-shot: after this time without an edge every relay opens
CAPACITY_MS = 1 << 14  # 16 s: the largest distance between exchange and board, ahead plus behind

_MAGIC = b"LTWIRE1\0"
_HEADER = np.dtype([("magic", "S8"), ("lines", "u4"), ("capacity_ms", "u4")])
ARMED_AT = 32
CONTACT_HELD_MS = 300  # like the card: after this time without an edge of the command the contact closes
RELAYS_AT = 64
CONTACTS_AT = 256
_SAMPLES_AT = 4096
_HOOK, _RING, _POLARITY = np.uint64(1 << 16), np.uint64(1 << 17), np.uint64(1 << 18)
_VOLTS = np.uint64(0xFFFF)
_STAMP_SHIFT = np.uint64(19)  # 45 bits of milliseconds, plus one so that 0 is "never written"


def wires_path(run_dir: Path, card: int) -> Path:
    """The file in capture's folder: the exchange runs as capture's user."""
    return rundir.service_folder(run_dir, "capture") / f"wires-{card}"


class Wires:
    """The wires: samples by millisecond of CLOCK_MONOTONIC. `relays`: uint8 (lines,), 1 = driven, of both processes.

    A driven relay is not necessarily closed: see `closed`. `contacts` is int64 (lines,), the millisecond of the last
    edge of the command to open a series contact; board/meter/contacts.py decides which contacts are open.
    """

    def __init__(self, path: Path, lines: int) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._memory = mmap.mmap(fd, 0)
        finally:
            os.close(fd)
        self.lines = lines
        self.relays: npt.NDArray[np.uint8] = np.frombuffer(self._memory, np.uint8, lines, RELAYS_AT)
        self.contacts: npt.NDArray[np.int64] = np.frombuffer(self._memory, np.int64, lines, CONTACTS_AT)
        self._armed_ms = np.frombuffer(self._memory, np.int64, 1, ARMED_AT)
        flat = np.frombuffer(self._memory, np.uint64, lines * CAPACITY_MS, _SAMPLES_AT)
        self._samples = flat.reshape(lines, CAPACITY_MS)

    @classmethod
    def create(cls, path: Path, lines: int) -> Self:
        """Creates wires of unplugged lines. A file of the same shape is kept, with its relays: a board may use it."""
        if not 1 <= lines <= MAX_LINES:
            raise ValueError(f"{lines} lines; a card has 1 to {MAX_LINES}")
        if path.exists() and _lines_in(path) != lines:
            _allocate(path, lines).replace(path)
        _make_absent(path, lines)
        wires = cls(path, lines)
        wires._samples[:] = 0
        return wires

    @classmethod
    def attach(cls, path: Path) -> Self:
        """Attaches to existing wires. DeviceFault `wires_absent` if there are none."""
        lines = _lines_in(path)
        if lines is None:
            raise DeviceFault("wires_absent", f"{path}: no simulated lines here")
        return cls(path, lines)

    @classmethod
    def attach_or_create(cls, path: Path, lines: int) -> Self:
        """Attaches to the wires, or creates them for a board that starts before its exchange. DeviceFault
        `wires_foreign` if they have another number of lines."""
        _make_absent(path, lines)
        wires = cls.attach(path)
        if wires.lines != lines:
            wires.close()
            raise DeviceFault("wires_foreign", f"{path}: {wires.lines} simulated lines, the card has {lines}")
        return wires

    def put(
        self,
        from_ms: int,
        hook: npt.ArrayLike,
        ring: npt.ArrayLike,
        polarity: npt.ArrayLike,
        volts: npt.ArrayLike,
    ) -> None:
        """Writes levels from millisecond `from_ms` on: bool (lines, n) three times, volts (lines, n) in 0.01 V.

        ValueError if the shape does not fit or n exceeds CAPACITY_MS. Samples that are not due yet may be overwritten.
        """
        hundredths = np.asarray(volts)
        n = hundredths.shape[1] if hundredths.ndim == 2 else -1
        if not 0 <= n <= CAPACITY_MS or hundredths.shape[0] != self.lines or from_ms < 0:
            raise ValueError(f"{hundredths.shape} at {from_ms}: want ({self.lines}, up to {CAPACITY_MS}), from 0 on")
        words = hundredths.astype(np.int16).view(np.uint16).astype(np.uint64)
        for levels, bit in ((hook, _HOOK), (ring, _RING), (polarity, _POLARITY)):
            bits = np.asarray(levels, np.bool_)
            if bits.shape != words.shape:
                raise ValueError(f"levels are {bits.shape}, volts {words.shape}")
            words |= bits * bit
        words |= np.arange(from_ms + 1, from_ms + 1 + n, dtype=np.uint64) << _STAMP_SHIFT
        at = from_ms % CAPACITY_MS
        first = min(n, CAPACITY_MS - at)
        self._samples[:, at : at + first] = words[:, :first]
        self._samples[:, : n - first] = words[:, first:]

    def take(self, until_ms: int, n: int = PERIOD_MS) -> Levels:
        """Returns the `n` milliseconds before `until_ms`. Unwritten milliseconds read as an unplugged line."""
        hook, ring, polarity, volts = self.samples(until_ms, n)
        return Levels(hook, ring, polarity, volts[:, -1])

    def samples(self, until_ms: int, n: int) -> tuple[Bits, Bits, Bits, I16]:
        """Returns hook, ring and polarity of these milliseconds, and their voltages: int16 (lines, n), 0.01 V."""
        at = (until_ms - n) % CAPACITY_MS
        words = self._samples[:, at : at + n]
        if at + n > CAPACITY_MS:
            words = np.concatenate([words, self._samples[:, : at + n - CAPACITY_MS]], axis=1)
        else:
            words = words.copy()
        due = np.arange(until_ms - n + 1, until_ms + 1, dtype=np.int64).astype(np.uint64)
        words *= (words >> _STAMP_SHIFT) == due
        volts = (words & _VOLTS).astype(np.uint16).view(np.int16)
        return (words & _HOOK) != 0, (words & _RING) != 0, (words & _POLARITY) != 0, volts

    def arm(self, now_ms: int) -> None:
        """Writes the board's arm signal, like the edges on a real card's RELAY_ARM."""
        self._armed_ms[0] = now_ms

    def closed(self, now_ms: int) -> npt.NDArray[np.bool_]:
        """Returns the closed relays, bool (lines,): those driven by a board that was armed within the last ARMED_MS."""
        driven: npt.NDArray[np.bool_] = self.relays != 0
        return driven if now_ms - int(self._armed_ms[0]) < ARMED_MS else np.zeros_like(driven)

    def commanded_open(self, now_ms: int) -> npt.NDArray[np.bool_]:
        """Returns the contacts with a present command to open, bool (lines,)."""
        asked: npt.NDArray[np.bool_] = self.contacts > now_ms - CONTACT_HELD_MS
        return asked

    def close(self) -> None:
        del self.relays, self.contacts, self._samples, self._armed_ms
        with contextlib.suppress(BufferError):  # one of its arrays is still in use; the process's end unmaps it
            self._memory.close()


def _lines_in(path: Path) -> int | None:
    """Returns the file's number of lines, or None if it is missing, foreign or cut short."""
    try:
        with path.open("rb") as file:
            raw = file.read(_HEADER.itemsize)
            size = file.seek(0, os.SEEK_END)
    except FileNotFoundError:
        return None
    if len(raw) < _HEADER.itemsize:
        return None
    header = np.frombuffer(raw, _HEADER, 1)[0]
    lines = int(header["lines"])
    fits = size == _SAMPLES_AT + lines * CAPACITY_MS * 8
    whole = header["magic"] == _MAGIC.rstrip(b"\0") and header["capacity_ms"] == CAPACITY_MS and fits
    return lines if whole and 1 <= lines <= MAX_LINES else None


def _make_absent(path: Path, lines: int) -> None:
    """Creates the file unless it exists: board or exchange may start first."""
    if not path.exists():
        fresh = _allocate(path, lines)
        with contextlib.suppress(FileExistsError):  # the other process was faster
            os.link(fresh, path)
        fresh.unlink()


def _allocate(path: Path, lines: int) -> Path:
    """Creates a zeroed file beside `path`, allocated completely: a full tmpfs fails here, not later by SIGBUS."""
    fresh = rundir.make(path.parent) / f".{path.name}.{os.getpid()}"
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o660)
    try:
        os.posix_fallocate(fd, 0, _SAMPLES_AT + lines * CAPACITY_MS * 8)
        os.pwrite(fd, np.array([(_MAGIC, lines, CAPACITY_MS)], _HEADER).tobytes(), 0)
    finally:
        os.close(fd)
    return fresh
