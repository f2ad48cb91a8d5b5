# SPDX-License-Identifier: Apache-2.0
"""Every constant of the line meter's protocol. The tables of hardware/meter-protocol.md are these, and a test looks."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

VERSION = 1
BAUD = 460_800
END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD  # RFC 1055
MOST_CHANNELS = 8
SAMPLE_US = 1000
SAMPLES_A_FRAME = 5  # as the meter sends; 1 to 10 are taken
MOST_SAMPLES = 10
HELLO_EVERY_MS = 1000
STATUS_EVERY_MS = 250
BEAT_EVERY_MS = 100
RELAY_EXPIRY_MS = 500
TAMPER, POWER_FAIL = 0x01, 0x02
LEDS = ("dark", "idle", "ringing", "call", "recording", "fault", "asked", "green", "yellow", "red")
EDGES = ("hook", "ring", "pulse")

# A lamp is green or red, and yellow where both are lit; a rhythm has eight steps, 1 is lit.
LAMPS_EXPIRY_MS = 1000  # without a beat for so long linetap is dead, and what it said of the lines is stale
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
    """One kind of frame; `layout` as in Python's struct, little-endian; what `each` says follows it."""

    name: str
    code: int
    sender: Sender
    layout: str
    fields: str
    each: str
    head: struct.Struct

    @property
    def size(self) -> int:
        """Bytes of the fixed part of the payload."""
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
STATUS = _frame("status", 0x04, "meter", "<B", "flags (1 tamper, 2 power failing)")
BEATEN = _frame("beaten", 0x05, "meter", "<QQ", "stamp of the beat, at_us when it came")
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

FRAMES = (HELLO, SAMPLES, EDGE, STATUS, BEATEN, BEAT, LIGHTS, LIMITS, RELAYS)
MOST_BODY = HEADER.size + SAMPLES.size + 2 * MOST_SAMPLES * MOST_CHANNELS + CRC.size  # the longest of all


def bytes_of(samples: int, channels: int, escaped: bool = False) -> int:
    """Length of a `samples` frame on the wire; `escaped`: where every byte of it has to be."""
    body = HEADER.size + SAMPLES.size + 2 * samples * channels + CRC.size
    return 2 + body * (2 if escaped else 1)


def bits_per_second(channels: int, samples: int = SAMPLES_A_FRAME, escaped: bool = False) -> int:
    """What the samples alone take of the line: start bit, 8 bits, stop bit."""
    return bytes_of(samples, channels, escaped) * 10 * 1_000_000 // (SAMPLE_US * samples)
