# SPDX-License-Identifier: Apache-2.0
"""Public areas (TPMT_PUBLIC) of objects in the TPM, and digests over them. Pure functions over bytes."""

from __future__ import annotations

import hashlib

from linetap.tpm.wire import Reader, sized, u8, u16, u32

_SHA256, _NULL, _AES, _CFB, _ECC, _KEYEDHASH, _P256 = 0x000B, 0x0010, 0x0006, 0x0043, 0x0023, 0x0008, 0x0003
# TPMA_OBJECT (part 2, 8.3)
_FIXED = 1 << 1 | 1 << 4  # fixedTPM, fixedParent: it can never be moved to another TPM
_MADE_INSIDE = 1 << 5  # sensitiveDataOrigin: made inside the TPM
_BY_PASSWORD, _BY_POLICY_ALONE, _NO_LOCKOUT = 1 << 6, 1 << 7, 1 << 10  # userWithAuth, adminWithPolicy, noDA
_RESTRICTED, _DECRYPT, _SIGN = 1 << 16, 1 << 17, 1 << 18

# The storage key of TCG's provisioning guidance, plus noDA, which `tpm2_createprimary` omits: without it each power cut
# counts as a guess at its empty password, and after three of them the TPM is locked out.
_PRIMARY = _FIXED | _MADE_INSIDE | _BY_PASSWORD | _NO_LOCKOUT | _RESTRICTED | _DECRYPT
PRIMARY = (
    u16(_ECC) + u16(_SHA256) + u32(_PRIMARY) + sized(b"")
    + u16(_AES) + u16(128) + u16(_CFB) + u16(_NULL) + u16(_P256) + u16(_NULL) + sized(b"") + sized(b"")
)  # fmt: skip
_PCR_BYTES = 3


def signing_key(policy: bytes) -> bytes:
    """An ECDSA key of P-256 that signs under that policy only, with no password."""
    attributes = _FIXED | _MADE_INSIDE | _BY_POLICY_ALONE | _NO_LOCKOUT | _SIGN
    point = sized(b"") + sized(b"")
    scheme = u16(_NULL) + u16(_NULL) + u16(_P256) + u16(_NULL)  # symmetric, scheme, curve, kdf
    return u16(_ECC) + u16(_SHA256) + u32(attributes) + sized(policy) + scheme + point


def sealed_data(policy: bytes) -> bytes:
    """A secret that the TPM releases under that policy. noDA: a policy has no password to guess."""
    attributes = _FIXED | _BY_POLICY_ALONE | _NO_LOCKOUT
    return u16(_KEYEDHASH) + u16(_SHA256) + u32(attributes) + sized(policy) + u16(_NULL) + sized(b"")


def verifying_key(x: int, y: int) -> bytes:
    """A public P-256 key from outside, as `tpm2_loadexternal` takes one in PEM: its name depends on its
    attributes too.
    """
    head = u16(_ECC) + u16(_SHA256) + u32(_BY_PASSWORD | _DECRYPT | _SIGN) + sized(b"")
    scheme = u16(_NULL) + u16(_NULL) + u16(_P256) + u16(_NULL)
    return head + scheme + sized(x.to_bytes(32, "big")) + sized(y.to_bytes(32, "big"))


def point_of(public: bytes) -> bytes:
    """Returns 0x04, x and y from the public area of a P-256 key; TpmFault if it is too short."""
    reader = Reader(public)
    reader.take(8)
    reader.sized()
    if reader.u16() != _NULL:  # the symmetric cipher of a storage key has a size and a mode
        reader.take(4)
    reader.take(6)
    return b"\x04" + b"".join(reader.sized().rjust(32, b"\0") for _ in range(2))


def attributes_of(public: bytes) -> int:
    return int.from_bytes(public[4:8], "big")


def is_bound(public: bytes) -> bool:
    """Whether it was made in its TPM, cannot leave it, and signs under a policy only."""
    wanted = _FIXED | _MADE_INSIDE | _SIGN
    return attributes_of(public) & (wanted | _BY_PASSWORD | _RESTRICTED) == wanted


def name_of(public: bytes) -> bytes:
    """Returns a TPM's name of an object: its hash algorithm and hash (part 1, 16)."""
    return u16(_SHA256) + hashlib.sha256(public).digest()


def pcr_selection(pcrs: tuple[int, ...]) -> bytes:
    """TPML_PCR_SELECTION of the SHA-256 bank."""
    bits = sum(1 << pcr for pcr in pcrs)
    return u32(1) + u16(_SHA256) + u8(_PCR_BYTES) + bits.to_bytes(_PCR_BYTES, "little")


def pcr_policy(pcrs: tuple[int, ...], values: tuple[bytes, ...]) -> bytes:
    """Returns the digest of a policy that requires these PCR values (part 3, TPM2_PolicyPCR)."""
    of_values = hashlib.sha256(b"".join(values)).digest()
    return hashlib.sha256(bytes(32) + u32(0x17F) + pcr_selection(pcrs) + of_values).digest()


def authorized_policy(public: bytes, ref: bytes) -> bytes:
    """Returns the digest of a policy that accepts any policy signed by this key for `ref` (part 3,
    TPM2_PolicyAuthorize).
    """
    by_key = hashlib.sha256(bytes(32) + u32(0x16A) + name_of(public)).digest()
    return hashlib.sha256(by_key + ref).digest()
