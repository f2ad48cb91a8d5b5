# SPDX-License-Identifier: Apache-2.0
"""A secret fetched from the TPM over wires that somebody may listen on.

The session is salted to the storage key, and what the TPM answers is encrypted (TCG, TPM 2.0 Library, part 1, 11.4.10,
19.6 and 21). The storage key is the one that the file names, so that nobody can stand between with another.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from linetap.tpm.commands import NULL
from linetap.tpm.device import TpmFault, Transport
from linetap.tpm.templates import point_of
from linetap.tpm.wire import Reader, answered, run, sized, u8, u16, u32

_POLICY, _AES, _CFB, _SHA256 = 1, 0x0006, 0x0043, 0x000B
_UNSEAL = 0x15E
_ENCRYPT = 1 << 6  # of the answer's first parameter; without continueSession: the session ends with it
_KEY_BITS, _AES_BITS, _BLOCK_BITS = 256, 128, 128


@dataclass(frozen=True, slots=True)
class Salted:
    """A policy session. `key`: what both ends have made of the salt."""

    handle: int
    key: bytes
    nonce_tpm: bytes


def start(transport: Transport, parent: int, parent_public: bytes) -> Salted:
    point = point_of(parent_public)
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    numbers = ephemeral.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    shared = ephemeral.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    salt = hashlib.sha256(u32(1) + shared + b"SECRET\0" + x + point[1:33]).digest()  # KDFe
    nonce = os.urandom(16)
    parameters = sized(nonce) + sized(sized(x) + sized(y)) + u8(_POLICY) + u16(_AES) + u16(_AES_BITS) + u16(_CFB)
    handle, answer = run(transport, 0x176, u32(parent) + u32(NULL), parameters + u16(_SHA256), made=True)
    nonce_tpm = answer.sized()
    return Salted(handle, _kdfa(salt, "ATH", nonce_tpm, nonce, _KEY_BITS), nonce_tpm)


def unseal(transport: Transport, item: int, name: bytes, session: Salted) -> bytes:
    """TpmFault, too, when what came back is not the TPM's."""
    nonce = os.urandom(16)
    told = hashlib.sha256(u32(_UNSEAL) + name).digest()
    mac = hmac.digest(session.key, told + nonce + session.nonce_tpm + u8(_ENCRYPT), "sha256")
    auth = u32(session.handle) + sized(nonce) + u8(_ENCRYPT) + sized(mac)
    parameters, back = answered(transport, _UNSEAL, u32(item), auth)
    nonce_tpm, attributes, its_mac = back.sized(), back.take(1), back.sized()
    heard = hashlib.sha256(u32(0) + u32(_UNSEAL) + parameters).digest()
    wanted = hmac.digest(session.key, heard + nonce_tpm + nonce + attributes, "sha256")
    if attributes != u8(_ENCRYPT) or not hmac.compare_digest(its_mac, wanted):
        raise TpmFault("tpm_silent", "the TPM's answer was changed on the way")
    stream = _kdfa(session.key, "CFB", nonce_tpm, nonce, _AES_BITS + _BLOCK_BITS)
    return _cfb(stream[: _AES_BITS // 8], stream[_AES_BITS // 8 :], Reader(parameters).sized())


def _cfb(key: bytes, vector: bytes, data: bytes) -> bytes:
    """Decrypts. `cryptography` has it in another place in each of its versions."""
    block, plain = Cipher(AES(key), ECB()).encryptor(), b""
    for at in range(0, len(data), len(vector)):
        piece = data[at : at + len(vector)]
        plain += bytes(a ^ b for a, b in zip(piece, block.update(vector), strict=False))
        vector = piece
    return plain


def _kdfa(key: bytes, label: str, one: bytes, other: bytes, bits: int) -> bytes:
    """Part 1, 11.4.10.2; of at most 256 bits, which is one turn of it."""
    return hmac.digest(key, u32(1) + label.encode() + b"\0" + one + other + u32(bits), "sha256")[: bits // 8]
