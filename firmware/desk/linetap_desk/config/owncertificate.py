# SPDX-License-Identifier: Apache-2.0
"""The certificate of a second client of a desk at the broker: a certificate can connect only once, since the broker
takes the session's name from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from linetap_core.enrolment.certificates import UNREADABLE
from linetap_core.errors import BadInput
from linetap_core.wire.mqtt import Broker


def with_own_certificate(
    broker: Broker, others: Mapping[str, Broker], certificate: str | None, key: str | None, place: str
) -> Broker:
    """The broker with the client's own certificate. `place`: where it should be configured."""
    if broker.certificate is None:
        return broker
    another = "`linetap pki desk` makes another"
    if certificate is None:
        raise BadInput(f"{place} and key are missing: with the ingest's own the broker would end its session and drop"
                       f" its queue; {another}")  # fmt: skip
    name = _name(certificate)
    for who, other in others.items():
        if other.certificate is not None and name == _name(other.certificate):
            raise BadInput(f"{certificate}: it has the {who}'s name, {name!r}, by which the broker knows it;"
                           f" {another}")  # fmt: skip
    return msgspec.structs.replace(broker, certificate=certificate, key=key)


def _name(path: str) -> str:
    try:
        subject = x509.load_pem_x509_certificate(Path(path).read_bytes()).subject
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except UNREADABLE:
        raise BadInput(f"{path}: a certificate in PEM expected") from None
    return str(next((name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)), ""))
