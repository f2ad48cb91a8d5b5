# SPDX-License-Identifier: Apache-2.0
"""SSHSIG (OpenSSH's PROTOCOL.sshsig) over SHA-512 by Ed25519 or ECDSA P-256, byte for byte as ssh-keygen writes it.

In the namespace of approvals a passkey's assertion is a signature too (assertion.py).

`ssh-keygen -Y verify` accepts several spellings of one signature (white space, unused bits of the base64), so that a
file could be changed unnoticed. Here a signature has one spelling: it is parsed, encoded again and compared. A
signature carries its own key: a valid one means nothing until the key belongs to a listed signer (`signers.py`).

Several people sign one text separately, with one armored block after the other and nothing between.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import keys, p256, passkey
from linetap_core.evidence.keys.keys import PublicKey, SigningKey
from linetap_core.evidence.keys.passkey import SSH_PASSKEY, PasskeyKey
from linetap_core.evidence.keys.publickeys import SIGNING_KEYS, SSH_ED25519, ssh_string
from linetap_core.evidence.signing import assertion, namespaces
from linetap_core.evidence.signing.assertion import Assertion, PasskeyFault

_MAGIC = b"SSHSIG"
_VERSION = 1
_HASH = b"sha512"
_BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
_END = "-----END SSH SIGNATURE-----\n"
_AFTER_A_BLOCK = re.compile(b"(?<=%s)" % _END.encode("ascii"))
_LINE_CHARACTERS = 70
SIGNATURE_LIMIT_BYTES = 4096  # ours has about 300
MOST_SIGNATURES = 8  # over one text
MOST_ARMORED_BYTES = MOST_SIGNATURES * SIGNATURE_LIMIT_BYTES
_BY_PASSKEY = (namespaces.RELEASE.encode("ascii"),)


class SignatureFault(Refusal):
    """The fault of a signature; each kind has its own class."""

    code = "bad_signature"


class NotASignature(SignatureFault):
    code = "signature_malformed"


class NotCanonical(SignatureFault):
    code = "signature_not_canonical"


class WrongVersion(SignatureFault):
    code = "signature_version"


class WrongKeyType(SignatureFault):
    code = "signature_key_type"


class WrongNamespace(SignatureFault):
    code = "signature_namespace"


class WrongHash(SignatureFault):
    code = "signature_hash"


class DoesNotFit(SignatureFault):
    """A well-formed signature over other bytes or with another key."""

    code = "signature_does_not_fit"


class PasskeyRefused(SignatureFault):
    """A passkey's assertion that does not count: of another site, or without a verified person."""

    code = "signature_passkey"


class TooMany(SignatureFault):
    code = "signature_too_many"


class SignedTwice(SignatureFault):
    """One key has signed more than once: a count of signatures would count one person twice."""

    code = "signature_twice"


@dataclass(frozen=True, slots=True)
class _Envelope:
    key: PublicKey
    namespace: bytes
    raw: bytes  # 64 bytes of Ed25519, the two mpints of ECDSA, or a passkey's assertion


def sign(data: bytes, key: SigningKey, namespace: str) -> str:
    """The armored signature of `data` like that of `ssh-keygen -Y sign -n namespace`, with Ed25519 byte for byte."""
    raw = key.sign(_signed_bytes(data, namespace.encode("ascii")))
    return _armor(_Envelope(key.public_key(), namespace.encode("ascii"), raw))


def check(data: bytes, armored: bytes, namespace: str) -> PublicKey:
    """The key that signed `data`; SignatureFault otherwise. Does not check whether the key is trusted."""
    envelope = _parse(armored)
    if _armor(envelope).encode("ascii") != armored:
        raise NotCanonical("the signature is not spelled as ssh-keygen writes it: the file was changed")
    if envelope.namespace != namespace.encode("ascii"):
        found = envelope.namespace.decode("ascii", "backslashreplace")
        raise WrongNamespace(f"the signature is of namespace {found!r}, {namespace!r} expected")
    signed = _signed_bytes(data, envelope.namespace)
    try:
        if isinstance(envelope.key, PasskeyKey):
            _check_assertion(envelope.key, envelope.raw, signed, envelope.namespace)
        else:
            keys.check_raw(envelope.key, envelope.raw, signed)
    except (InvalidSignature, assertion.OtherChallenge, assertion.NotByThisKey):
        raise DoesNotFit("the signature does not fit: the signed bytes or the signature were changed") from None
    except PasskeyFault as error:
        raise PasskeyRefused(str(error)) from None
    return envelope.key


def _check_assertion(key: PasskeyKey, raw: bytes, signed: bytes, namespace: bytes) -> None:
    if namespace not in _BY_PASSKEY:
        raise WrongKeyType("a passkey signs approvals of releases, and nothing else")
    assertion.check(key, assertion.decode(raw), signed)


def by_passkey(key: PasskeyKey, made: Assertion, namespace: str) -> str:
    """The armored signature of a passkey, made over `challenge` of the same bytes."""
    return _armor(_Envelope(key, namespace.encode("ascii"), made.encode()))


