# SPDX-License-Identifier: Apache-2.0
"""Checks of a unit's network in an order. A unit with an impossible address or an unreachable gateway is lost to its
desk, and only a person with a card can recover it.
"""

from __future__ import annotations

import ipaddress
import re

from linetap_core.wire.hosts import is_address, is_host, is_own_host

_ZONE = re.compile(r"[0-9A-Za-z._-]{1,15}", re.ASCII)
WIDEST = 8  # of a network: the whole Internet is not accepted
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_interface(text: str) -> bool:
    """Whether the text is a host's address with its prefix length: 10.1.2.3/24."""
    found = _interface(text)
    return found is not None and found.network.prefixlen >= WIDEST and _is_of_host(found.ip, found.network)


def is_gateway(text: str, interface: str) -> bool:
    """Whether a machine at `interface` reaches the gateway directly; otherwise the kernel accepts no route through it
    (systemd.network(5), GatewayOnLink=, which is not written). An address of fe80::/10 is on every link; it has no
    zone, because systemd-networkd ignores `Gateway=fe80::1%end0`.
    """
    found = _interface(interface)
    if found is None or not is_address(text):
        return False
    address = ipaddress.ip_address(text)
    if address.version != found.version or address == found.ip:
        return False
    if address.version == 6 and (address.is_link_local or address == found.network.network_address):
        return True  # RFC 4291, 2.6.1: a network's first address belongs to its routers
    return address in found.network and _is_of_host(address, found.network)


def is_server(text: str) -> bool:
    """Whether the text is the address of another machine, e.g. a name server. A zone may follow."""
    try:
        address = _with_zone(text)
    except ValueError:
        return False
    return is_host(str(address).partition("%")[0]) and not is_own_host(str(address))


def is_broker_network(text: str) -> bool:
    """Whether brokers may have this address or network: of other machines, and not the whole Internet."""
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        return False
    of_others = not (found.is_loopback or found.is_unspecified or found.is_multicast)
    return of_others and found.prefixlen >= WIDEST


def _interface(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        return None
    is_mapped = found.version == 6 and found.ip.ipv4_mapped is not None  # IPv4 in IPv6, never sent on a wire
    return found if "/" in text and "%" not in text and not is_mapped else None


def _is_of_host(address: Address, network: Network) -> bool:
    """Whether a host may have the address. RFC 1122, 3.2.1.3: not the network's, broadcast's, or one of these kinds."""
    if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved:
        return False
    if network.max_prefixlen - network.prefixlen < 2:  # RFC 3021: two hosts only
        return True
    # RFC 4291, 2.6.1: IPv6's first address belongs to the routers, and there is no broadcast.
    return address != network.network_address and (address.version == 6 or address != network.broadcast_address)


def _with_zone(text: str) -> Address:
    """The address with its zone. ValueError for zones that ipaddress accepts wrongly: any text after %."""
    address, percent, zone = text.partition("%")
    found = ipaddress.ip_address(address)
    if percent and (found.version == 4 or not _ZONE.fullmatch(zone)):
        raise ValueError(text)
    return found
