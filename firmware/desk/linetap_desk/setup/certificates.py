# SPDX-License-Identifier: Apache-2.0
"""Makes the city's authority and this server's certificates if they are missing, and renews the certificates 60 days
before they end. A key is readable only for its owner from the first moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from linetap_core.clock import Clock, from_utc_ns
from linetap_core.enrolment.certificates import UNREADABLE, Network, Role
from linetap_core.errors import BadInput
from linetap_desk.pki import authority
from linetap_desk.setup import machine
from linetap_desk.setup.answers import Answers
from linetap_desk.setup.machine import set_owner, write_file

RENEW = timedelta(days=60)
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate of this server. `path`: its .pem; the key beside it belongs to `user`, or to `group` with mode
    0640."""

    path: Path
    role: Role
    name: str
    user: str
    group: str | None = None


def server_certificates(answers: Answers) -> list[ServerCertificate]:
    at = machine.FOLDER
    found = [
        ServerCertificate(at / "ingest-tls.pem", "desk", machine.INGEST_NAME, machine.DESK),
        ServerCertificate(at / "pages-tls.pem", "desk", machine.PAGES_NAME, machine.PAGES),
        ServerCertificate(at / "doctor-tls.pem", "desk", machine.DOCTOR_NAME, "root"),
        ServerCertificate(at / "send-tls.pem", "desk", machine.SEND_NAME, "root"),
        ServerCertificate(at / "serve-tls.pem", "broker", answers.name, machine.PAGES),
    ]
    if answers.broker is None:
        found.append(
            ServerCertificate(machine.MOSQUITTO_FILES / "broker.pem", "broker", answers.name, "root", "mosquitto")
        )
    return found


def renew_certificates(answers: Answers, clock: Clock, report: Report) -> bool:
    """Makes and renews certificates; returns whether any changed."""
    now = from_utc_ns(clock.utc_ns())
    due = [one for one in server_certificates(answers) if not _is_current(one, answers, now)]
    if due or not (machine.FOLDER / authority.CERTIFICATE).exists():
        _make_authority(answers, clock, report)
    for one in due:
        _make(one, answers, clock)
        report(f"{one.path}: certificate of {one.role}:{one.name}")
    return _copy_lists(answers, report) or bool(due)


def _is_current(one: ServerCertificate, answers: Answers, now: datetime) -> bool:
    """Whether the certificate need not be renewed. One that does not fit its key is of a renewal that a power cut
    ended."""
    try:
        made = x509.load_pem_x509_certificate(one.path.read_bytes())
        key = load_pem_private_key(one.path.with_suffix(".key").read_bytes(), None)
    except (*UNREADABLE, OSError, TypeError):
        return False
    lasts = made.not_valid_after_utc - now > RENEW
    return made.public_key() == key.public_key() and lasts and set(_hosts(one, answers)) <= set(_alternatives(made))


def _hosts(one: ServerCertificate, answers: Answers) -> list[x509.GeneralName]:
    hosts = [answers.name, *answers.addresses] if one.role == "broker" else []
    return [authority.host_name(host, "--name") for host in hosts]


def _alternatives(made: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _make_authority(answers: Answers, clock: Clock, report: Report) -> None:
    if (answers.pki / authority.KEY).exists():
        return
    if (machine.FOLDER / authority.CERTIFICATE).exists():
        raise BadInput(
            f"{answers.pki}: there is no {authority.KEY}: bring the authority's medium, and name it by --pki"
        )
    networks: list[Network] = [ip_network(machine.LOOPBACK)]
    networks += [ip_network(address) for address in answers.addresses if _is_address(address)]
    authority.make(answers.pki, "linetap", [answers.domain], networks, clock)
    report(f"{answers.pki}: the authority, for {answers.domain}; keep it on a medium of its own")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _make(one: ServerCertificate, answers: Answers, clock: Clock) -> None:
    """Makes the files beside the old ones, then renames them, the key first. A service that starts in between finds a
    key and a certificate that do not match, and restarts. The names of the old certificate stay: units use them."""
    fresh = one.path.with_name(f"{one.path.stem}.new.pem")
    fresh.unlink(missing_ok=True)
    fresh.with_suffix(".key").unlink(missing_ok=True)
    names = _hosts(one, answers)
    if one.role == "broker" and _permits_loopback(answers.pki):
        names.append(authority.host_name(machine.LOOPBACK, "--name"))
    names += [name for name in _kept(one, answers.pki) if name not in names]
    authority.make_host(answers.pki, clock, one.role, one.name, names, fresh)
    set_owner(fresh.with_suffix(".key"), one.user, one.group or "root", 0o640 if one.group else 0o600)
    os.replace(fresh.with_suffix(".key"), one.path.with_suffix(".key"))
    os.replace(fresh, one.path)


def _kept(one: ServerCertificate, folder: Path) -> list[x509.GeneralName]:
    """The names of the present certificate that the authority, which may be another since, permits."""
    if one.role != "broker":
        return []
    try:
        made = x509.load_pem_x509_certificate(one.path.read_bytes())
    except (*UNREADABLE, OSError):
        return []
    ca = x509.load_pem_x509_certificate((folder / authority.CERTIFICATE).read_bytes())
    return [name for name in _alternatives(made) if authority.is_permitted(ca, name)]


def _permits_loopback(folder: Path) -> bool:
    made = x509.load_pem_x509_certificate((folder / authority.CERTIFICATE).read_bytes())
    return authority.is_permitted(made, x509.IPAddress(ip_address(machine.LOOPBACK)))


def broker_host(answers: Answers) -> str:
    """The name by which this server reaches the broker: the loopback, if the authority permits certificates for it."""
    if answers.broker is not None:
        return answers.broker
    return machine.LOOPBACK if _permits_loopback(machine.FOLDER) else answers.name


def _copy_lists(answers: Answers, report: Report) -> bool:
    """Copies the authority's published files to ingest and broker; does nothing while its medium is not mounted."""
    changed = False
    for name in (authority.CERTIFICATE, authority.REVOCATIONS, authority.SIGNERS):
        source = answers.pki / name
        if not source.exists():
            continue
        targets = [machine.FOLDER / name]
        if answers.broker is None and name != authority.SIGNERS:
            targets.append(machine.MOSQUITTO_FILES / name)
        for target in targets:
            if write_file(target, source.read_bytes()):
                changed = True
                report(f"{target}: from {source}")
    return changed
