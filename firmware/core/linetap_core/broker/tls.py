# SPDX-License-Identifier: Apache-2.0
"""TLS to the broker, by the table `broker` of a configuration."""

from __future__ import annotations

import ssl
from pathlib import Path

from linetap_core.errors import BadInput
from linetap_core.service import credential
from linetap_core.wire.mqtt import Broker


class CertificateAwaited(BadInput):
    """There is no certificate yet: the authority has the request, and may take days."""


def tls_context(broker: Broker) -> ssl.SSLContext | None:
    """TLS 1.3 with a checked host name, where `broker.ca` is set. BadInput for files that cannot be used,
    CertificateAwaited where the certificate is missing."""
    if broker.ca is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    named = ("broker.ca", broker.ca)
    try:
        context.load_verify_locations(broker.ca)
        if broker.certificate is not None:
            named = ("broker.certificate and broker.key", f"{broker.certificate} {broker.key or ''}".strip())
            key = credential(Path(broker.key)) if broker.key else None
            context.load_cert_chain(broker.certificate, key, password=_no_password)
    except OSError as error:
        why = error.strerror if error.errno and not isinstance(error, ssl.SSLError) else "PEM expected"
        gone = isinstance(error, FileNotFoundError) and named[0] != "broker.ca"
        kind = CertificateAwaited if gone and not Path(str(broker.certificate)).exists() else BadInput
        raise kind(f"{named[1]}: {named[0]} cannot be used: {why}") from None
    return context


def _no_password() -> str:
    raise BadInput("broker.key has a passphrase: a service starts with nobody beside it")
