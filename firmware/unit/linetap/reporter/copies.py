# SPDX-License-Identifier: Apache-2.0
"""Ciphertext of sealed calls to the desk: windows that the recorder has permitted, a block at a time.

On a slow line an event waits for at most this one block: the next is sent when the broker has acknowledged it, behind
everything else queued by then, and blocks get smaller if one takes long.
"""

from __future__ import annotations

import logging
import os
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from linetap_core import jsontext
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.authorization.command import Answer, CommandFault
from linetap_core.evidence.authorization.fetch import BLOCK_BYTES, Window
from linetap_core.evidence.calls import sealed
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import Topics

MOST_WINDOWS = 4
LEAST_BYTES = 8 << 10
SLOW_MS = 250  # a block that takes longer makes the next one smaller
QUICK_MS = 125

log = logging.getLogger("linetap.reporter.copies")


@dataclass(slots=True)
class _Sending:
    """`name` and `offset`: where to continue; `left` of the window."""

    call_id: str
    correlation: bytes | None
    name: str
    offset: int
    left: int


class Copies:
    def __init__(self, vault: Path, topics: Topics, clock: Clock) -> None:
        self._vault, self._topics, self._clock = vault, topics, clock
        self._windows: deque[_Sending] = deque()
        self._flying: tuple[int, int] | None = None  # token, when sent
        self._block_bytes = BLOCK_BYTES

    def answered(self, payload: bytes, correlation: bytes | None) -> None:
        """Take the recorder's answer to any command; it may contain a permitted window."""
        try:
            granted = jsontext.decode(payload, type=Answer).granted
            wanted = None if granted is None else fetch.asked(granted)
        except (ValueError, CommandFault) as error:
            log.warning("answer_unread: %s", error)
            return
        if not isinstance(wanted, Window):
            return
        # A desk requests one window of a call at a time: a new one replaces it.
        self._windows = deque(each for each in self._windows if each.call_id != wanted.call_id)
        if len(self._windows) >= MOST_WINDOWS:
            log.warning("fetch_passed_over: %d windows wait already", MOST_WINDOWS)
            return
        self._windows.append(_Sending(wanted.call_id, correlation, wanted.file, wanted.first, wanted.most))

    def send(self, publish: Callable[[Message], int]) -> None:
        """Send the next block, once the broker has acknowledged the previous one."""
        while self._flying is None and self._windows:
            window = self._windows[0]
            try:
                message = self._next(window)
            except OSError as error:  # destroyed or damaged: the recorder answers the desk's next request
                log.warning("fetch_ended: %s: %s: %s", window.call_id, window.name, error.strerror)
                message = None
            if message is None or not window.left:
                self._windows.popleft()
            if message is not None:
                self._flying = publish(message), self._clock.monotonic_ns()

    def acknowledged(self, token: int) -> None:
        """Called for every message. The desk detects a block that the broker refused, and requests it again."""
        if self._flying is None or self._flying[0] != token:
            return
        took_ns = self._clock.monotonic_ns() - self._flying[1]
        self._flying = None
        if took_ns > SLOW_MS * NS_PER_MS:
            self._block_bytes = max(LEAST_BYTES, self._block_bytes // 2)
        elif took_ns < QUICK_MS * NS_PER_MS:
            self._block_bytes = min(BLOCK_BYTES, self._block_bytes * 2)

    def lost_connection(self) -> None:
        """Nothing resumes by itself: the desk requests the missing blocks."""
        self._windows.clear()
        self._flying = None

    def _next(self, window: _Sending) -> Message | None:
        """Returns the window's next block, or None at the end of the call."""
        folder = self._vault / sealed.call_path(window.call_id)
        while True:
            data, total = _read(folder / window.name, window.offset, min(self._block_bytes, window.left))
            if data:
                break
            names = fetch.ordered(os.listdir(folder))
            following = names[names.index(window.name) + 1 :] if window.name in names else []
            if not following:
                return None
            window.name, window.offset = following[0], 0
        header = (
            ("call", window.call_id), ("file", window.name), ("offset", str(window.offset)), ("total", str(total))
        )  # fmt: skip
        window.offset += len(data)
        window.left -= len(data)
        return self._topics.block(data, window.correlation, header)


def _read(path: Path, offset: int, most: int) -> tuple[bytes, int]:
    """Returns the bytes and the size of the file. OSError if it is no regular file."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "not a regular file", str(path))
        return os.pread(fd, most, offset), found.st_size
    finally:
        os.close(fd)
