# SPDX-License-Identifier: Apache-2.0
"""Bech32 (BIP 173) as age uses it: no limit of 90 characters, the checksum constant 1."""

from __future__ import annotations

from functools import reduce
from operator import xor

from linetap_core.errors import BadInput

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_AS_DIGITS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")  # the digits of int(..., 32)
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# For all 32 values of the five bits that leave the checksum: the terms that each adds back.
_REDUCED = tuple(
    reduce(xor, (generator for bit, generator in enumerate(_GENERATOR) if top >> bit & 1), 0) for top in range(32)
)
_CHECKSUM_CHARACTERS = 6


class Bech32Error(BadInput):
    """The text is not Bech32: the message names the rule and the place."""

    code = "bad_bech32"


def encode(prefix: str, data: bytes) -> str:
    """The Bech32 text: `prefix`, 1, `data` and checksum, in lower case."""
    return prefix + "1" + "".join(_ALPHABET[v] for v in _symbols(prefix, data))


def encode_secret_line(prefix: str, data: bytearray) -> bytearray:
    """The Bech32 text of a secret as an upper-case line. The caller wipes both buffers, which alone have the secret."""
    head = f"{prefix}1".upper().encode("ascii")
    symbols = _symbols(prefix, data)
    text = bytearray(len(head) + len(symbols) + 1)
    text[: len(head)] = head
    for place, symbol in enumerate(symbols, len(head)):
        text[place] = ord(_ALPHABET[symbol].upper())
    text[-1:] = b"\n"
    return text


def _symbols(prefix: str, data: bytes | bytearray) -> list[int]:
    values = _in_fives(data)
    check = _polymod([*_expand(prefix), *values, *([0] * _CHECKSUM_CHARACTERS)]) ^ 1
    return values + [(check >> 5 * (5 - i)) & 31 for i in range(_CHECKSUM_CHARACTERS)]


def decode(text: str) -> tuple[str, bytes]:
    """The prefix in lower case and the bytes. Errors never quote a secret."""
    if text != text.lower() and text != text.upper():
        raise Bech32Error("upper and lower case are mixed")
    prefix, separator, tail = text.lower().rpartition("1")
    if not separator or not prefix:
        raise Bech32Error("there is no '1' between a prefix and the data")
    if len(tail) < _CHECKSUM_CHARACTERS:
        raise Bech32Error("too short to hold a checksum")
    values = [_VALUE.get(character, -1) for character in tail]
    if -1 in values:
        raise Bech32Error(f"character {len(prefix) + 2 + values.index(-1)} cannot occur in Bech32")
    if _polymod([*_expand(prefix), *values]) != 1:
        raise Bech32Error("the checksum does not fit: a character is mistyped or missing")
    return prefix, _whole_bytes(tail[:-_CHECKSUM_CHARACTERS])


def _whole_bytes(symbols: str) -> bytes:
    """The bytes of a text of five bits a character, read as one number: a unit reads some thousand recipients at each
    start, and a loop over bits takes ten times as long.
    """
    number, bits = int(f"0{symbols.translate(_AS_DIGITS)}", 32), 5 * len(symbols)
    rest = bits % 8
    if rest >= 5 or number & ((1 << rest) - 1):
        raise Bech32Error("the padding at the end is not zero")
    return (number >> rest).to_bytes(bits // 8, "big")


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        check = (check & 0x1FFFFFF) << 5 ^ value ^ _REDUCED[check >> 25]
    return check


def _in_fives(data: bytes | bytearray) -> list[int]:
    """Groups of five bits, the last padded with zeros."""
    accumulator = bits = 0
    out: list[int] = []
    for value in data:
        accumulator = (accumulator << 8) | value
        bits += 8
        while bits >= 5:
            bits -= 5
            out.append((accumulator >> bits) & 31)
        accumulator &= (1 << bits) - 1
    if bits:
        out.append((accumulator << (5 - bits)) & 31)
    return out
