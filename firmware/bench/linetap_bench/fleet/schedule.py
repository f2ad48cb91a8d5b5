# SPDX-License-Identifier: Apache-2.0
"""The load of a fleet: a busy hour on each line, and the incidents of a trial: `storm@30`, `outage@60+10`,
`partition@90+600:200`.

In a busy hour a line has a call each `every_s`, which lasts half of that, with eight events and four states.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from linetap_bench.fleet.unit import Identity
from linetap_bench.stage.servers import HOST
from linetap_core.clock import Clock, compact, from_utc_ns, ns_of, rfc3339
from linetap_core.enrolment import certificates
from linetap_core.enrolment.certificates import Role
from linetap_core.enrolment.request import signer_name
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.records import CallEvent, EventKind, LineStatus
from linetap_core.wire.mqtt import Broker
from linetap_core.wire.topics import LineReport
from linetap_desk.pki.authority import signers_line


@dataclass(frozen=True, slots=True)
class Step:
    """A line's new state and an event, at `at`, a share of the call's length from 0 to 1."""

    at: float
    event: EventKind
    shows: LineStatus | None = None
    fields: tuple[tuple[str, Any], ...] = ()


_WAY = (("direction", "in"),)
_HOW = (*_WAY, ("disposition", "recorded"))
STEPS = (
    Step(0.0, "started", "ringing", _WAY),
    Step(0.04, "answered", "notice", _WAY),
    Step(0.1, "notice", "recording", (("notice", "ko"),)),
    Step(0.4, "marked", fields=(("mark", "abuse"),)),
    Step(0.7, "call_time"),
    Step(0.96, "ended", "idle", (*_HOW, ("duration_s", 115.2))),
    Step(0.98, "sealed", fields=(("disposition", "recorded"), ("gaps_ms", 0.0), ("record_sha256", "ab" * 32))),
    Step(1.0, "copied"),
)


@dataclass(frozen=True, slots=True)
class Call:
    line: int
    began_ns: int  # UTC

    @property
    def call_id(self) -> str:
        return f"{compact(self.began_ns)}-L{self.line:02d}"

    def event(self, step: Step, utc_ns: int) -> CallEvent:
        return CallEvent(
            seq=0, event=step.event, at=rfc3339(utc_ns), unit="", call_id=self.call_id, line=self.line,
            **dict(step.fields),
        )  # fmt: skip

    def report(self, step: Step, utc_ns: int) -> LineReport | None:
        if step.shows is None:
            return None
        return LineReport(step.shows, rfc3339(utc_ns), None if step.shows == "idle" else self.call_id)


def steps_ns(every_s: float) -> list[tuple[int, Step]]:
    """The steps of a call, each with its time since the beginning."""
    return [(ns_of(step.at * every_s / 2), step) for step in STEPS]


_TEXT = re.compile(r"(storm)@(\d{1,6})|(outage)@(\d{1,6})\+(\d{1,6})|(partition)@(\d{1,6})\+(\d{1,6}):(\d{1,5})")
_EXAMPLES = "storm@30, outage@60+10 or partition@90+600:200 expected"


@dataclass(frozen=True, slots=True)
class Happening:
    """An incident. storm: a call on every idle line. outage, partition: all units, or that many, cut off for
    `for_s`.
    """

    kind: Literal["storm", "outage", "partition"]
    at_s: int
    for_s: int = 0
    units: int | None = None


def parse(text: str) -> Happening:
    """Reads an incident. BadInput if the text is none."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise BadInput(f"--happens {text}: {_EXAMPLES}")
    kind, *numbers = [part for part in found.groups() if part is not None]
    return Happening(cast(Literal["storm", "outage", "partition"], kind), *map(int, numbers))


# ----------------------------------------------------------------------------------------------------------------------
# The files of a fleet, made in a folder: units and their keys, the desk that commands them, an authority for TLS.
# allowed_signers desk.key for `linetap desk ingest --signers --key` tls/ca.pem crl.pem broker.pem broker.key
# desk-seoul.pem desk-wall.pem desk-pages.pem NAME.pem ... and their .key
#
# The keys are made in bulk for a simulation: there is no register of certificates as `linetap pki` keeps one.


