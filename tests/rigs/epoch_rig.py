# SPDX-License-Identifier: Apache-2.0
"""An authority, and key lists whose private halves a test has."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from itertools import count
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap.config.schema import Config, RetentionClass, RetentionPolicy
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.sealing.keylist import Epoch, KeyList, Overflow
from linetap_core.evidence.signing import namespaces, sshsig

MADE_AT = "2026-11-20T00:00:00.000Z"
CLASSES = [RetentionClass(name="standard", days=60), RetentionClass(name="marked", days=90)]
MOST_IDENTITIES = 4096  # the number needed by one test for all its authorities; then they repeat
_given = count()


@cache
def identity_of(_number: int) -> keys.AgeIdentity:
    """An identity, made once: a list of 500 days takes a thousand."""
    return keys.new_identity()


@dataclass
class Authority:
    """`secrets`: name of an epoch -> its private line; that of an index has .index after its day."""

    folder: Path
    key: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        return keys.public_line(self.key.public_key())

    @property
    def path(self) -> Path:
        return self.folder / "keylist.json"

    def new(self, name: str) -> str:
        identity = identity_of(next(_given) % MOST_IDENTITIES)
        self.secrets[name] = identity.secret
        return identity.recipient

    def make(self, first: str, days: int, version: int = 1, zone: str = "Asia/Seoul") -> KeyList:
        start = date.fromisoformat(first)
        named = [(start + timedelta(days=n)).isoformat() for n in range(days)]
        return KeyList(
            version=version,
            made_at=MADE_AT,
            zone=zone,
            epochs=[Epoch(day, self.new(day), self.new(f"{day}.index")) for day in named],
            overflow=[Overflow(2, self.new("overflow-2"))],
            custodians=[],
        )

    def sign(self, data: bytes) -> bytes:
        return sshsig.sign(data, self.key, namespaces.KEY_LIST).encode()

    def publish(self, key_list: KeyList) -> None:
        """Writes the list like a commissioner: the signature first."""
        data = keylist.encode(key_list)
        self.lay_down(data, self.sign(data))

    def lay_down(self, data: bytes, signature: bytes) -> None:
        self.path.with_name("keylist.json.sig").write_bytes(signature)
        self.path.write_bytes(data)

    def identity(self, name: str) -> Path:
        """The private file of an epoch, for stock age."""
        path = self.folder / f"{name}.txt"
        path.write_text(f"{self.secrets[name]}\n")
        return path

    def commissioned(self, config: Config, zone: str = "Asia/Seoul") -> Config:
        return msgspec.structs.replace(
            config,
            keys=msgspec.structs.replace(config.keys, authority=self.line, key_list=str(self.path)),
            retention=RetentionPolicy(zone=zone, classes=CLASSES),
        )
