# SPDX-License-Identifier: Apache-2.0
"""A software passkey that can vary every part of an assertion. desk/test_signing_page.py tests a real browser's."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from linetap_core.evidence.keys import keys, p256
from linetap_core.evidence.keys.passkey import PasskeyKey
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.assertion import Assertion

SITE = "sign.city.example"
FLAGS = 0x05  # present, verified


@dataclass
class SoftPasskey:
    site: str = SITE
    secret: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential: str = "Y3JlZA"

    @property
    def key(self) -> PasskeyKey:
        numbers = self.secret.public_key().public_numbers()
        return PasskeyKey(self.site, b"\x04" + numbers.x.to_bytes(32) + numbers.y.to_bytes(32))

    @property
    def line(self) -> str:
        return keys.public_line(self.key, self.credential)

    def client_data(self, drawn: bytes, /, **changes: Any) -> bytes:
        """The client data as written by browsers; `changes` of its members, None removes one."""
        members = {
            "type": "webauthn.get", "challenge": base64.urlsafe_b64encode(drawn).rstrip(b"=").decode(),
            "origin": f"https://{self.site}", "crossOrigin": False,
        } | changes  # fmt: skip
        kept = {name: value for name, value in members.items() if value is not None}
        return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()

    def assertion(
        self,
        drawn: bytes,
        /,
        *,
        flags: int = FLAGS,
        counter: int = 7,
        site: str = "",
        client: bytes = b"",
        **changes: Any,
    ) -> Assertion:
        """An assertion. `site`: the site whose hash is signed; `client`: entirely different client data."""
        client = client or self.client_data(drawn, **changes)
        data = hashlib.sha256((site or self.site).encode()).digest() + bytes([flags]) + counter.to_bytes(4)
        signed = self.secret.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        origin = str(changes.get("origin") or f"https://{self.site}")
        return Assertion(p256.encode(*decode_dss_signature(signed)), flags, counter, origin, client)

    def sign(self, data: bytes, namespace: str = namespaces.RELEASE, **changes: Any) -> bytes:
        """The armored signature."""
        made = self.assertion(sshsig.challenge(data, namespace), **changes)
        return sshsig.by_passkey(self.key, made, namespace).encode()
