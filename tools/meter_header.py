#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes hardware/meter/protocol.h, the meter's side of the protocol, from the same table as linetap's side.

Run it as `.venv/bin/python tools/meter_header.py` when board/meter/protocol.py changes; a test holds them together.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from linetap.board.meter import protocol
from linetap.board.meter.protocol import EDGES, FRAMES, LEDS, Frame

HEADER = Path(__file__).resolve().parent.parent / "hardware" / "meter" / "protocol.h"
GUARD = "LINETAP_METER_PROTOCOL_H"
CONSTANTS = (
    "VERSION", "BAUD", "END", "ESC", "ESC_END", "ESC_ESC", "MOST_CHANNELS", "SAMPLE_US", "SAMPLES_A_FRAME",
    "MOST_SAMPLES", "HELLO_EVERY_MS", "STATUS_EVERY_MS", "BEAT_EVERY_MS", "RELAY_EXPIRY_MS", "TAMPER", "POWER_FAIL",
    "MOST_BODY",
)  # fmt: skip


def header() -> str:
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* Written by tools/meter_header.py from linetap/board/meter/protocol.py; see ../meter-protocol.md. */",
        f"#ifndef {GUARD}",
        f"#define {GUARD}",
        "",
        *(f"#define METER_{name} {getattr(protocol, name)}u" for name in CONSTANTS),
        f"#define METER_HEADER_BYTES {protocol.HEADER.size}u",
        f"#define METER_CRC_BYTES {protocol.CRC.size}u",
        "",
        *(f"#define METER_LED_{name.upper()} {i}u" for i, name in enumerate(LEDS)),
        *(f"#define METER_EDGE_{name.upper()} {i}u" for i, name in enumerate(EDGES)),
    ]
    for frame in FRAMES:
        lines += [
            "",
            f"/* {frame.name}, from {frame.sender}: {frame.fields}" + (f"; {frame.each}" if frame.each else "") + " */",
        ]
        lines += [f"#define METER_{frame.name.upper()} 0x{frame.code:02x}u"]
        lines += [f"#define METER_{frame.name.upper()}_BYTES {frame.size}u"]
        lines += [f"#define METER_{frame.name.upper()}_OFFSET_{name} {at}u" for name, at in offsets(frame)]
    return "\n".join([*lines, "", "#endif", ""])


def offsets(frame: Frame) -> list[tuple[str, int]]:
    """Where each field of the payload begins, in bytes; named after the first word of what the document calls it."""
    words = re.sub(r"\([^)]*\)", "", frame.fields.partition(":")[0])
    names = [re.sub(r"\W.*", "", name.strip()).upper() for name in words.split(",")]
    kinds = frame.layout.lstrip("<")
    ends = [struct.calcsize("<" + kinds[: i + 1]) for i in range(len(kinds))]
    starts = [0, *ends[:-1]]
    if len(names) != len(kinds):
        raise ValueError(f"{frame.name}: {len(kinds)} fields in its layout, {len(names)} in words")
    return list(zip(names, starts, strict=True))


def main() -> None:
    HEADER.write_text(header())


if __name__ == "__main__":
    main()
