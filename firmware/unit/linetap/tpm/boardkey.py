# SPDX-License-Identifier: Apache-2.0
"""A card's secret from the key in the board's fuses (OTP), for a unit without a TPM: weaker (docs/tpm.md).

The fuses measure nothing: the key is the same in every boot, of any system on that board. The card's secret is derived
from it with the card's own salt (HKDF, RFC 5869), which is a token in its LUKS headers.
"""

from __future__ import annotations

import hmac
import os
import re
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from linetap_core.errors import BadInput, Refusal

PATH = "/sys/kernel/linetap_otp/private_key"  # image/modules/linetap_otp.c: readable once, in the initramfs
SECRET_BYTES, _SALT_BYTES, _CHECK_BYTES = 32, 32, 16
_SECRET, _CHECK = b"linetap-card", b"linetap-card-check"  # purposes of derived secrets
_DIGITS = re.compile(rb"[0-9a-f]{64}\n?")
_LIMIT_BYTES = 4096


class OtpToken(msgspec.Struct, frozen=True, tag_field="type", tag="linetap-otp"):
    """The card's token. `check`: derived like the secret, to detect another board's card; it reveals nothing."""

    keyslots: list[str]
    salt: str
    check: str


def read(path: Path) -> bytes:
    """The board's key: the 64 hex digits of rpi-otp-private-key. BadInput if there is none."""
    try:
        with path.open("rb") as file:
            found = file.read(_LIMIT_BYTES)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}: this board has no key in its fuses (OTP)") from None
    if _DIGITS.fullmatch(found) is None:
        raise BadInput(f"{path}: not a key of 64 hex digits, as rpi-otp-private-key prints it")
    key = bytes.fromhex(found.decode("ascii"))
    if not any(key):
        raise BadInput(f"{path}: zeros: no key is burnt into the fuses (OTP) of this board")
    return key


def new(key: bytes) -> tuple[bytes, OtpToken]:
    """The secret of a new card, and its token."""
    salt = os.urandom(_SALT_BYTES)
    return _derived(key, salt, _SECRET, SECRET_BYTES), OtpToken([], salt.hex(), _check(key, salt).hex())


def secret_of(key: bytes, token: OtpToken) -> bytes:
    """A card's secret. Refusal if the card was encrypted in another board."""
    try:
        salt, check = bytes.fromhex(token.salt), bytes.fromhex(token.check)
    except ValueError:
        salt = check = b""
    if len(salt) != _SALT_BYTES:
        raise Refusal("its token is none of linetap's: it was changed")
    if not hmac.compare_digest(check, _check(key, salt)):
        raise Refusal("it was encrypted with the key in another board's fuses (OTP)")
    return _derived(key, salt, _SECRET, SECRET_BYTES)


def _check(key: bytes, salt: bytes) -> bytes:
    return _derived(key, salt, _CHECK, _CHECK_BYTES)


def _derived(key: bytes, salt: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, purpose).derive(key)
