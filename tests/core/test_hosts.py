# SPDX-License-Identifier: Apache-2.0
"""Hosts, and names of the machine itself, compared with the resolver's interpretation."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from linetap_core.wire.hosts import is_host, is_own_host, is_tls_host

OWN = [
    "127.0.0.1", "127.1", "127.255.255.254", "0", "0.0.0.0", "0x7f.1", "017700000001", "2130706433",
    "::1", "0:0:0:0:0:0:0:1", "::", "::ffff:127.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("text", OWN)
def test_every_spelling_of_the_machine_itself(text: str) -> None:
    """getaddrinfo(3) without a look-up, i.e. by its own parsing of numbers (inet_aton(3))."""
    found = socket.getaddrinfo(text, 1, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    address = ipaddress.ip_address(found[0][4][0])
    mapped = getattr(address, "ipv4_mapped", None) or address
    assert mapped.is_loopback or mapped.is_unspecified
    assert is_own_host(text)


@pytest.mark.parametrize("text", ["localhost", "LOCALHOST.", " localhost", "[::1]", "a.localhost", "localhost6", ""])
def test_names_of_the_machine_itself(text: str) -> None:
    """RFC 6761, 6.3, and the names in Debian's /etc/hosts."""
    assert is_own_host(text)


@pytest.mark.parametrize("text", ["10.1.2.3", "fd00::1", "broker", "localhost.example", "127.example", "10.1", "한국"])
def test_another_machine(text: str) -> None:
    assert not is_own_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "broker",
        "mqtt.city.example",
        "a_b.example",
        "xn--hj2bz2c.kr",
        "10.1.2.3",
        "fd00::1",
        "1a.2b",
        "ntp.city.example.",
    ],
)
def test_a_name_or_an_address(text: str) -> None:
    assert is_host(text)
    assert is_tls_host(text) == (not text.endswith("."))


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "a..b", "-a.example", "a-.example", "x" * 64 + ".example", ".".join(["x" * 63] * 4),
        "mqtts://a.example", "a.example:8883", "[fd00::1]", "fe80::1%end0", "a b", "a.example ", "user@a.example",
        "a.example/", "１０.1.2.3", "브로커.한국", "127.1", "10.1.2", "10.1.2.300", "10.1.2.3.4", "0x7f.1", "a\nb",
    ],
)  # fmt: skip
def test_what_is_neither(text: str) -> None:
    """RFC 1123, 2.1: a name's last part is no number; other numeric forms are written in full, or are an error."""
    assert not is_host(text)
