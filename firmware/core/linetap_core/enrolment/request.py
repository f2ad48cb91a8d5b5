# SPDX-License-Identifier: Apache-2.0
"""A unit's request: one line of JSON with a PKCS #10 request and the unit's signing key, each signed by the other.

The request names the signing key (a URI with its fingerprint) and is signed by the TLS key, like every such request;
the signing key signs the request's text. Neither key can therefore be replaced, and stock tools check both:

    jq -j .csr FILE | openssl req -verify -noout -text
    jq -j .sig FILE > sig; jq -j .csr FILE | ssh-keygen -Y check-novalidate -n linetap-enrol -s sig
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from linetap_core.enrolment.certificates import UNREADABLE, x509_name
from linetap_core.errors import BadInput, ShownRefusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey, SigningKey
from linetap_core.evidence.signing import document, namespaces, sshsig, unitnames
from linetap_core.evidence.signing.unitnames import UnitId


class PkiFault(ShownRefusal):
    """The request is invalid, or its name is already assigned."""


LIMIT_BYTES = 16 * 1024
_SCHEME = "linetap-signer:"


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    csr: str
    sig: str


@dataclass(frozen=True, slots=True)
class Request:
    """A valid request: both signatures are good, and each covers the other's key."""

    unit: str
    tls: ec.EllipticCurvePublicKey
    signer: PublicKey

    @property
    def alternatives(self) -> list[x509.GeneralName]:
        """The alternative names of the certificate: the unit's signing key."""
        return [_name_of(self.signer)]


def make(unit: str, tls: ec.EllipticCurvePrivateKey, signer: SigningKey) -> bytes:
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509_name(unit))
        .add_extension(x509.SubjectAlternativeName([_name_of(signer.public_key())]), critical=False)
        .sign(tls, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    return document.encode(Envelope(csr.decode("ascii"), sshsig.sign(csr, signer, namespaces.ENROL)))


def check(data: bytes) -> Request:
    """Verifies a request and returns it; PkiFault names the invalid half."""
    if len(data) > LIMIT_BYTES:
        raise PkiFault("request_malformed", f"larger than {LIMIT_BYTES} bytes")
    try:
        envelope = document.decode(data, Envelope)
    except BadInput as error:
        raise PkiFault("request_malformed", str(error)) from None
    text = envelope.csr.encode()
    signer = sshsig.check(text, envelope.sig.encode(), namespaces.ENROL)
    try:
        csr = x509.load_pem_x509_csr(text)
        names = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        unit = msgspec.convert(names[0].value if len(names) == len(list(csr.subject)) == 1 else "", UnitId)
        named = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        tls = csr.public_key()
        holds = csr.is_signature_valid
    except msgspec.ValidationError:
        raise PkiFault("request_name", "its subject is not a unit's name, CN alone") from None
    except UNREADABLE as error:
        raise PkiFault("request_malformed", f"not a request that a unit makes: {error}") from None
    if unitnames.is_reserved(unit):
        raise PkiFault("request_name", f"a unit named {unitnames.reserved_message(unit)}")
    if not isinstance(tls, ec.EllipticCurvePublicKey) or not isinstance(tls.curve, ec.SECP256R1):
        raise PkiFault("request_key", "its TLS key is not one of P-256")
    if not holds:
        raise PkiFault("request_tls_signature", "the TLS key has not signed this request: it was changed")
    if list(named) != [_name_of(signer)]:
        raise PkiFault("request_signer", "the TLS key's request names another signing key than the one that signed it")
    return Request(unit, tls, signer)


def client_id(certificate: bytes) -> str | None:
    """The name of the signing key in a unit's certificate (PEM), which is the unit's client id in MQTT; None without
    one. A broker that compares both lets no unit end another's connection under its name.
    """
    try:
        extensions = x509.load_pem_x509_certificate(certificate).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except UNREADABLE:
        return None
    found = names.get_values_for_type(x509.UniformResourceIdentifier)
    return next((name for name in found if name.startswith(_SCHEME)), None)


def signer_name(fingerprint: str) -> str:
    return _SCHEME + fingerprint


def _name_of(signer: PublicKey) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(signer_name(keys.fingerprint(signer)))
