# SPDX-License-Identifier: Apache-2.0
"""The data that a passkey signs: WebAuthn's assertion over a challenge, and its form in an SSHSIG (OpenSSH's
PROTOCOL.u2f).

The signed bytes are the authenticator's data (SHA-256 of the site's name, flags, counter) and SHA-256 of the browser's
client data, which names the challenge and the page's origin. In an SSHSIG the challenge is the whole text that another
key would sign, so that stock `ssh-keygen -Y verify` accepts it.

The checks here are stricter than those of stock OpenSSH 10.0: the person must have been present and verified, and the
page must be of the key's own site and in no frame. Extensions are refused, so that no CBOR has to be read.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature

from linetap_core.errors import Refusal
from linetap_core.evidence.keys import p256
from linetap_core.evidence.keys.passkey import PasskeyKey
from linetap_core.evidence.keys.publickeys import ssh_string

SIGNATURE_KIND = b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
PRESENT, VERIFIED = 0x01, 0x04  # flags of the authenticator (WebAuthn, 6.1)
ELIGIBLE, BACKED_UP = 0x08, 0x10  # the key may be copied, or is copied, to other devices of its owner
_KNOWN = PRESENT | VERIFIED | ELIGIBLE | BACKED_UP
CLIENT_DATA_LIMIT = 2048
DATA_BYTES = 32 + 1 + 4  # of the authenticator's data, without extensions
_ORIGIN_LIMIT = 300


class PasskeyFault(Refusal):
    """The assertion does not count; `code` is the reason."""

    code = "passkey_malformed"


class OtherChallenge(PasskeyFault):
    """A well-formed assertion over other bytes."""

    code = "passkey_other_challenge"


class OtherSite(PasskeyFault):
    """An assertion made on another site's page, or in a frame."""

    code = "passkey_other_site"


class NobodyVerified(PasskeyFault):
    """No person was present, or none was verified by PIN, finger or face."""

    code = "passkey_not_verified"


class NotByThisKey(PasskeyFault):
    code = "passkey_not_by_this_key"


@dataclass(frozen=True, slots=True)
class Assertion:
    """A passkey's assertion. `numbers`: r and s in SSH's form (`p256.encode`)."""

    numbers: bytes
    flags: int
    counter: int
    origin: str
    client_data: bytes

    def encode(self) -> bytes:
        """The bytes after SIGNATURE_KIND in an SSH signature; the extensions are empty."""
        head = ssh_string(self.numbers) + bytes([self.flags]) + self.counter.to_bytes(4, "big")
        return head + ssh_string(self.origin.encode("ascii")) + ssh_string(self.client_data) + ssh_string(b"")


def decode(data: bytes) -> Assertion:
    """The assertion in `data`. PasskeyFault unless `data` is an output of `encode`."""
    try:
        numbers, rest = _string(data)
        flags, counter, rest = rest[0], int.from_bytes(rest[1:5], "big"), rest[5:]
        origin, rest = _string(rest)
        client_data, rest = _string(rest)
        made = Assertion(numbers, flags, counter, origin.decode("ascii"), client_data)
    except (IndexError, ValueError):
        raise PasskeyFault("the signature of a passkey ends too soon, or its origin is not ASCII") from None
    if made.encode() != data:
        raise PasskeyFault("the signature of a passkey has extensions, or bytes that belong to nothing")
    return made


def _string(data: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < max(4, end):
        raise ValueError
    return data[4:end], data[end:]


def of_browser(authenticator: bytes, client_data: bytes, numbers: bytes) -> Assertion:
    """The assertion of a browser's parts, before `check`. PasskeyFault if they cannot be an assertion."""
    if len(authenticator) != DATA_BYTES:
        raise PasskeyFault(f"{len(authenticator)} bytes of authenticator data, {DATA_BYTES} expected: no extensions")
    origin = _client(client_data)["origin"]
    flags, counter = authenticator[32], int.from_bytes(authenticator[33:], "big")
    return Assertion(numbers, flags, counter, origin, client_data)


def check(key: PasskeyKey, made: Assertion, challenge: bytes) -> None:
    """Raises PasskeyFault unless the key has signed `challenge`, with a verified person, on a page of its own site."""
    client = _client(made.client_data)
    if client["challenge"] != base64url(challenge):
        raise OtherChallenge("the passkey has signed something else")
    if client["origin"] != made.origin or not key.may_come_from(made.origin):
        raise OtherSite(f"signed on a page of {client['origin'][:80]}, {key.site} expected")
    # WebAuthn, 5.8.1.2: every browser writes these four first, in this order. Other readers use only the beginning.
    if not made.client_data.startswith(_beginning(made.origin, challenge)):
        raise PasskeyFault("the client data is not spelled as browsers write it")
    if made.flags & ~_KNOWN:
        raise PasskeyFault(f"flags {made.flags:#04x}: extensions or other data, which nobody has asked for")
    if made.flags & (PRESENT | VERIFIED) != PRESENT | VERIFIED:
        raise NobodyVerified("the device has not verified the person, by PIN, finger or face")
    data = hashlib.sha256(key.site.encode("ascii")).digest() + bytes([made.flags]) + made.counter.to_bytes(4, "big")
    try:
        p256.verify(p256.from_point(key.point), made.numbers, data + hashlib.sha256(made.client_data).digest())
    except InvalidSignature:
        raise NotByThisKey("the signature does not fit: it is of another passkey, or was changed") from None


def _beginning(origin: str, challenge: bytes) -> bytes:
    text = f'{{"type":"webauthn.get","challenge":"{base64url(challenge)}","origin":"{origin}","crossOrigin":false'
    return text.encode("ascii")


def _client(data: bytes) -> dict[str, Any]:
    """The client data of an assertion; PasskeyFault if it is invalid."""
    if len(data) > CLIENT_DATA_LIMIT:
        raise PasskeyFault(f"{len(data)} bytes of client data, {CLIENT_DATA_LIMIT} at most expected")
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise PasskeyFault("the client data is not JSON, or names a member twice") from None
    if not isinstance(found, dict) or found.get("type") != "webauthn.get":
        raise PasskeyFault("the client data is not of an assertion (webauthn.get)")
    if not all(isinstance(found.get(name), str) for name in ("challenge", "origin")):
        raise PasskeyFault("the client data names no challenge, or no origin")
    if found.get("crossOrigin") is not False or "topOrigin" in found:
        raise OtherSite("signed in a frame of another site")
    if len(found["origin"]) > _ORIGIN_LIMIT or not found["origin"].isascii():
        raise OtherSite("an origin that no host name can make")
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
