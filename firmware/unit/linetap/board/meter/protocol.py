# SPDX-License-Identifier: Apache-2.0
"""The line meter's protocol: every constant of hardware/meter-protocol.md (a test compares them), and the framing.

Framing is SLIP's delimiter and escapes (RFC 1055) around type, sequence, payload and CRC-32. COBS was rejected: it
bounds the overhead, but its decoder is a loop in Python, while SLIP needs three calls that run in C; USB is fast enough
for the worst case of SLIP too. An END on both sides flushes noise before the frame.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

VERSION = 1
BAUD = 460_800  # ignored by USB; rate of the simulated meter
END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD  # RFC 1055
MOST_CHANNELS = 8
SAMPLE_US = 1000
SAMPLES_A_FRAME = 5  # as sent by the meter; 1 to 10 are accepted
MOST_SAMPLES = 10
HELLO_EVERY_MS = 1000
STATUS_EVERY_MS = 250
BEAT_EVERY_MS = 100
RELAY_EXPIRY_MS = 500
CONTACT_EXPIRY_MS = 300
CONTACT_MOST_MS = 3000
CONTACT_REST_MS = 3000
TAMPER, POWER_FAIL, CONVERTER_1, CONVERTER_2 = 0x01, 0x02, 0x04, 0x08
LEDS = ("dark", "idle", "ringing", "call", "recording", "fault", "asked", "green", "yellow", "red")
EDGES = ("hook", "ring", "pulse")

# A lamp is green or red, and yellow if both are lit. A rhythm has eight steps; 1 is lit.
LAMPS_EXPIRY_MS = 1000  # after this time without a beat linetap counts as dead, and its line states as stale
LAMP_STEP_MS = 125
LAMP_GREEN, LAMP_RED = 0x01, 0x02
_STEADY, _SLOW, _FAST, _WINK = "11111111", "11110000", "10101010", "10000000"
LAMPS: dict[str, tuple[str, str]] = {
    "dark": ("none", "00000000"),
    "idle": ("green", _WINK),
    "ringing": ("green", _FAST),
    "call": ("yellow", _STEADY),
    "recording": ("green", _STEADY),
    "fault": ("red", _FAST),
    "asked": ("yellow", _FAST),
    "green": ("green", _SLOW),
    "yellow": ("yellow", _SLOW),
    "red": ("red", _SLOW),
}
COLOURS = {"none": 0, "green": LAMP_GREEN, "red": LAMP_RED, "yellow": LAMP_GREEN | LAMP_RED}

HEADER = struct.Struct("<BH")  # type, sequence
CRC = struct.Struct("<I")  # CRC-32 (IEEE 802.3) of header and payload


Sender = Literal["meter", "linetap"]


@dataclass(frozen=True, slots=True)
class Frame:
    """A kind of frame. `layout`: in the notation of Python's struct, little-endian; followed by the items of `each`."""

    name: str
    code: int
    sender: Sender
    layout: str
    fields: str
    each: str
    head: struct.Struct

    @property
    def size(self) -> int:
        """The number of bytes of the payload's fixed part."""
        return self.head.size


def _frame(name: str, code: int, sender: Sender, layout: str, fields: str, each: str = "") -> Frame:
    return Frame(name, code, sender, layout, fields, each, struct.Struct(layout))


HELLO = _frame(
    "hello", 0x01, "meter", "<BBHIBBB", "version, channels, sample_us, boot (random), firmware major, minor, patch"
)
SAMPLES = _frame(
    "samples", 0x02, "meter", "<QBB", "at_us of the first, samples, channels",
    "a sample, and in it a channel: int16 0.01 V",
)  # fmt: skip
EDGE = _frame("edge", 0x03, "meter", "<QBBB", "at_us, channel from 0, edge (0 hook, 1 ring, 2 pulse), level")
STATUS = _frame("status", 0x04, "meter", "<B", "flags (1 tamper, 2 power failing, 4 and 8 converters)")
BEATEN = _frame("beaten", 0x05, "meter", "<QQ", "stamp of the beat, at_us when it came")
OPENED = _frame("opened", 0x06, "meter", "<I", "mask of the open series contacts")
BEAT = _frame("beat", 0x81, "linetap", "<Q", "stamp: CLOCK_MONOTONIC when it was sent, ns")
LIGHTS = _frame(
    "lights", 0x82, "linetap", "<B", "channels",
    "a channel: uint8 (0 dark, 1 idle, 2 ringing, 3 call, 4 recording, 5 fault, 6 asked, 7 green, 8 yellow, 9 red)",
)  # fmt: skip
LIMITS = _frame(
    "limits", 0x83, "linetap", "<B", "channels",
    "a channel: uint16 off-hook below, uint16 on-hook above; then again a channel: uint16 fall, uint16 no line below;"
    " 0.01 V",
)  # fmt: skip
RELAYS = _frame("relays", 0x84, "linetap", "<IH", "mask of the closed ones, expiry_ms: open when it is over")
CONTACTS = _frame("contacts", 0x85, "linetap", "<IH", "mask of the open ones, expiry_ms: closed when it is over")

FRAMES = (HELLO, SAMPLES, EDGE, STATUS, BEATEN, OPENED, BEAT, LIGHTS, LIMITS, RELAYS, CONTACTS)
MOST_BODY = HEADER.size + SAMPLES.size + 2 * MOST_SAMPLES * MOST_CHANNELS + CRC.size  # the longest frame


def bytes_of(samples: int, channels: int, escaped: bool = False) -> int:
    """The length of a `samples` frame on the wire; `escaped`: the worst case, in which every byte is escaped."""
    body = HEADER.size + SAMPLES.size + 2 * samples * channels + CRC.size
    return 2 + body * (2 if escaped else 1)


# --- Framing ----------------------------------------------------------------------------------------------------------


_END_BYTE, _ESC_BYTE = bytes([END]), bytes([ESC])
_ESCAPED_END, _ESCAPED_ESC = bytes([ESC, ESC_END]), bytes([ESC, ESC_ESC])
_SHORTEST = HEADER.size + CRC.size
_RESIDUE = 0x2144DF1C  # CRC-32 of any bytes followed by their own CRC-32


def encode(frame: Frame, sequence: int, *fields: int, each: bytes = b"") -> bytes:
    """Returns a frame in its form on the wire."""
    body = HEADER.pack(frame.code, sequence & 0xFFFF) + frame.head.pack(*fields) + each
    body += CRC.pack(zlib.crc32(body))
    return _END_BYTE + body.replace(_ESC_BYTE, _ESCAPED_ESC).replace(_END_BYTE, _ESCAPED_END) + _END_BYTE


class Deframer:
    """Turns bytes in pieces of any size into whole frames. Buffers at most the longest frame. `noise`: number of
    invalid pieces.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.noise = 0

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Returns (type, sequence, payload) of each frame that `data` completes."""
        *parts, rest = (self._rest + data).split(_END_BYTE)
        if len(rest) > 2 * MOST_BODY:  # too long for a frame; the next frame must begin with an END
            self.noise += 1
            rest = rest[:1]
        self._rest = rest
        found = []
        for part in parts:
            if not part:
                continue
            body = part.replace(_ESCAPED_END, _END_BYTE).replace(_ESCAPED_ESC, _ESC_BYTE) if _ESC_BYTE in part else part
            if _SHORTEST <= len(body) <= MOST_BODY and zlib.crc32(body) == _RESIDUE:
                found.append((*HEADER.unpack_from(body), body[HEADER.size : -CRC.size]))
            else:
                self.noise += 1
        return found

    def forget(self) -> None:
        """Discards partial data: another port was opened."""
        self._rest = b""
