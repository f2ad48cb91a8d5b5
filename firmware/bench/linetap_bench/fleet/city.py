# SPDX-License-Identifier: Apache-2.0
"""The files of a fleet, made in a folder: units and their keys, the desk that commands them, an authority for TLS.

    allowed_signers  desk.key            for `linetap desk ingest --signers --key`
    tls/ca.pem crl.pem broker.pem broker.key desk-seoul.pem desk-wall.pem desk-pages.pem NAME.pem ... and their .key

Keys of a simulation, made in bulk: the register that `linetap pki` keeps of every certificate is left out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from linetap_bench.fleet.unit import Identity
from linetap_bench.stage.brokers import HOST
from linetap_core.clock import Clock, from_utc_ns
from linetap_core.enrolment import certificates
from linetap_core.enrolment.certificates import Role
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.wire.mqtt import Broker
from linetap_desk.pki.authority import signers_line

NETWORK = "127.0.0.0/8"
DESKS = ("seoul", "wall", "pages")


@dataclass
class City:
    """Made anew each time: a unit with new keys is another unit."""

    folder: Path
    clock: Clock
    signing: dict[str, SigningKey] = field(default_factory=dict)
    _authority: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    _desk: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    _ca_key: ec.EllipticCurvePrivateKey = field(default_factory=certificates.new_key)

    def make(self, units: int) -> None:
        """BadInput, or OSError, if the folder cannot be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tls.mkdir(exist_ok=True)
        at = from_utc_ns(self.clock.utc_ns())
        networks = [ipaddress.ip_network(NETWORK)]
        self._ca = certificates.root(self._ca_key, "linetap fleet", at, [], networks)
        (self.tls / "ca.pem").write_bytes(self._ca.public_bytes(Encoding.PEM))
        none = certificates.revocation_list(self._ca, self._ca_key, at, 1, [])
        (self.tls / "crl.pem").write_bytes(none.public_bytes(Encoding.PEM))
        self._certify("broker", HOST, "broker", [x509.IPAddress(ipaddress.ip_address(HOST))])
        for desk in DESKS:
            self._certify("desk", desk, f"desk-{desk}")
        self.signing = {name: keys.new_unit_key() for name in names(units)}
        for name in self.signing:
            self._certify("unit", name, name)
        lines = (signers_line(name, keys.public_line(key.public_key())) for name, key in self.signing.items())
        self.signers.write_text("".join(f"{line}\n" for line in lines))
        self.desk_key.write_bytes(keys.unit_key_file(self._desk))
        self.desk_key.chmod(0o600)

    @property
    def tls(self) -> Path:
        return self.folder / "tls"

    @property
    def signers(self) -> Path:
        return self.folder / "allowed_signers"

    @property
    def desk_key(self) -> Path:
        return self.folder / "desk.key"

    def identities(self, port: int, secure: bool) -> Iterator[Identity]:
        desk = Person(name="desk", role="desk", key=keys.public_line(self._desk.public_key()))
        roles = Roles(version=1, people=[desk], purposes=[])
        authority = self._authority.public_key()
        for name, key in self.signing.items():
            broker = self.broker(name, port) if secure else Broker(host=HOST, port=port)
            yield Identity(name, key, broker, authority, roles)

    def broker(self, name: str, port: int) -> Broker:
        """The broker's settings with the certificate `name`.pem."""
        ca, certificate, key = (str(self.tls / file) for file in ("ca.pem", f"{name}.pem", f"{name}.key"))
        return Broker(host=HOST, port=port, ca=ca, certificate=certificate, key=key)

    def _certify(self, role: Role, name: str, file: str, alternatives: list[x509.GeneralName] | None = None) -> None:
        key, at = certificates.new_key(), from_utc_ns(self.clock.utc_ns())
        made = certificates.issue(self._ca, self._ca_key, at, role, name, key.public_key(), alternatives or [])
        (self.tls / f"{file}.pem").write_bytes(made.public_bytes(Encoding.PEM))
        (self.tls / f"{file}.key").write_bytes(certificates.key_pem(key))


def names(units: int) -> list[str]:
    """Buildings of 20 floors."""
    return [f"b{n // 20 + 1:02d}-{n % 20 + 1:02d}" for n in range(units)]
