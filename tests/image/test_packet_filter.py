# SPDX-License-Identifier: Apache-2.0
"""The image's nftables.conf in a network namespace, with a router in another: a unit in a network with IPv6 alone gets
its address, its name servers and its neighbours' questions, and nothing else that it has not asked for.

The router's packets are made here. Whether one got past the filter is the kernel's own count (/proc/net/snmp6), or a
socket's.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

PROJECT = Path(__file__).parents[2]
RULES, SETTINGS = PROJECT / "image/root/etc/nftables.conf", PROJECT / "systemd/sysctl.d/linetap.conf"
UNIT, ROUTER, DESK = (f"linetap-{name}-{os.getpid()}" for name in ("unit", "router", "desk"))
UNIT_AT, ROUTER_AT = "fe80::1", "fe80::2"
ALL_NODES, DHCP_SERVERS = "ff02::1", "ff02::1:2"  # RFC 4291, 2.7.1; RFC 8415, 7.1
QUERY, SOLICIT, ECHO = 130, 135, 128  # ICMPv6: MLD's query, a neighbour's question, echo
ROUTER_ALERT = bytes((0x3A, 0, 5, 2, 0, 0, 1, 0))  # hop-by-hop options, RFC 2711

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("nft") is None, reason="only root makes namespaces, and nft is needed"
    ),
    pytest.mark.usefixtures("cable"),
]


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


def python(where: str, text: str) -> str:
    head = "import socket, struct, sys\nindex = socket.if_nametoindex('cable')\n"
    return run("ip", "netns", "exec", where, sys.executable, "-c", head + dedent(text))


@pytest.fixture
def cable() -> Iterator[None]:
    """A cable between both, with their link-local addresses."""
    made = []
    try:
        for name in (UNIT, ROUTER):
            run("ip", "netns", "add", name)
            made.append(name)
        run("ip", "-n", UNIT, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", ROUTER)
        for name in made:
            # Without duplicate address detection an address is usable at once.
            run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.cable.accept_dad=0")
            run("ip", "-n", name, "link", "set", "cable", "up")
            run("ip", "-n", name, "-6", "addr", "add", UNIT_AT if name == UNIT else ROUTER_AT, "dev", "cable", "nodad")
            run("ip", "-n", name, "link", "set", "lo", "up")
        for name, other in ((UNIT, ROUTER_AT), (ROUTER, UNIT_AT)):
            found = run("ip", "-n", ROUTER if name == UNIT else UNIT, "-br", "link", "show", "cable").split()[2]
            run("ip", "-n", name, "neigh", "replace", other, "lladdr", found, "dev", "cable", "nud", "permanent")
        run("ip", "netns", "exec", UNIT, "nft", "-f", str(RULES))
        yield
    finally:
        for name in made:
            run("ip", "netns", "del", name)


def count(name: str) -> int:
    lines = run("ip", "netns", "exec", UNIT, "cat", "/proc/net/snmp6").splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == name)


def send(kind: int, body: bytes, to: str, hops: int, before: bytes = b"", echoes: int = 0) -> None:
    """Sends an ICMPv6 packet, with `before` as hop-by-hop options, after so many echo requests. Each of these has its
    own number, because a second one of the same number belongs to an established connection.
    """
    python(
        ROUTER,
        f"""
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, {hops})
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, {hops})
        raw.bind(({ROUTER_AT!r}, 0, 0, index))
        for number in range({echoes}):
            raw.sendto(struct.pack("!BBHHH", {ECHO}, 0, 0, number, 1), ({to!r}, 0, 0, index))
        options = [(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, {before!r})] if {before!r} else []
        raw.sendmsg([{bytes((kind, 0, 0, 0)) + body!r}], options, 0, ({to!r}, 0, 0, index))
    """,
    )


def test_the_answer_of_a_dhcp_server_arrives() -> None:
    assert asks_for_an_address(server_port=547) == "ADVERTISE"


def test_of_no_other_machine() -> None:
    assert asks_for_an_address(server_port=5470) == ""


def asks_for_an_address(server_port: int) -> str:
    """Returns the text that a DHCPv6 client on the unit receives within a second of its question, or none."""
    answer = f"""
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        server.bind(({ROUTER_AT!r}, {server_port}, 0, index))
        server.sendto(b"ADVERTISE", ({UNIT_AT!r}, 546, 0, index))
    """
    ask = f"""
        import subprocess
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        client.bind(("::", 546))
        client.settimeout(1)
        client.sendto(b"SOLICIT", ({DHCP_SERVERS!r}, 547, 0, index))
        sys.stdout.flush()
        answer = "import socket\\nindex = socket.if_nametoindex('cable')\\n" + {dedent(answer)!r}
        subprocess.run(["nsenter", "--net=/run/netns/{ROUTER}", sys.executable, "-c", answer], check=True)
        try:
            print(client.recv(64).decode(), end="")
        except TimeoutError:
            pass
    """
    return python(UNIT, ask)


def test_a_switchs_query_is_answered() -> None:
    """RFC 2710, 3: the switch passes a group only to the ports from which it is reported."""
    before = count("Icmp6InGroupMembQueries")
    send(QUERY, struct.pack("!HH16s", 1000, 0, bytes(16)), ALL_NODES, 1, before=ROUTER_ALERT)
    assert count("Icmp6InGroupMembQueries") == before + 1


def test_a_flood_of_echoes_does_not_hide_a_neighbours_question() -> None:
    before = count("Icmp6InNeighborSolicits")
    target = socket.inet_pton(socket.AF_INET6, UNIT_AT)
    send(SOLICIT, bytes(4) + target, UNIT_AT, 255, echoes=300)
    assert count("Icmp6InEchos") < 200, "their rate is limited"
    assert count("Icmp6InNeighborSolicits") == before + 1


@pytest.fixture
def silent_tunnel() -> Iterator[str]:
    """Makes the router one whose other side has smaller packets, and who reports none that is too big; returns the
    address of a machine there.
    """
    run("ip", "netns", "add", DESK)
    try:
        run(
            "ip",
            "-n",
            ROUTER,
            "link",
            "add",
            "tunnel",
            "mtu",
            "1280",
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            DESK,
        )
        for name, device, address in (
            (UNIT, "cable", "10.8.1.2/24"), (ROUTER, "cable", "10.8.1.1/24"), (ROUTER, "tunnel", "10.8.2.1/24"),
            (DESK, "cable", "10.8.2.2/24"),
        ):  # fmt: skip
            run("ip", "-n", name, "addr", "add", address, "dev", device)
            run("ip", "-n", name, "link", "set", device, "up")
        run("ip", "-n", UNIT, "route", "add", "default", "via", "10.8.1.1")
        run("ip", "-n", DESK, "route", "add", "default", "via", "10.8.2.1")
        run("ip", "netns", "exec", ROUTER, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        hook = "add table ip quiet; add chain ip quiet out { type filter hook output priority 0; }"
        rule = "add rule ip quiet out icmp type destination-unreachable drop"
        run("ip", "netns", "exec", ROUTER, "nft", f"{hook}; {rule}")
        yield "10.8.2.2"
    finally:
        run("ip", "netns", "del", DESK)


def test_a_call_passes_a_tunnel_that_says_nothing(silent_tunnel: str) -> None:
    """RFC 4821, by the unit's own setting; without it not a byte of the answer comes."""
    names = dict(line.split(" = ") for line in SETTINGS.read_text().splitlines() if line.startswith("net."))
    for name, value in names.items():
        run("ip", "netns", "exec", UNIT, "sysctl", "-qw", f"{name}={value}")
    serve = f"""
        server = socket.create_server(({silent_tunnel!r}, 8883))
        print(flush=True)
        connection, size = server.accept()[0], 0
        while data := connection.recv(65536):
            size += len(data)
        print(size)
    """
    words = ["ip", "netns", "exec", DESK, sys.executable, "-c", "import socket\n" + dedent(serve)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as desk:
        assert desk.stdout is not None
        try:
            desk.stdout.readline()
            python(UNIT, f"socket.create_connection(({silent_tunnel!r}, 8883)).sendall(bytes(40_000))")
            assert desk.communicate(timeout=60)[0] == "40000\n"
        finally:
            desk.kill()