def challenge(data: bytes, namespace: str) -> bytes:
    """The challenge for a browser, so that a passkey's assertion is a signature of `data`."""
    return _signed_bytes(data, namespace.encode("ascii"))


def check_all(data: bytes, armored: bytes, namespace: str) -> list[PublicKey]:
    """The keys that signed `data`, in the order of their blocks, each once; SignatureFault otherwise.

    `armored`: one to eight blocks, each valid for `check`, end to end.
    """
    if len(armored) > MOST_ARMORED_BYTES:
        raise TooMany(f"longer than {MOST_SIGNATURES} signatures can be")
    blocks = [block for block in _AFTER_A_BLOCK.split(armored) if block] or [armored]
    if len(blocks) > MOST_SIGNATURES:
        raise TooMany(f"{len(blocks)} signatures, {MOST_SIGNATURES} at most")
    found: dict[bytes, PublicKey] = {}
    for place, block in enumerate(blocks, 1):
        # the exact spelling leaves no bytes before, between or after the blocks
        key = check(data, block, namespace)
        if found.setdefault(keys.public_blob(key), key) is not key:
            raise SignedTwice(f"signature {place} is by a key that has signed already: each person signs once")
    return list(found.values())


def _signed_bytes(data: bytes, namespace: bytes) -> bytes:
    digest = hashlib.sha512(data).digest()
    return _MAGIC + b"".join(map(ssh_string, (namespace, b"", _HASH, digest)))


def _armor(envelope: _Envelope) -> str:
    kind = keys.kind_of(envelope.key)
    # a passkey's signature has another name than its key, and no length before its fields
    signature = ssh_string(assertion.SIGNATURE_KIND) + envelope.raw
    if kind != SSH_PASSKEY:
        signature = ssh_string(kind) + ssh_string(envelope.raw)
    fields = b"".join(map(ssh_string, (keys.public_blob(envelope.key), envelope.namespace, b"", _HASH, signature)))
    return armored(base64.b64encode(_MAGIC + _VERSION.to_bytes(4, "big") + fields).decode("ascii"))


def armored(text: str) -> str:
    """The armored form for `ssh-keygen -Y verify`, from the base64 on one line."""
    lines = [text[at : at + _LINE_CHARACTERS] for at in range(0, len(text), _LINE_CHARACTERS)]
    return _BEGIN + "\n".join(lines) + "\n" + _END


def unarmored(sig: str) -> str:
    """The base64 on one line, for the wire: Mosquitto closes the connection on a property with a line feed."""
    return "".join(line for line in sig.splitlines() if not line.startswith("-----"))


def _parse(armored: bytes) -> _Envelope:
    """The parts of a signature. Strict on fields with a meaning; `check` compares spelling and unused bytes."""
    blob = _Reader(_unarmor(armored))
    if blob.take(len(_MAGIC)) != _MAGIC:
        raise NotASignature("the armor does not hold an SSH signature")
    version = int.from_bytes(blob.take(4), "big")
    if version != _VERSION:
        raise WrongVersion(f"the signature is of version {version}, {_VERSION} expected")
    public, namespace, _reserved = blob.string(), blob.string(), blob.string()
    hash_name, signature = blob.string(), _Reader(blob.string())
    kind = _Reader(public).string()
    made_by = signature.string()
    if (kind, made_by) != (SSH_PASSKEY, assertion.SIGNATURE_KIND) and (kind not in SIGNING_KEYS or made_by != kind):
        raise WrongKeyType("the signature is neither an Ed25519 one nor one of ECDSA P-256")
    if hash_name != _HASH:
        raise WrongHash("the signature is not over SHA-512")
    try:
        if kind == SSH_PASSKEY:
            return _Envelope(passkey.from_blob(public), namespace, signature.rest())
        return _Envelope(keys.from_blob(public), namespace, _raw(kind, signature.string()))
    except BadInput:
        raise NotASignature("its key is not one that SSH can carry") from None


def _raw(kind: bytes, raw: bytes) -> bytes:
    try:
        if kind != SSH_ED25519:
            p256.decode(raw)
        elif len(raw) != 64:
            raise ValueError
    except ValueError:
        raise NotASignature("the signature's numbers are not spelled as SSH spells them") from None
    return raw


def _unarmor(armored: bytes) -> bytes:
    if len(armored) > SIGNATURE_LIMIT_BYTES:
        raise NotASignature(f"the signature is longer than {SIGNATURE_LIMIT_BYTES} bytes")
    try:
        text = armored.decode("ascii")
    except UnicodeDecodeError:
        raise NotASignature("the signature is not ASCII text") from None
    begin, end = text.find(_BEGIN.strip()), text.find(_END.strip())
    if begin < 0 or end < 0:
        raise NotASignature("there is no BEGIN and END SSH SIGNATURE line")
    try:
        return base64.b64decode("".join(text[begin + len(_BEGIN.strip()) : end].split()), validate=True)
    except binascii.Error:
        raise NotASignature("the signature is not base64") from None


class _Reader:
    """Reads SSH strings from bytes; NotASignature if they end too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise NotASignature("the signature ends too soon")
        self._at += count
        return self._data[self._at - count : self._at]

    def string(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)
