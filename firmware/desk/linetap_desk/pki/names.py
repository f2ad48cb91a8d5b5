# SPDX-License-Identifier: Apache-2.0
"""Names of hosts, networks and desks, as a person types them; and whether a root may speak for a host."""

from __future__ import annotations

import ipaddress
import re

from cryptography import x509

from linetap_core.enrolment.certificates import Network
from linetap_core.errors import BadInput
from linetap_core.evidence import unitnames

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBERS = re.compile(r"[0-9.]+")
_DOMAIN_LIMIT = 253


def domain(text: str, what: str) -> str:
    if len(text) > _DOMAIN_LIMIT or not _DOMAIN.fullmatch(text) or _NUMBERS.fullmatch(text):
        raise BadInput(f"{what} {text!r}: a name in small letters, as mqtt.police.example, would be right")
    return text


def network(text: str, what: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise BadInput(f"{what} {text!r}: {error}; 10.20.0.0/16 would be right") from None


def host(text: str, what: str) -> x509.GeneralName:
    """An address or a name, as a certificate's alternative name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(domain(text, what))


def desk(text: str) -> str:
    if not unitnames.is_name(text):
        raise BadInput(f"NAME {text!r}: 2 to 40 of a-z, 0-9 and -, not beginning with -, would be right")
    return text


def permitted(ca: x509.Certificate, name: x509.GeneralName) -> bool:
    """RFC 5280, 4.2.1.10: a certificate beyond its root's constraints would be refused by every client."""
    subtrees = ca.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    return any(_within(name, subtree) for subtree in subtrees)


def _within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    match name, subtree:
        case x509.DNSName(value=inner), x509.DNSName(value=outer):
            return inner == outer or inner.endswith(f".{outer}")
        case x509.IPAddress(value=address), x509.IPAddress(value=net):
            return isinstance(net, Network) and not isinstance(address, Network) and address in net
    return False
