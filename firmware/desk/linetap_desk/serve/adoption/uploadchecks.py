# SPDX-License-Identifier: Apache-2.0
"""Checks uploads for a new unit by the unit's own rules: an order with its authority's signature, a certificate for the
requesting key. Pure."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography import x509

from linetap_core.enrolment import order, request
from linetap_core.enrolment.certificates import UNREADABLE
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.signing import authority, namespaces, sshsig
from linetap_core.evidence.signing.unitnames import UnitId
from linetap_core.tomlfile.source import Source

MOST_ORDER_BYTES = 1 << 20


class _Keys(msgspec.Struct):
    authority: str | list[str]
    authority_needed: int = 1


class _Unit(msgspec.Struct):
    unit: UnitId
    keys: _Keys


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signed order: the unit's name, the order, and the signature over its exact bytes."""

    unit: str
    order: bytes
    signature: bytes


def order_of(data: bytes, signature: bytes) -> Prepared:
    """The order. BadInput or SignatureFault if the unit would refuse its form or its signature."""
    if not signature:
        raise BadInput(f"linetap.toml{namespaces.SUFFIX}: a unit takes an order from a desk only with its signature")
    try:
        found = order.read_at_desk(Source(Path(order.NAME), data))
        unit = msgspec.convert(tomllib.loads(found.files[order.UNIT]), _Unit)
        whose = authority.from_lines(unit.keys.authority, unit.keys.authority_needed)
    except BadInput:
        raise
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise BadInput(f"linetap.toml: {str(error)[:300]}; what `linetap provision pack` made expected") from None
    wrong = whose.reason_against(sshsig.check_all(data, signature, namespaces.ORDER))
    if wrong is not None:
        raise BadInput(f"linetap.toml{namespaces.SUFFIX}: {wrong}")
    return Prepared(unit.unit, data, signature)


def require_request(data: bytes, unit: str) -> None:
    """Refusal or BadInput unless it is a request of this unit."""
    if (asked := request.check(data)).unit != unit:
        raise BadInput(f"a request of {asked.unit}, not of {unit}")


def require_certificate(pem: bytes, asked: bytes) -> None:
    """BadInput unless the certificate is for the key of the unit's request. The unit itself checks the issuer."""
    try:
        own = x509.load_pem_x509_certificates(pem)[0].public_key()
        wanted = request.check(asked).tls
    except Refusal as error:
        raise BadInput(str(error)) from None
    except UNREADABLE:
        raise BadInput("not a certificate in PEM: what `linetap pki unit` made expected") from None
    if own != wanted:
        raise BadInput("a certificate of another key than this unit's")
