# SPDX-License-Identifier: Apache-2.0
"""What systemd-networkd, wpa_supplicant and chrony read, made of an order's [network]."""

from __future__ import annotations

from linetap.provision.order import Network, Wifi

WIRE, AIR = "end0 eth0 en*", "wlan0"
SECRET = f"wpa_supplicant/wpa_supplicant-{AIR}.conf"  # a passphrase is in it


def files_of(network: Network) -> dict[str, str | None]:
    """Path below /etc -> text. All of them, each time: None is one that must not be left of an earlier order."""
    vlan = None if network.vlan is None else f"vlan{network.vlan}"
    name = AIR if network.wifi is not None else WIRE
    netdev = f"[NetDev]\nName={vlan}\nKind=vlan\n\n[VLAN]\nId={network.vlan}\n"
    return {
        "systemd/network/10-linetap.network": _network(name, network, vlan),
        "systemd/network/20-linetap-vlan.netdev": vlan and netdev,
        "systemd/network/20-linetap-vlan.network": vlan and _network(vlan, network, None),
        SECRET: _wifi(network.wifi) if network.wifi is not None else None,
        "chrony/sources.d/linetap.sources": "".join(f"server {host} iburst\n" for host in network.ntp) or None,
    }


def _network(name: str, network: Network, vlan: str | None) -> str:
    """`vlan`: the addresses are that one's, and `name` only carries it."""
    lines = ["[Match]", f"Name={name}", "", "[Network]", "LLMNR=no", "MulticastDNS=no"]
    if vlan is not None:
        lines += [f"VLAN={vlan}", "LinkLocalAddressing=no"]
    elif network.address is not None:
        lines += [f"Address={network.address}", f"Gateway={network.gateway}"]
    else:
        lines += ["DHCP=yes"]
    if vlan is None:
        lines += [f"DNS={server}" for server in network.dns]
    return "\n".join(lines) + "\n"


def _wifi(wifi: Wifi) -> str:
    return f'country={wifi.country}\nnetwork={{\n  ssid="{wifi.ssid}"\n  psk="{wifi.passphrase}"\n  ieee80211w=1\n}}\n'
