# SPDX-License-Identifier: Apache-2.0
"""Bech32 (BIP 173) as age uses it: no limit of 90 characters, the checksum constant 1."""

from __future__ import annotations

from functools import reduce
from operator import xor

from linetap_core.errors import BadInput

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# What each of the five bits that leave the checksum brings back, for all 32 of them together.
_REDUCED = tuple(
    reduce(xor, (generator for bit, generator in enumerate(_GENERATOR) if top >> bit & 1), 0) for top in range(32)
)
_CHECKSUM_CHARACTERS = 6


class Bech32Error(BadInput):
    """Not Bech32: the message names the rule and the place."""

    code = "bad_bech32"


def encode(prefix: str, data: bytes) -> str:
    """`prefix` 1 `data` and checksum, in lower case."""
    return prefix + "1" + "".join(_ALPHABET[v] for v in _symbols(prefix, data))


def encode_secret_line(prefix: str, data: bytearray) -> bytearray:
    """The same in upper case, as a line. The secret is only in these two buffers, which the caller wipes."""
    head = f"{prefix}1".upper().encode("ascii")
    symbols = _symbols(prefix, data)
    text = bytearray(len(head) + len(symbols) + 1)
    text[: len(head)] = head
    for place, symbol in enumerate(symbols, len(head)):
        text[place] = ord(_ALPHABET[symbol].upper())
    text[-1:] = b"\n"
    return text


def _symbols(prefix: str, data: bytes | bytearray) -> list[int]:
    values = _regroup(data, 8, 5, pad=True)
    check = _polymod([*_expand(prefix), *values, *([0] * _CHECKSUM_CHARACTERS)]) ^ 1
    return values + [(check >> 5 * (5 - i)) & 31 for i in range(_CHECKSUM_CHARACTERS)]


def decode(text: str) -> tuple[str, bytes]:
    """The prefix in lower case and the bytes. The secret itself is never quoted in an error."""
    if text != text.lower() and text != text.upper():
        raise Bech32Error("upper and lower case are mixed")
    prefix, separator, tail = text.lower().rpartition("1")
    if not separator or not prefix:
        raise Bech32Error("there is no '1' between a prefix and the data")
    if len(tail) < _CHECKSUM_CHARACTERS:
        raise Bech32Error("too short to hold a checksum")
    for offset, character in enumerate(tail):
        if character not in _ALPHABET:
            raise Bech32Error(f"character {len(prefix) + 2 + offset} cannot occur in Bech32")
    values = [_ALPHABET.index(character) for character in tail]
    if _polymod([*_expand(prefix), *values]) != 1:
        raise Bech32Error("the checksum does not fit: a character is mistyped or missing")
    return prefix, bytes(_regroup(values[:-_CHECKSUM_CHARACTERS], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        check = (check & 0x1FFFFFF) << 5 ^ value ^ _REDUCED[check >> 25]
    return check


def _regroup(data: bytes | bytearray | list[int], from_bits: int, to_bits: int, *, pad: bool) -> list[int]:
    """Groups of `from_bits` bits into groups of `to_bits`; without `pad` the rest must be zeros, less than a group."""
    accumulator = bits = 0
    out: list[int] = []
    for value in data:
        accumulator = (accumulator << from_bits) | value
        bits += from_bits
        while bits >= to_bits:
            bits -= to_bits
            out.append((accumulator >> bits) & ((1 << to_bits) - 1))
        accumulator &= (1 << bits) - 1
    if pad and bits:
        out.append((accumulator << (to_bits - bits)) & ((1 << to_bits) - 1))
    elif not pad and (bits >= from_bits or accumulator):
        raise Bech32Error("the padding at the end is not zero")
    return out
