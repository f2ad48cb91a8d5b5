# SPDX-License-Identifier: Apache-2.0
"""Reads lines from the PBX's serial port in a thread, which reopens the port after any fault.

Lines are assembled from bytes in pieces, without an end, or in noise. Their content is personal data and never logged;
the log reports only on the port.
"""

from __future__ import annotations

import logging
import termios
import threading
from collections import deque

import serial

from linetap_core.clock import Clock

MOST_BYTES = 512  # the longest layout has about 130; more bytes are no line
_ENDS = bytes.maketrans(b"\r\x0c", b"\n\n")  # PBXs end with CR LF, CR or LF, and begin a page with FF
_SILENT = bytes([0, 0x11, 0x13, 0x7F])  # fill characters and flow control of old printers
READ_S = 0.25
READ_BYTES = 4096
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0  # short after a restart of the PBX, long enough for a short log
MOST_WAITING = 1000  # lines not fetched yet: 9600 baud are 12 a second
log = logging.getLogger("linetap.recorder.smdr")


class Assembler:
    """Assembles lines, with at most MOST_BYTES in memory. `bad`: lines that were too long, cut off, or not text."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._overlong = False
        self.bad = 0

    def feed(self, data: bytes) -> list[str]:
        """Adds bytes; returns the complete lines without blank ones."""
        lines = []
        *ended, rest = data.translate(_ENDS, _SILENT).split(b"\n")
        for piece in ended:
            self._append(piece)
            if (line := self._end()) is not None:
                lines.append(line)
        self._append(rest)
        return lines

    def cut(self) -> None:
        """Discards an incomplete line: the port is gone."""
        if self._held.strip() or self._overlong:
            self.bad += 1
        self._held.clear()
        self._overlong = False

    def _append(self, piece: bytes) -> None:
        if len(self._held) + len(piece) > MOST_BYTES:
            self._overlong = True
        if self._overlong:
            self._held.clear()
        else:
            self._held += piece

    def _end(self) -> str | None:
        raw, overlong = bytes(self._held), self._overlong
        self._held.clear()
        self._overlong = False
        if overlong or not raw.isascii() or not raw.decode("ascii").replace("\t", " ").isprintable():
            self.bad += 1
            return None
        return raw.decode("ascii").rstrip() if raw.strip() else None


class SmdrPort:
    """The port and its thread. `connected` and `bad` may be read at any time."""

    def __init__(self, path: str, baud: int, clock: Clock, first_wait_s: float = FIRST_WAIT_S) -> None:
        self._path, self._baud, self._clock = path, baud, clock
        self._first_wait_s = first_wait_s
        self._lines: deque[tuple[int, str]] = deque()
        self._stopping = threading.Event()
        self._assembler = Assembler()
        self._dropped = 0
        self.connected = False
        self._thread = threading.Thread(target=self._run, name="smdr", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience_s: float = 2.0) -> None:
        self._stopping.set()
        self._thread.join(patience_s)

    def take_lines(self) -> list[tuple[int, str]]:
        """The lines since the last call, oldest first: (UTC ns of the arrival, raw line)."""
        taken = []
        while self._lines:
            taken.append(self._lines.popleft())
        return taken

    @property
    def bad(self) -> int:
        """Lines that were no text, incomplete, or dropped."""
        return self._assembler.bad + self._dropped

    def _run(self) -> None:
        wait_s = self._first_wait_s
        while not self._stopping.is_set():
            try:
                with serial.Serial(self._path, self._baud, timeout=READ_S, exclusive=True) as port:
                    log.info("%s is open at %d baud", self._path, self._baud)
                    self.connected = True
                    wait_s = self._first_wait_s
                    self._read(port)
            except (
                OSError,
                ValueError,
                TypeError,
                termios.error,
            ) as error:  # pyserial raises any of these when the port is unplugged
                if self.connected or wait_s == self._first_wait_s:
                    log.error("smdr_port: %s: %s; retrying", self._path, getattr(error, "strerror", None)
                              or error)  # fmt: skip
            self.connected = False
            self._assembler.cut()
            if self._stopping.wait(wait_s):
                return
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _read(self, port: serial.Serial) -> None:
        while not self._stopping.is_set():
            data = port.read(min(max(port.in_waiting, 1), READ_BYTES))
            for line in self._assembler.feed(data):
                if len(self._lines) >= MOST_WAITING:
                    self._lines.popleft()
                    self._dropped += 1
                self._lines.append((self._clock.utc_ns(), line))
