# SPDX-License-Identifier: Apache-2.0
"""X.509 by RFC 5280, ECDSA P-256 with SHA-256: a root, the certificates that it issues, and its revocation list. No
files.

A unit's certificate has the unit's name (`floor-03`), all others a name with a colon (`desk:seoul`, `broker:HOST`),
which no unit can have. The broker uses this name as the user name, so that no client can choose its role.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

Role = Literal["unit", "broker", "desk"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ROOT_DAYS = 3653  # ten years
DAYS = 400
BACKDATED = timedelta(hours=1)  # so that a slightly late clock accepts a new certificate
NAME_LIMIT = 64  # RFC 5280, ub-common-name
_ANY: tuple[x509.GeneralName, ...] = (
    x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
    x509.IPAddress(ipaddress.ip_network("::/0")),
)
_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
# A broker is also a client of its superior broker.
_PURPOSES: dict[Role, list[ObjectIdentifier]] = {"unit": [_CLIENT], "broker": [_SERVER, _CLIENT], "desk": [_CLIENT]}
# The exceptions for X.509 and keys of others that cannot be read; most are no ValueError.
UNREADABLE = (
    ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.ExtensionNotFound, x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip


def common_name(role: Role, name: str) -> str:
    return name if role == "unit" else f"{role}:{name}"


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as PKCS #8 without a passphrase: brokers and units start unattended."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def root(
    key: ec.EllipticCurvePrivateKey, name: str, at: datetime, domains: Iterable[str], networks: Iterable[Network]
) -> x509.Certificate:
    """A certificate of ten years that issues only end certificates, and only for hosts in `domains` and `networks`."""
    until = at + timedelta(days=ROOT_DAYS)
    builder = _begun(x509_name(name), x509_name(name), key.public_key(), key.public_key(), at, until)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(_constraints(list(domains), list(networks)), critical=True)
        .sign(key, hashes.SHA256())
    )


def issue(
    ca: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    at: datetime,
    role: Role,
    name: str,
    public: ec.EllipticCurvePublicKey,
    alternatives: list[x509.GeneralName],
) -> x509.Certificate:
    """A certificate for DAYS days, but not beyond the root's end."""
    until = min(at + timedelta(days=DAYS), ca.not_valid_after_utc)
    builder = _begun(x509_name(common_name(role, name)), ca.subject, public, key.public_key(), at, until)
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_PURPOSES[role]), critical=False)
        .sign(key, hashes.SHA256())
    )


def revocation_list(
    ca: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    at: datetime,
    number: int,
    revoked: Iterable[tuple[int, datetime]],
) -> x509.CertificateRevocationList:
    """A list of (serial, time), valid as long as the root: its expiry would lock out all units on one day."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(at - BACKDATED)
        .next_update(ca.not_valid_after_utc)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    for serial, moment in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(key, hashes.SHA256())


def x509_name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuers: ec.EllipticCurvePublicKey,
    at: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuers), critical=False)
    )


def _usage(digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _constraints(domains: list[str], networks: list[Network]) -> x509.NameConstraints:
    """The root's name constraints. A kind of name without permitted ones is excluded whole; otherwise all its names
    would be permitted.
    """
    permitted = [*map(x509.DNSName, domains), *map(x509.IPAddress, networks)]
    excluded = [*(() if domains else (x509.DNSName(""),)), *(() if networks else _ANY)]
    return x509.NameConstraints(permitted or None, excluded or None)
