#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes hardware/meter/protocol.h, the meter's side of the protocol, from the same table as linetap's side.

Run it as `.venv/bin/python tools/meter_header.py` when board/meter/protocol.py changes; a test compares the two.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from linetap.board.meter import protocol
from linetap.board.meter.decide import FALL_MS, STEADY_MS
from linetap.board.meter.protocol import COLOURS, EDGES, FRAMES, LAMPS, LEDS, Frame
from linetap.config.profile import KR_PSTN, MeterNumbers

HEADER = Path(__file__).resolve().parent.parent / "hardware" / "meter" / "protocol.h"
GUARD = "LINETAP_METER_PROTOCOL_H"
CONSTANTS = (
    "VERSION", "BAUD", "END", "ESC", "ESC_END", "ESC_ESC", "MOST_CHANNELS", "SAMPLE_US", "SAMPLES_A_FRAME",
    "MOST_SAMPLES", "HELLO_EVERY_MS", "STATUS_EVERY_MS", "BEAT_EVERY_MS", "RELAY_EXPIRY_MS", "CONTACT_EXPIRY_MS",
    "CONTACT_MOST_MS", "CONTACT_REST_MS", "TAMPER", "POWER_FAIL", "CONVERTER_1", "CONVERTER_2",
    "MOST_BODY", "LAMPS_EXPIRY_MS", "LAMP_STEP_MS", "LAMP_GREEN", "LAMP_RED",
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
        "/* What a voltage means, by the default profile (linetap/config/numbers.py); volts are in hundredths. */",
        *(f"#define METER_{name} {value}u" for name, value in line_numbers().items()),
        "",
        *(f"#define METER_LED_{name.upper()} {i}u" for i, name in enumerate(LEDS)),
        *(f"#define METER_EDGE_{name.upper()} {i}u" for i, name in enumerate(EDGES)),
        "",
        "/* By METER_LED_..., a rhythm's first step in bit 0. */",
        f"#define METER_LAMP_COLOURS {{{', '.join(str(COLOURS[LAMPS[led][0]]) for led in LEDS)}}}",
        f"#define METER_LAMP_RHYTHMS {{{', '.join(f'0x{int(LAMPS[led][1][::-1], 2):02x}' for led in LEDS)}}}",
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


def line_numbers() -> dict[str, int]:
    """The meter's limits before it receives `limits`: the profile's, in hundredths and thousandths."""
    numbers = MeterNumbers()
    return {
        "OFF_BELOW": round(numbers.off_below_v * 100),
        "ON_ABOVE": round(numbers.on_above_v * 100),
        "FALL": round(numbers.fall_v * 100),
        "NO_LINE": round(KR_PSTN.no_line_v * 100),
        "FALL_MS": FALL_MS,
        "STEADY_MS": STEADY_MS,
        "STEADY_PERMILLE": round(numbers.steady_share * 1000),
        "NO_LINE_MS": numbers.no_line_ms,
        "LIFT_MIN_MS": numbers.lift_min_ms,
        "MAKE_MIN_MS": numbers.make_min_ms,
        "BREAK_MAX_MS": numbers.break_max_ms,
        "OPEN_MIN_MS": numbers.open_min_ms,
        "RING_PEAK": round(numbers.ring_peak_v * 100),
        "RING_WINDOW_MS": numbers.ring_window_ms,
        "RING_SHARE_MS": numbers.ring_share_ms,
    }


def offsets(frame: Frame) -> list[tuple[str, int]]:
    """The first byte of each field of the payload, named after the first word of its text in the document."""
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
