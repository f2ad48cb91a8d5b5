# SPDX-License-Identifier: Apache-2.0
"""Bytes of a serial port into lines, however they come: in pieces, without an end, or as noise."""

from __future__ import annotations

MOST_BYTES = 512  # the longest layout has some 130; more is no line
_ENDS = bytes.maketrans(b"\r\x0c", b"\n\n")  # PBXs end with CR LF, CR or LF, and begin a page with FF
_SILENT = bytes([0, 0x11, 0x13, 0x7F])  # fill characters and flow control of old printers


class Assembler:
    """Holds at most MOST_BYTES. `bad` counts lines that were too long, cut off, or not text."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._overlong = False
        self.bad = 0

    def feed(self, data: bytes) -> list[str]:
        """The lines that are whole now, without blank ones."""
        lines = []
        *ended, rest = data.translate(_ENDS, _SILENT).split(b"\n")
        for piece in ended:
            self._take(piece)
            if (line := self._end()) is not None:
                lines.append(line)
        self._take(rest)
        return lines

    def cut(self) -> None:
        """The port is gone: what it had begun to say is no line."""
        if self._held.strip() or self._overlong:
            self.bad += 1
        self._held.clear()
        self._overlong = False

    def _take(self, piece: bytes) -> None:
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
