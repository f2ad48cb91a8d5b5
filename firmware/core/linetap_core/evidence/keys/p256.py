# SPDX-License-Identifier: Apache-2.0
"""ECDSA over P-256 in SSH's form (RFC 5656): the kind of key in a TPM, verified by `ssh-keygen`.

An ECDSA signature is not unique: (r, s) gives (r, n - s) for the same bytes, and stock tools produce and accept both.
Both are therefore accepted here, and nothing may depend on the bytes of a signature: events, records and leaves are
identified by the hash of the signed bytes. The pair itself has one spelling: two mpints without needless zeros, as
ssh-keygen writes them.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from linetap_core.errors import BadInput
from linetap_core.evidence.keys.publickeys import SSH_P256, ssh_string

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # n of the curve (SEC 2, 2.4.2)
_PREFIX = ssh_string(SSH_P256) + ssh_string(b"nistp256")


def blob(key: ec.EllipticCurvePublicKey) -> bytes:
    """The key in SSH's form (RFC 5656 section 3.1)."""
    numbers = key.public_numbers()
    return _PREFIX + ssh_string(b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"))


def from_point(point: bytes) -> ec.EllipticCurvePublicKey:
    """The key of 0x04, x and y; BadInput if the point is not on the curve."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise BadInput("not a point of the curve P-256: copy the .pub line as it is") from None


def encode(r: int, s: int) -> bytes:
    """The inner signature: mpint r, mpint s (RFC 5656 section 3.1.2; mpint: RFC 4251 section 5)."""
    return ssh_string(_mpint(r)) + ssh_string(_mpint(s))


def decode(raw: bytes) -> tuple[int, int]:
    """r and s; ValueError unless `raw` is an output of `encode` for two valid numbers."""
    numbers: list[int] = []
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        numbers.append(int.from_bytes(raw[at + 4 : at + 4 + size], "big"))
        at += 4 + size
    if len(numbers) != 2 or not all(0 < number < ORDER for number in numbers) or encode(*numbers) != raw:
        raise ValueError("not an ECDSA signature of P-256 as SSH writes it")
    return numbers[0], numbers[1]


def verify(key: ec.EllipticCurvePublicKey, raw: bytes, data: bytes) -> None:
    """Raises InvalidSignature unless `raw`, an output of `encode`, is the key's signature over `data` with SHA-256."""
    try:
        key.verify(encode_dss_signature(*decode(raw)), data, ec.ECDSA(hashes.SHA256()))
    except ValueError:
        raise InvalidSignature from None


class P256Key:
    """A private key from a file, with the two methods of an Ed25519 key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def sign(self, data: bytes, /) -> bytes:
        return encode(*decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256()))))


def _mpint(number: int) -> bytes:
    """A positive mpint: the fewest bytes, after a zero byte if the first bit would otherwise be a sign."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")
