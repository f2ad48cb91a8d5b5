# SPDX-License-Identifier: Apache-2.0
"""The file of an object in the TPM: two parts, of which only that TPM can use the private one.

`tpm2_load -u -r` reads the decoded `public` and `private`. `release` is the key whose signature makes a boot valid
(`bootpolicy.py`); the TPM enforces it, and the file only names it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from msgspec import Meta

from linetap.tpm import wire
from linetap.tpm.device import TpmFault
from linetap.tpm.wire import Reader, sized
from linetap_core import jsontext
from linetap_core.errors import BadInput

_WANTED = "what `linetap keygen unit --tpm` has made expected"

Text = Annotated[str, Meta(max_length=4096)]


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content. `tpm`: 1, which distinguishes such a file from a private key."""

    tpm: Literal[1]
    ref: Text  # the purpose of the boots' signatures: to sign, or to open a volume
    public: Text
    private: Text
    release: Text  # PEM
    parent: Text = ""  # the name of its storage key; "": unknown

    def public_area(self) -> bytes:
        return _area(self.public, "public")

    def private_area(self) -> bytes:
        return _area(self.private, "private")

    def release_key(self) -> ec.EllipticCurvePublicKey:
        return release_key(self.release.encode())

    def release_area(self) -> bytes:
        """The release key in the TPM's form."""
        numbers = self.release_key().public_numbers()
        return wire.verifying_key(numbers.x, numbers.y)


def make(ref: str, public: bytes, private: bytes, release: ec.EllipticCurvePublicKey, parent: bytes) -> bytes:
    """A file's content. `parent`: the public area of the storage key."""
    pem = release.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    first, second = (base64.b64encode(sized(part)).decode("ascii") for part in (public, private))
    return (
        msgspec.json.format(
            msgspec.json.encode(KeyFile(1, ref, first, second, pem, wire.name_of(parent).hex())), indent=1
        )
        + b"\n"
    )


def is_key_file(data: bytes) -> bool:
    return data.lstrip()[:1] == b"{"


def parse(data: bytes, ref: str) -> KeyFile:
    """The content of a file. BadInput unless it is for `ref`, with its release key's policy."""
    if not is_key_file(data):
        raise BadInput(f"not a key in a TPM; {_WANTED}")
    try:
        found = jsontext.decode(data, type=KeyFile)
    except msgspec.MsgspecError as error:
        raise BadInput(f"not a key in a TPM: {error}; {_WANTED}") from None
    if found.ref != ref:
        raise BadInput(f"it is for {found.ref!r}, {ref!r} expected")
    try:
        policy = Reader(found.public_area()[8:]).sized()
    except TpmFault:
        policy = b""
    if policy != wire.authorized_policy(found.release_area(), ref.encode()):
        raise BadInput(f"its policy is not that of the release key beside it; {_WANTED}")
    found.private_area()
    return found


def release_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput("not a release key: a public key of P-256 in PEM expected (openssl x509 -noout -pubkey)")
    return key


def _area(text: str, what: str) -> bytes:
    try:
        reader = Reader(base64.b64decode(text, validate=True))
        area = reader.sized()
    except (binascii.Error, TpmFault):
        area = b""
    if not area or sized(area) != base64.b64decode(text):
        raise BadInput(f"its {what} part is none; {_WANTED}")
    return area
