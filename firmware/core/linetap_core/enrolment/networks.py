# SPDX-License-Identifier: Apache-2.0
"""The limits of a unit's network in an order. A unit with an impossible address, or a gateway that it cannot reach, is
lost to its desk, and only somebody with a card brings it back.
"""

from __future__ import annotations

import ipaddress
import re

from linetap_core.wire.hosts import is_address, is_host, is_own_host

_ZONE = re.compile(r"[0-9A-Za-z._-]{1,15}", re.ASCII)
WIDEST = 8  # of a network: the whole Internet is no place
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_interface(text: str) -> bool:
    """Whether it is an address of a host, with the length of its network: 10.1.2.3/24."""
    found = _interface(text)
    return found is not None and found.network.prefixlen >= WIDEST and _is_of_host(found.ip, found.network)


def is_gateway(text: str, interface: str) -> bool:
    """Whether a machine at `interface` reaches it directly, without which the kernel takes no route by it
    (systemd.network(5), GatewayOnLink=, which is not written). One of fe80::/10 is on every link, without its zone:
    systemd-networkd ignores `Gateway=fe80::1%end0`.
    """
    found = _interface(interface)
    if found is None or not is_address(text):
        return False
    address = ipaddress.ip_address(text)
    if address.version != found.version or address == found.ip:
        return False
    if address.version == 6 and (address.is_link_local or address == found.network.network_address):
        return True  # RFC 4291, 2.6.1: the first address of a network is its routers'
    return address in found.network and _is_of_host(address, found.network)


def is_server(text: str) -> bool:
    """Whether it is the address of another machine, which may answer names. A zone may follow."""
    try:
        address = _with_zone(text)
    except ValueError:
        return False
    return is_host(str(address).partition("%")[0]) and not is_own_host(str(address))


def is_broker_network(text: str) -> bool:
    """Whether brokers may be there: an address or a network of other machines, and not the whole Internet."""
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
    is_mapped = found.version == 6 and found.ip.ipv4_mapped is not None  # of IPv4, and on no wire
    return found if "/" in text and "%" not in text and not is_mapped else None


def _is_of_host(address: Address, network: Network) -> bool:
    """RFC 1122, 3.2.1.3: no host has the address of a network or of its broadcast, or one of these kinds."""
    if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved:
        return False
    if network.max_prefixlen - network.prefixlen < 2:  # RFC 3021: two hosts, and nothing else
        return True
    # RFC 4291, 2.6.1: of IPv6 the first one is the routers', and there is no broadcast.
    return address != network.network_address and (address.version == 6 or address != network.broadcast_address)


def _with_zone(text: str) -> Address:
    """ValueError for what ipaddress accepts behind the % of fe80::1%end0: anything, and a new line too."""
    address, percent, zone = text.partition("%")
    found = ipaddress.ip_address(address)
    if percent and (found.version == 4 or not _ZONE.fullmatch(zone)):
        raise ValueError(text)
    return found
