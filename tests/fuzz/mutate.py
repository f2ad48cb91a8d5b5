# SPDX-License-Identifier: Apache-2.0
"""Mutated bytes: a file as damaged by a medium, by a transfer or by an attacker."""

from __future__ import annotations

import random

WORDS = (
    b"\xff", b"\xfe\xff", b"\xed\xa0\x80", b"\x00", b"\r", b"\n", b"\x0b", b"\xc2\x85", b"\xe2\x80\xa8", b'"', b"\\",
    b"\\ud800",
    b"[" * 2000, b"{" * 50, b"1e999", b"-1e999", b"NaN", b"Infinity", b"-1", b"0", b"9" * 30, b"9" * 5000, b"1.5",
    b"null", b"true", b"{}", b"[]", b'""', b"../", b"/dev/zero", b"\xf0\x9f\x98\x80", b"9999-12-31T23:59:59.999Z",
    b"0000-00-00T00:00:00Z", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"=", b"a" * 3000,
)  # fmt: skip


def mutated(seeds: list[bytes], chosen: random.Random, most_bytes: int = 1 << 20) -> bytes:
    """A seed with one to four changes."""
    data = bytearray(chosen.choice(seeds))
    for _ in range(chosen.choice((1, 1, 1, 2, 3, 4))):
        _change(data, seeds, chosen)
    return bytes(data[:most_bytes])


def _change(data: bytearray, seeds: list[bytes], chosen: random.Random) -> None:
    at = chosen.randrange(len(data) + 1)
    end = min(len(data), at + chosen.choice((1, 1, 2, 4, 8, 64, 4096)))
    match chosen.randrange(9):
        case 0 | 1 if data:
            data[min(at, len(data) - 1)] ^= 1 << chosen.randrange(8)
        case 2:
            data[at:end] = chosen.randbytes(end - at)
        case 3:
            del data[at:end]
        case 4:
            data[at:at] = data[at:end]
        case 5:
            data[at:at] = chosen.choice(WORDS)
        case 6:
            word = chosen.choice(WORDS)
            data[at : at + len(word)] = word
        case 7:
            del data[at:]
        case _:
            other = chosen.choice(seeds)
            first = chosen.randrange(len(other) + 1)
            data[at:] = other[first:]
