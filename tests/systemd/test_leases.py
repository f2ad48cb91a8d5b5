# SPDX-License-Identifier: Apache-2.0
"""DHCP on a unit's cable and Wi-Fi: Debian's systemd-networkd with the image's files and an order's, and at the other
ends of both the DHCP servers of the same networkd.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from guest import Guest, guest, skip_reason, until
from test_changeover import IMAGE, write

from linetap.provision.applyorder import files_of
from linetap_core.enrolment.order import Network, Wifi

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))
ENDS = {"end0": ("port", "10.9.1.1"), "wlan0": ("radio", "10.9.2.1"), "vlan120": ("tagged", "10.9.3.1")}
SERVER = """[Match]
Name={name}
[Network]
Address={address}/24
DHCPServer=yes
LinkLocalAddressing=no
[DHCPServer]
EmitRouter=yes
EmitDNS=yes
DNS={address}
Router={address}
"""


@pytest.fixture
def unit() -> Iterator[Guest]:
    with guest() as made:
        shutil.copytree(IMAGE / "usr/lib/systemd/network", made.root / "usr/lib/systemd/network", dirs_exist_ok=True)
        made.boot()
        made.run("mount", "-o", "remount,ro,bind", "/sys")  # networkd then waits for no udev
        yield made


def connect(unit: Guest, name: str) -> str:
    """A cable to a DHCP server; returns the unit's MAC."""
    peer, address = ENDS[name]
    unit.run("ip", "link", "add", name, "type", "veth", "peer", "name", peer)
    write(unit, f"/run/systemd/network/05-{peer}.network", SERVER.format(name=peer, address=address))
    unit.run("systemctl", "restart", "systemd-networkd")
    return unit.run("cat", f"/sys/class/net/{name}/address").strip()


def order(unit: Guest, network: Network) -> None:
    for path, text in files_of(network).items():
        if text is not None and path.startswith("systemd/network/") and not path.endswith(".netdev"):
            # a cable stands for the VLAN, as for the radio
            write(unit, f"/etc/{path}", text)


def way(unit: Guest) -> str:
    """The interface of packets to elsewhere."""
    return unit.run("ip", "route", "get", "203.0.113.5", check=False).partition(" dev ")[2].partition(" ")[0]


def identifier(unit: Guest) -> str:
    """Option 61 (RFC 2132, 9.14) of the only lease, in hexadecimal."""
    said = unit.run("sh", "-c", "cat /run/systemd/netif/leases/*", check=False)
    return next((line.removeprefix("CLIENTID=") for line in said.splitlines() if line.startswith("CLIENTID=")), "")


@pytest.mark.parametrize(("name", "network"), [
    ("end0", None), ("end0", Network()), ("wlan0", Network(wifi=Wifi(ssid="city", passphrase="twelve chars"))),
    ("vlan120", Network(vlan=120)),
])  # fmt: skip
def test_a_lease_is_the_boards_and_not_the_cards(unit: Guest, name: str, network: Network | None) -> None:
    """A site reserves addresses by the MAC that is printed on the board. A server that compares identifiers gives
    another address to a unit that sends a DUID (TechnitiumSoftware/DnsServer#606, canonical/netplan#16).
    """
    if network is not None:
        order(unit, network)
    mac = connect(unit, name)
    until(lambda: identifier(unit) != "", "it has a lease")
    assert identifier(unit) == "01" + mac.replace(":", "")


def test_an_orders_wi_fi_comes_before_a_cable_that_is_plugged_in_too(unit: Guest) -> None:
    """The cable's lease is usually there first: a second default route of the same metric is behind it."""
    order(unit, Network(wifi=Wifi(ssid="city", passphrase="twelve chars")))
    connect(unit, "end0")
    until(lambda: way(unit) == "end0", "the cable has a lease, and serves alone")
    connect(unit, "wlan0")
    until(lambda: unit.run("ip", "route", "show", "default").count("via") == 2, "both have a lease")
    assert way(unit) == "wlan0"
    unit.run("ip", "link", "set", "radio", "down")
    until(lambda: way(unit) == "end0", "the cable serves again")


def name_servers(unit: Guest) -> dict[str, list[str]]:
    """The servers of each interface, as resolved reads them from networkd. It lists those of all interfaces together,
    in the order of a hash, and a program asks the first that answers (manager_compile_dns_servers in
    resolved-manager.c).
    """
    found = {}
    for name in ENDS:
        index = unit.run("cat", f"/sys/class/net/{name}/ifindex", check=False).strip()
        said = unit.run("cat", f"/run/systemd/netif/links/{index}", check=False) if index.isdigit() else ""
        found[name] = next((line.removeprefix("DNS=").split() for line in said.splitlines() if line[:4] == "DNS="), [])
    return found


def test_the_name_servers_of_an_order_for_wi_fi_are_not_mixed_with_a_cables(unit: Guest) -> None:
    order(unit, Network(wifi=Wifi(ssid="city", passphrase="twelve chars"), dns=["10.9.9.9"]))
    connect(unit, "end0")
    connect(unit, "wlan0")
    until(lambda: unit.run("ip", "route", "show", "default").count("via") == 2, "both have a lease")
    until(lambda: name_servers(unit)["wlan0"] == ["10.9.9.9", "10.9.2.1"], "the order's come first")
    assert name_servers(unit)["end0"] == []


def test_without_name_servers_in_the_order_the_cables_serve_too(unit: Guest) -> None:
    order(unit, Network(wifi=Wifi(ssid="city", passphrase="twelve chars")))
    connect(unit, "end0")
    until(lambda: name_servers(unit)["end0"] == ["10.9.1.1"], "the cable serves alone")
