# SPDX-License-Identifier: Apache-2.0
"""Framing: SLIP's delimiter and escapes (RFC 1055) around type, sequence, payload and CRC-32.

COBS was rejected: it bounds the overhead, but its decoder is a loop in Python, and SLIP's is three calls that run in
C; the baud rate carries the worst case of SLIP too. An END on both sides flushes what noise left before the frame.
"""

from __future__ import annotations

import zlib

from linetap.board.meter.protocol import CRC, END, ESC, ESC_END, ESC_ESC, HEADER, MOST_BODY, Frame

_END, _ESC = bytes([END]), bytes([ESC])
_ESC_END, _ESC_ESC = bytes([ESC, ESC_END]), bytes([ESC, ESC_ESC])
_SHORTEST = HEADER.size + CRC.size
_RESIDUE = 0x2144DF1C  # CRC-32 of anything followed by its own CRC-32


def encode(frame: Frame, sequence: int, *fields: int, each: bytes = b"") -> bytes:
    """One frame for the wire."""
    body = HEADER.pack(frame.code, sequence & 0xFFFF) + frame.head.pack(*fields) + each
    body += CRC.pack(zlib.crc32(body))
    return _END + body.replace(_ESC, _ESC_ESC).replace(_END, _ESC_END) + _END


class Deframer:
    """Bytes in any pieces to whole frames. Holds no more than the longest frame; `noise` counts what was no frame."""

    def __init__(self) -> None:
        self._rest = b""
        self.noise = 0

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """(type, sequence, payload) of each frame that `data` ends."""
        *parts, rest = (self._rest + data).split(_END)
        if len(rest) > 2 * MOST_BODY:  # what is so long is no frame; what follows has to begin with an END
            self.noise += 1
            rest = rest[:1]
        self._rest = rest
        found = []
        for part in parts:
            if not part:
                continue
            body = part.replace(_ESC_END, _END).replace(_ESC_ESC, _ESC) if _ESC in part else part
            if _SHORTEST <= len(body) <= MOST_BODY and zlib.crc32(body) == _RESIDUE:
                found.append((*HEADER.unpack_from(body), body[HEADER.size : -CRC.size]))
            else:
                self.noise += 1
        return found

    def forget(self) -> None:
        """The port is another one now."""
        self._rest = b""
