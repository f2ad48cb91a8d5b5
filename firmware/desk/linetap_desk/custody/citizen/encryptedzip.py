# SPDX-License-Identifier: Apache-2.0
"""Writes a zip under a passphrase that 7-Zip, Bandizip, ALZip and libarchive open: AES-256 of WinZip's AE-2, members
stored.

It is written in one pass from blocks of known sizes. Format: PKWARE's APPNOTE.TXT 6.3, and WinZip's "AES
Encryption Information" of 2009. Its key derivation is weak (PBKDF2-HMAC-SHA1, 1,000 rounds), so the passphrase must be
generated, not chosen: `passphrase()` has 98 bits. Each member is authenticated by 80 bits of HMAC-SHA1. Names and sizes
are not encrypted, so names contain no information.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from linetap_core.errors import BadInput

ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # without similar characters
GROUPS, GROUP = 5, 4
_SALT_BYTES, _KEY_BYTES, _CHECK_BYTES, _TAG_BYTES, _BLOCK_BYTES = 16, 32, 2, 10, 16
_ROUNDS = 1000
_OVERHEAD_BYTES = _SALT_BYTES + _CHECK_BYTES + _TAG_BYTES
_LIMIT_BYTES = 0xFFFFFFFF - 1024 * 1024  # without ZIP64; the directory needs room too
_VERSION, _FLAGS, _METHOD = 51, 0x0801, 99  # AES; encrypted, names in UTF-8; the method is in the extra field
_EXTRA = struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 3, 0)  # AE-2, 256 bits, stored
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")


def passphrase() -> str:
    """A random passphrase of 20 characters, 98 bits: XXXX-XXXX-XXXX-XXXX-XXXX. The hyphens are part of it."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the zip: `size` bytes in `blocks`."""

    name: str
    size: int
    blocks: Iterable[bytes]


def write(file: BinaryIO, members: Sequence[Member], phrase: str, made: datetime) -> None:
    """Writes the zip. BadInput for more than a zip without ZIP64 can hold, or for a member of another size than
    stated."""
    if sum(one.size + _OVERHEAD_BYTES for one in members) > _LIMIT_BYTES:
        raise BadInput("longer than a file under a passphrase can be; release parts of it")
    directory, at = [], 0
    for one in members:
        name, stored, moment = one.name.encode(), one.size + _OVERHEAD_BYTES, _dos(made)
        # AE-2 has no CRC of the content, which would reveal information about it.
        common = (_VERSION, _FLAGS, _METHOD, *moment, 0, stored, one.size, len(name), len(_EXTRA))
        file.write(_LOCAL.pack(b"PK\3\4", *common) + name + _EXTRA)
        _encrypt(file, one, phrase)
        directory.append(_CENTRAL.pack(b"PK\1\2", _VERSION, *common, 0, 0, 0, 0, at) + name + _EXTRA)
        at += _LOCAL.size + len(name) + len(_EXTRA) + stored
    central = b"".join(directory)
    file.write(central + _END.pack(b"PK\5\6", 0, 0, len(members), len(members), len(central), at, 0))


def _encrypt(file: BinaryIO, member: Member, phrase: str) -> None:
    salt = os.urandom(_SALT_BYTES)
    made = hashlib.pbkdf2_hmac("sha1", phrase.encode(), salt, _ROUNDS, 2 * _KEY_BYTES + _CHECK_BYTES)
    key, tag_key, check = made[:_KEY_BYTES], made[_KEY_BYTES : 2 * _KEY_BYTES], made[2 * _KEY_BYTES :]
    tag, stream, done = hmac.new(tag_key, digestmod="sha1"), _Keystream(key), 0
    file.write(salt + check)
    for block in member.blocks:
        closed = stream.crypt(block)
        tag.update(closed)
        file.write(closed)
        done += len(block)
    if done != member.size:
        raise BadInput(f"{member.name}: {done} bytes, {member.size} expected")
    file.write(tag.digest()[:_TAG_BYTES])


class _Keystream:
    """AES in WinZip's counter mode: little-endian, from 1. Libraries count big-endian, so it uses ECB."""

    def __init__(self, key: bytes) -> None:
        self._aes = Cipher(AES256(key), ECB()).encryptor()
        self._at = 0

    def crypt(self, data: bytes) -> bytes:
        skip = self._at % _BLOCK_BYTES
        first = self._at // _BLOCK_BYTES
        counters = np.zeros((-(-(skip + len(data)) // _BLOCK_BYTES), 2), "<u8")
        counters[:, 0] = np.arange(first + 1, first + 1 + len(counters), dtype=np.uint64)
        stream = np.frombuffer(self._aes.update(counters.tobytes()), np.uint8)[skip : skip + len(data)]
        self._at += len(data)
        return (np.frombuffer(data, np.uint8) ^ stream).tobytes()


def _dos(made: datetime) -> tuple[int, int]:
    """Time and date in MS-DOS format."""
    date = (max(made.year, 1980) - 1980) << 9 | made.month << 5 | made.day
    return made.hour << 11 | made.minute << 5 | made.second // 2, date
