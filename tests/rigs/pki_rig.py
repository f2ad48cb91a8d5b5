# SPDX-License-Identifier: Apache-2.0
"""An authority in a folder, units that send requests to it, and stock openssl to check its certificates."""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core.clock import SYSTEM, Clock, ManualClock
from linetap_core.enrolment import certificates, request
from linetap_core.evidence.keys import keys
from linetap_desk.pki import command

DAY_NS = 86_400_000_000_000
TIMEOUT_S = 120


@dataclass(frozen=True)
class Pair:
    """The certificate and key of a client or a broker, in PEM files."""

    certificate: Path
    key: Path


class Pki:
    """`run` is the command; `clock` is its clock. `away/` contains other parties' files."""

    def __init__(self, root: Path, *where: str, clock: Clock = SYSTEM) -> None:
        self.root, self.folder, self.clock = root, root / "pki", clock
        root.mkdir(exist_ok=True)
        assert self.run("init", str(self.folder), *(where or ("--network", "127.0.0.0/8")), at_authority=False) == 0
        self.ca, self.crl = self.folder / "ca.pem", self.folder / "crl.pem"
        self.signers, self.register = self.folder / "allowed_signers", self.folder / "issued.jsonl"

    def run(self, *words: str, at_authority: bool = True, clock: Clock | None = None) -> int:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        more = ("--dir", str(self.folder)) if at_authority else ()
        return command.run(parser.parse_args([*words, *more]), clock or self.clock)

    def host(self, *hosts: str, name: str = "broker", clock: Clock | None = None) -> Pair:
        certificate = self.root / f"{name}.pem"
        assert self.run("broker", *hosts, "-o", str(certificate), clock=clock) == 0
        return Pair(certificate, certificate.with_suffix(".key"))

    def desk(self, name: str, clock: Clock | None = None) -> Pair:
        certificate = self.root / f"desk-{name}.pem"
        assert self.run("desk", name, "-o", str(certificate), clock=clock) == 0
        return Pair(certificate, certificate.with_suffix(".key"))

    def unit(self, name: str, verb: str = "unit", clock: Clock | None = None, asking: Asking | None = None) -> Pair:
        asking = asking or Asking.new(name)
        number = len(list(self.root.glob(f"{name}*.request")))
        file, certificate = self.root / f"{name}-{number}.request", self.root / f"{name}-{number}.pem"
        file.write_bytes(asking.request())
        assert self.run(verb, str(file), "-o", str(certificate), clock=clock) == 0
        key = certificate.with_suffix(".key")
        key.write_bytes(certificates.key_pem(asking.tls))
        return Pair(certificate, key)

    def pair(self, name: str) -> Pair:
        """The files made by one of the methods above."""
        return Pair(self.root / f"{name}.pem", self.root / f"{name}.key")

    def days_from_now(self, days: int) -> ManualClock:
        return ManualClock(self.clock.utc_ns() + days * DAY_NS)

    def verified(self, certificate: Path, *more: str) -> str:
        """Empty if stock openssl accepts it for a client, with root and revocation list; otherwise the reason."""
        arguments = ["-crl_check", "-x509_strict", "-CAfile", str(self.ca), "-CRLfile", str(self.crl), *more]
        ended = openssl("verify", *arguments, str(certificate))
        return "" if ended.returncode == 0 else ended.stdout + ended.stderr


@dataclass(frozen=True)
class Asking:
    """A unit's two keys, for its requests."""

    unit: str
    tls: ec.EllipticCurvePrivateKey
    signer: Ed25519PrivateKey

    @staticmethod
    def new(unit: str) -> Asking:
        return Asking(unit, certificates.new_key(), keys.new_unit_key())

    def request(self) -> bytes:
        return request.make(self.unit, self.tls, self.signer)


def openssl(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(["openssl", *arguments], input=given, capture_output=True, timeout=TIMEOUT_S, check=False)
    return subprocess.CompletedProcess(ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())
