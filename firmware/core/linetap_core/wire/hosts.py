# SPDX-License-Identifier: Apache-2.0
"""Hosts as people write them: only a name or an address. A scheme, a port or brackets would become part of the name in
a look-up, which never finds it.
"""

from __future__ import annotations

import ipaddress
import re
import socket

MOST = 253  # RFC 1035, 2.3.4: a name without the dot at its end
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BROKER_WANTED = "its name or address alone, such as mqtt.city.example or 10.1.2.5,"
_OWN_NAMES = ("", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback")
_LABEL = re.compile(r"[0-9a-z_]([0-9a-z_-]{0,61}[0-9a-z_])?", re.ASCII | re.IGNORECASE)  # RFC 1123 2.1; _ is Windows'
# WHATWG URL, "ends in a number checker": such a text is an address; a resolver reads 127.1 like inet_aton(3).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII | re.IGNORECASE)


def is_host(text: str) -> bool:
    """Whether the text is a name in ASCII, or the full address of one machine. A name may end in one dot."""
    if is_address(text):
        address = ipaddress.ip_address(text)
        return not address.is_multicast and not (address.version == 4 and address.is_reserved)
    labels = text.removesuffix(".").split(".")
    return (
        len(text) <= MOST + 1 and all(_LABEL.fullmatch(label) for label in labels) and not _NUMBER.fullmatch(labels[-1])
    )


def is_tls_host(text: str) -> bool:
    """Whether a certificate may have the name: no final dot, which OpenSSL compares as part of the name."""
    return is_host(text) and not text.endswith(".")


def in_url(host: str) -> str:
    """The host in a URL: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address, without a zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_own_host(host: str) -> bool:
    """Whether a machine that connects to `host` reaches itself."""
    name = host.strip().removeprefix("[").removesuffix("]").rstrip(".").lower()
    address = _address(name)
    if address is None:
        return name in (*_OWN_NAMES, *LOOPBACK) or name.endswith(".localhost")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a resolver reads in the text, also in 127.1 and 2130706433."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return None
