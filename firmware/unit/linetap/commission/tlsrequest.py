# SPDX-License-Identifier: Apache-2.0
"""`linetap pki request`, on the unit: makes a TLS key, which never leaves the unit, and the authority's request."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from linetap import unitkeys
from linetap.config import Config, load_config
from linetap.config.require import HOME, TLS_KEY, UNIT_KEY, require_usual_place
from linetap_core.durable import copies, privatefile, signedfile
from linetap_core.enrolment import certificates, request
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey
from linetap_core.rundir import read_small
from linetap_core.wire.mqtt import PUBLIC_AUTHORITIES

_KEY_LIMIT_BYTES = 64 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="unit.toml")
    parser.add_argument(
        "--new-key", action="store_true", help="after a revocation: the key there is, and its certificate, are given up"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="UNIT.request", help="must not exist")


def run(args: argparse.Namespace) -> int:
    """Prints the request and the key's fingerprint, for comparison at the unit's enrolment."""
    config = load_config(args.config)
    require_usual_place(args.config, "broker.key", key_path(config), HOME / TLS_KEY)
    require_usual_place(args.config, "key", Path(config.key), HOME / UNIT_KEY)
    signedfile.require_free(args.output)
    made, signer = make_request(config, args.new_key)
    privatefile.write(args.output, made)
    args.output.chmod(0o644)
    sys.stdout.write(f"{config.unit} {keys.fingerprint(signer)}\n")
    return 0


def make_request(config: Config, new_key: bool = False) -> tuple[bytes, PublicKey]:
    """The request, and the signing key that it names. Makes the TLS key if there is none, or a new one is requested."""
    signer = unitkeys.open_key(Path(config.key), config.keys)
    return request.make(config.unit, _tls_key(key_path(config), new_key), signer), signer.public_key()


def key_path(config: Config) -> Path:
    """The path of the TLS key: [broker] key, or by default tls.key beside the signing key."""
    return Path(config.broker.key) if config.broker.key is not None else Path(config.key).with_name("tls.key")


def require_own(config: Config, pem: bytes, name: str) -> None:
    """Raises BadInput unless the certificate is of this unit's TLS key and, if a site's own authority is configured,
    issued by it.
    """
    try:
        own, *between = x509.load_pem_x509_certificates(pem)
        if own.public_key() != _load(key_path(config)).public_key():
            raise BadInput(f"{name}: a certificate of another key than this unit's")
    except BadInput:
        raise
    except certificates.UNREADABLE:
        raise BadInput(f"{name}: not a certificate") from None
    if config.broker.ca == PUBLIC_AUTHORITIES:  # a public authority issued the broker's certificate, but not the unit's
        return
    try:
        authorities = x509.load_pem_x509_certificates(read_small(Path(config.broker.ca or ""), _KEY_LIMIT_BYTES))
    except (*certificates.UNREADABLE, OSError):
        return
    issuers = [*authorities, *(each for each in between if _is_issued(each, authorities))]
    if not _is_issued(own, issuers):
        raise BadInput(f"{name}: not issued by the authority that the configuration names in broker.ca")


def _is_issued(certificate: x509.Certificate, issuers: list[x509.Certificate]) -> bool:
    for issuer in issuers:
        with contextlib.suppress(*certificates.UNREADABLE, TypeError, InvalidSignature):
            certificate.verify_directly_issued_by(issuer)
            return True
    return False


def _tls_key(path: Path, new: bool) -> ec.EllipticCurvePrivateKey:
    """The key at `path`, or a new one if missing or requested. The old key stays until the new one is written."""
    if path.exists() and not new:
        return _load(path)
    key = certificates.new_key()
    privatefile.replace(path, certificates.key_pem(key))
    return key


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    data = copies.damaged(path) or read_small(path, _KEY_LIMIT_BYTES)
    try:
        return _key_of(data)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _key_of(data: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(data, None)
    except (*certificates.UNREADABLE, TypeError):
        raise BadInput(_WANTED) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput(_WANTED)
    return key


def keep_copy(path: Path) -> None:
    """Keeps a copy of a good TLS key, as `unitkeys.keep_copy` does of the unit's."""
    copies.keep_if(path, _key_of)


_WANTED = "not a P-256 key in PEM without a passphrase; --new-key makes one in its place"