NETWORK = "127.0.0.0/8"
DESKS = ("seoul", "wall", "pages")
GONE = "gone"  # unit with a revoked certificate


@dataclass
class City:
    """The files of a fleet, made anew each time: a unit with new keys is another unit."""

    folder: Path
    clock: Clock
    signing: dict[str, SigningKey] = field(default_factory=dict)
    _authority: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    _desk: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    _ca_key: ec.EllipticCurvePrivateKey = field(default_factory=certificates.new_key)

    def make(self, units: int) -> None:
        """Makes all files. BadInput, or OSError, if the folder cannot be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tls.mkdir(exist_ok=True)
        at = from_utc_ns(self.clock.utc_ns())
        networks = [ipaddress.ip_network(NETWORK)]
        self._ca = certificates.root(self._ca_key, "linetap fleet", at, [], networks)
        (self.tls / "ca.pem").write_bytes(self._ca.public_bytes(Encoding.PEM))
        self._certify("broker", HOST, "broker", [x509.IPAddress(ipaddress.ip_address(HOST))])
        for desk in DESKS:
            self._certify("desk", desk, f"desk-{desk}")
        gone = [(self._certify("unit", GONE, GONE).serial_number, at)]
        revoked = certificates.revocation_list(self._ca, self._ca_key, at, 1, gone)
        (self.tls / "crl.pem").write_bytes(revoked.public_bytes(Encoding.PEM))
        self.signing = {name: keys.new_unit_key() for name in names(units)}
        for name in self.signing:
            self._certify("unit", name, name, [x509.UniformResourceIdentifier(self.client_id(name))])
        lines = (signers_line(name, keys.public_line(key.public_key())) for name, key in self.signing.items())
        self.signers.write_text("".join(f"{line}\n" for line in lines))
        self.desk_key.write_bytes(keys.unit_key_file(self._desk))
        self.desk_key.chmod(0o600)

    def client_id(self, name: str) -> str:
        return signer_name(keys.fingerprint(self.signing[name].public_key()))

    @property
    def tls(self) -> Path:
        return self.folder / "tls"

    @property
    def signers(self) -> Path:
        return self.folder / "allowed_signers"

    @property
    def desk_key(self) -> Path:
        return self.folder / "desk.key"

    def identities(self, port: int, secure: bool, retained: bool = True) -> Iterator[Identity]:
        """The identities of all units. `retained`: a setting of the broker (wire/mqtt.py)."""
        desk = Person(name="desk", role="desk", key=keys.public_line(self._desk.public_key()))
        roles = Roles(version=1, people=[desk], purposes=[])
        authority = self._authority.public_key()
        for name, key in self.signing.items():
            broker = self.broker(name, port) if secure else Broker(host=HOST, port=port)
            broker = msgspec.structs.replace(broker, retained=retained)
            yield Identity(name, key, broker, authority, roles)

    def broker(self, name: str, port: int) -> Broker:
        """The broker's settings with the certificate `name`.pem."""
        ca, certificate, key = (str(self.tls / file) for file in ("ca.pem", f"{name}.pem", f"{name}.key"))
        return Broker(host=HOST, port=port, ca=ca, certificate=certificate, key=key)

    def _certify(
        self, role: Role, name: str, file: str, alternatives: list[x509.GeneralName] | None = None
    ) -> x509.Certificate:
        key, at = certificates.new_key(), from_utc_ns(self.clock.utc_ns())
        made = certificates.issue(self._ca, self._ca_key, at, role, name, key.public_key(), alternatives or [])
        (self.tls / f"{file}.pem").write_bytes(made.public_bytes(Encoding.PEM))
        (self.tls / f"{file}.key").write_bytes(certificates.key_pem(key))
        return made


def names(units: int) -> list[str]:
    """Names of units, in buildings of 20 floors."""
    return [f"b{n // 20 + 1:02d}-{n % 20 + 1:02d}" for n in range(units)]
