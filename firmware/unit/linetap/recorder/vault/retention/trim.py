# SPDX-License-Identifier: Apache-2.0
"""FITRIM: tells the disk which blocks are free, so that flash may erase destroyed calls. Best effort.

An unlinked file is still on the medium. Overwriting its key.age helps where a disk writes in place; a trim lets flash
erase it at some time; only the destruction of the epoch's key makes every remnant unreadable. FITRIM needs
CAP_SYS_ADMIN, which the recorder does not have everywhere, and a file system that supports it: a refusal is logged
once, and systemd's fstrim.timer or the mount option `discard` does the same.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import struct
from pathlib import Path

from linetap_core.clock import NS_PER_DAY

FITRIM = 0xC0185879  # linux/fs.h: _IOWR('X', 121, struct fstrim_range)
PIECE_BYTES = 256 << 20  # per call: the vault's thread must not be busy for long
EVERY_NS = NS_PER_DAY

log = logging.getLogger("linetap.recorder.vault")


class Trim:
    def __init__(self, vault: Path) -> None:
        self._vault = vault
        self._wanted = False
        self._at: int | None = None
        self._next_ns = 0
        self._refused = False

    def want(self) -> None:
        """Something was destroyed."""
        self._wanted = True

    def tick(self, mono_ns: int, size: int) -> None:
        """Trims one piece of the file system of `size` bytes, once a day from end to end; not while a call is being
        written.
        """
        if self._refused:
            return
        if self._at is None:
            if not self._wanted or mono_ns < self._next_ns:
                return
            self._wanted, self._at, self._next_ns = False, 0, mono_ns + EVERY_NS
        try:
            _fitrim(self._vault, self._at, PIECE_BYTES)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._at:  # EINVAL: behind the end
                self._refused = True
                log.info("trim: %s: %s; fstrim.timer may do it", self._vault, error.strerror)
            self._at = None
            return
        self._at += PIECE_BYTES
        if self._at >= size:
            self._at = None


def _fitrim(folder: Path, start: int, length: int) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, FITRIM, struct.pack("QQQ", start, length, 0))
    finally:
        os.close(fd)
