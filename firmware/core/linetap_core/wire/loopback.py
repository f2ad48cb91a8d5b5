# SPDX-License-Identifier: Apache-2.0
"""Which broker needs no TLS, and which is the unit itself, where no unit of the image has one."""

from __future__ import annotations

import ipaddress

LOOPBACK = ("localhost", "127.0.0.1", "::1")  # plain only with these
_NAMES = ("", "ip6-localhost", "ip6-loopback", "localhost.localdomain")


def is_own(host: str) -> bool:
    """Whether a machine that connects to `host` reaches itself."""
    name = host.strip().rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name in (*_NAMES, *LOOPBACK) or name.endswith(".localhost")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified
