# SPDX-License-Identifier: Apache-2.0
"""Sends ciphertext of calls and of the index to the desk: windows that the recorder has permitted, a block at a time.

On a slow line an event waits for at most one block: the next block is sent once the broker has acknowledged the
previous one, after all messages queued by then. A slow block makes the next block smaller.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from linetap_core import jsontext, plainfile
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.authorization.command import Answer, CommandFault
from linetap_core.evidence.authorization.fetch import BLOCK_BYTES, IndexWindow, Window
from linetap_core.evidence.calls import sealed
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import Topics

MOST_WINDOWS = 4
LEAST_BYTES = 8 << 10
SLOW_MS = 250  # a block that takes longer makes the next one smaller
QUICK_MS = 125
INDEX = "index"  # the index's folder in the vault; no call has this name

log = logging.getLogger("linetap.reporter.copies")


@dataclass(slots=True)
class _Sending:
    """A window. `of`: the call, or INDEX; `name` and `offset`: the next byte; `left`: remaining bytes of the window."""

    of: str
    correlation: bytes | None
    name: str
    offset: int
    left: int


class Copies:
    def __init__(self, vault: Path, index_list: Path, topics: Topics, clock: Clock) -> None:
        """`index_list`: the path of the recorder's signed list of the index."""
        self._vault, self._list, self._topics, self._clock = vault, index_list, topics, clock
        self._windows: deque[_Sending] = deque()
        self._flying: tuple[int, int] | None = None  # token, time of sending
        self._block_bytes = BLOCK_BYTES

    def answered(self, payload: bytes, correlation: bytes | None) -> None:
        """Reads the recorder's answer to a command, which may contain a permitted window."""
        try:
            granted = jsontext.decode(payload, type=Answer).granted
            wanted = None if granted is None else fetch.parse(granted)
        except (ValueError, CommandFault) as error:
            log.warning("answer_unread: %s", error)
            return
        if not isinstance(wanted, Window | IndexWindow):
            return
        of = wanted.call_id if isinstance(wanted, Window) else INDEX
        # A desk requests one window of a call, or of the index, at a time: a new window replaces the old one.
        self._windows = deque(each for each in self._windows if each.of != of)
        if len(self._windows) >= MOST_WINDOWS:
            log.warning("fetch_passed_over: %d windows wait already", MOST_WINDOWS)
            return
        self._windows.append(_Sending(of, correlation, wanted.file, wanted.first, wanted.most))

    def send(self, publish: Callable[[Message], int]) -> None:
        """Sends the next block, once the broker has acknowledged the previous one."""
        while self._flying is None and self._windows:
            window = self._windows[0]
            try:
                message = self._next(window)
            except OSError as error:  # destroyed or damaged: the recorder answers the desk's next request
                log.warning("fetch_ended: %s: %s: %s", window.of, window.name, error.strerror)
                message = None
            if message is None or not window.left:
                self._windows.popleft()
            if message is not None:
                self._flying = publish(message), self._clock.monotonic_ns()

    def acknowledged(self, token: int) -> None:
        """Handles an acknowledgement of any message. The desk requests a block again that the broker refused."""
        if self._flying is None or self._flying[0] != token:
            return
        took_ns = self._clock.monotonic_ns() - self._flying[1]
        self._flying = None
        if took_ns > SLOW_MS * NS_PER_MS:
            self._block_bytes = max(LEAST_BYTES, self._block_bytes // 2)
        elif took_ns < QUICK_MS * NS_PER_MS:
            self._block_bytes = min(BLOCK_BYTES, self._block_bytes * 2)

    def lost_connection(self) -> None:
        """Discards all windows: the desk requests the missing blocks again."""
        self._windows.clear()
        self._flying = None

    def _next(self, window: _Sending) -> Message | None:
        """Returns the window's next block, or None at the end of the call or the index."""
        while True:
            data, total = _read(self._path(window), window.offset, min(self._block_bytes, window.left))
            if data:
                break
            names = self._names(window)
            following = names[names.index(window.name) + 1 :] if window.name in names else []
            if not following:
                return None
            window.name, window.offset = following[0], 0
        named = (("index", window.name),) if window.of == INDEX else (("call", window.of), ("file", window.name))
        header = (*named, ("offset", str(window.offset)), ("total", str(total)))
        window.offset += len(data)
        window.left -= len(data)
        return self._topics.block(data, window.correlation, header)

    def _path(self, window: _Sending) -> Path:
        if window.of != INDEX:
            return self._vault / sealed.call_path(window.of) / window.name
        return self._list if window.name == fetch.LIST else self._vault / INDEX / window.name

    def _names(self, window: _Sending) -> list[str]:
        """The names of the files of a call or the index, in the order of sending."""
        if window.of != INDEX:
            return fetch.ordered(os.listdir(self._vault / sealed.call_path(window.of)))
        if window.name == fetch.LIST:
            return []
        return fetch.segments(
            f"{folder.name}/{name}"
            for folder in os.scandir(self._vault / INDEX) if folder.is_dir(follow_symlinks=False)
            for name in os.listdir(folder.path)
        )  # fmt: skip


def _read(path: Path, offset: int, most: int) -> tuple[bytes, int]:
    """Returns the bytes and the size of the file. OSError if it is no regular file."""
    with plainfile.opened(path) as file:
        return os.pread(file.fileno(), most, offset), os.fstat(file.fileno()).st_size
