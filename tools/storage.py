#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the tables of docs/storage.md: how much disk a unit needs, from the constants of the code.

`.venv/bin/python tools/storage.py --write` puts them into the document, and a test holds the two together.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap.config.schema import RetentionPolicy, Storage
from linetap.recorder.vault.retention import destruction
from linetap.ring import RATE_HZ
from linetap_core.codecs.codec import Codec
from linetap_core.codecs.registry import CODECS, MULAW
from linetap_core.evidence.merklelog.leaflog import LEAF_LIMIT_BYTES
from linetap_core.evidence.merklelog.merkle import HASH_BYTES
from linetap_core.evidence.sealing import age
from linetap_core.vaultformat.outboxfiles import SEGMENT_BYTES

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "storage.md"
BEGIN, END = "<!-- tools/storage.py begins -->", "<!-- tools/storage.py ends -->"
BLOCK_BYTES = 4096  # of ext4
SMALL_FILES = 5  # of a call besides its audio: key.age, meta.age, record.json, its signature, the folder
CALL_S = 180  # a call of average length
LEAVES_A_CALL, LEAF_BYTES = 4, 250  # open, close, destruction, and now and then a gap or a failure
EVENTS_A_CALL, EVENT_BYTES = 8, 760  # in the outbox; an ordinary call has five, and is copied and destroyed later
STAFF, STAFF_CALLS, STAFF_DAYS = 1200, 14, 250  # 42 minutes of a working day
BUSY_CALLS = 150  # of a line a day: one in 4 minutes for 10 hours
DEFAULT_DAYS = RetentionPolicy().classes[0].days
LINES, HOURS, PERIODS = (8, 16, 24, 32), (1, 2, 4, 8), (30, DEFAULT_DAYS, 180, 365)
GB = 10**9


def call_bytes(seconds: float, codec: Codec = MULAW) -> int:
    """The bytes on the disk of a call of so many seconds in one part."""
    coded = codec.offset(round(seconds * RATE_HZ)) - codec.offset(0)
    chunks = -(-coded // age.CHUNK_BYTES)
    audio = coded + chunks * (age.SEALED_CHUNK_BYTES - age.CHUNK_BYTES)
    return -(-audio // BLOCK_BYTES) * BLOCK_BYTES + SMALL_FILES * BLOCK_BYTES


def day_bytes(lines: int, hours: float) -> int:
    """The bytes of a day's calls of a unit with this many hours of talk a line."""
    return round(lines * hours * 3600 / CALL_S * call_bytes(CALL_S))


def disk_bytes(lines: int, hours: float, days: int) -> int:
    """The disk that a unit needs: the calls of the period and of the present day, reserve, outbox, log of ten years."""
    calls_a_day = lines * hours * 3600 / CALL_S
    leaves = calls_a_day * 3652 * LEAVES_A_CALL
    fixed = ((Storage().reserve_mb + Storage().outbox_mb) << 20) + destruction.BALLAST_BYTES
    return day_bytes(lines, hours) * (days + 1) + fixed + round(leaves * (LEAF_BYTES + 2 * HASH_BYTES))


def outbox_days(lines: int, calls_a_day: int) -> float:
    """The longest absence of the desk before the oldest events are dropped, in whole segments."""
    return ((Storage().outbox_mb << 20) - SEGMENT_BYTES[1]) / (lines * calls_a_day * EVENTS_A_CALL * EVENT_BYTES)


def tables() -> str:
    assert LEAF_BYTES < LEAF_LIMIT_BYTES
    text = [
        f"A minute of a call takes {call_bytes(60) / 1e6:.2f} MB, one of {CALL_S} s {call_bytes(CALL_S) / 1e6:.2f} MB.",
        f"{Storage().outbox_mb} MiB of outbox hold {outbox_days(32, BUSY_CALLS):.0f} days of 32 lines, each with",
        f"{BUSY_CALLS} calls a day of {EVENTS_A_CALL} events of {EVENT_BYTES} bytes.",
        "",
        f"{STAFF:,} staff, each with {STAFF_CALLS} recorded calls of {CALL_S} s on {STAFF_DAYS} days:",
        "",
        *_codecs(),
        "",
        "GB a day, in mu-law:",
        "",
        *_table(lambda lines, hours: day_bytes(lines, hours)),
    ]
    for days in PERIODS:
        text += ["", f"GB of disk for {days} days of retention:", ""]
        text += _table(lambda lines, hours, days=days: disk_bytes(lines, hours, days))
    return "\n".join(text) + "\n"


def _codecs() -> list[str]:
    rows = [f"| `recording.codec` | MB a minute | MB a call of {CALL_S} s | TB a year |", "|---|---:|---:|---:|"]
    for name, codec in CODECS.items():
        minute, call = (call_bytes(seconds, codec) for seconds in (60, CALL_S))
        year = STAFF * STAFF_CALLS * STAFF_DAYS * call
        rows.append(f"| `{name}` | {minute / 1e6:.2f} | {call / 1e6:.2f} | {year / 1e12:.1f} |")
    return rows


def _table(size: object) -> list[str]:
    assert callable(size)
    head = "| lines | " + " | ".join(f"{hours} h" for hours in HOURS) + " |"
    rows = [head, "|---:|" + "---:|" * len(HOURS)]
    for lines in LINES:
        cells = (f"{size(lines, hours) / GB:.1f}" for hours in HOURS)
        rows.append(f"| {lines} | " + " | ".join(cells) + " |")
    return rows


def with_tables(document: str) -> str:
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/storage.md")
    if parser.parse_args().write:
        DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
    else:
        sys.stdout.write(tables())
    return 0


if __name__ == "__main__":
    sys.exit(main())
