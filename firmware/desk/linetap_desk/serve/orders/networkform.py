# SPDX-License-Identifier: Apache-2.0
"""The form of one unit's network: wire or Wi-Fi, DHCP or a fixed address, and the address of its broker. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from linetap_core.enrolment import networks, order
from linetap_desk.serve.orders.fields import MISTAKES, Form
from linetap_desk.web.text import N_

FIELDS = ("address", "gateway", "dns", "vlan", "wifi_ssid", "wifi_passphrase", "broker_network")

SAYS = {
    "interface": N_("Enter the address with the length of its network, such as 10.1.2.3/24."),
    "gateway": N_("Enter a gateway in the unit's own network, such as 10.1.2.1; address and gateway go together."),
    "wire": N_("A VLAN is on the wire, not on Wi-Fi: leave one of them empty."),
    "ssid": N_('Enter a name of at most 32 bytes, a Korean letter being 3, without ".'),
    "ssid_missing": N_("Enter the name of the Wi-Fi network too."),
    "passphrase": N_('Enter the passphrase: 8 to 63 letters, digits or signs of ASCII, without ".'),
}


@dataclass(frozen=True, slots=True)
class Wifi:
    ssid: str
    passphrase: str = field(repr=False)  # a secret; only the order stores it


@dataclass(frozen=True, slots=True)
class Network:
    """A unit's network. `broker`: the broker's address outside private networks."""

    address: str
    gateway: str
    dns: list[str]
    vlan: int | None
    wifi: Wifi | None
    broker: list[str]


def read(form: Form) -> Network:
    """The form's values, valid only if the form has no mistakes."""
    address, gateway = form.text("address"), form.text("gateway")
    is_known = networks.is_interface(address)
    if address and not is_known:
        form.wrong("address", SAYS["interface"])
    if bool(address) != bool(gateway) or (is_known and not networks.is_gateway(gateway, address)):
        form.wrong("gateway", SAYS["gateway"])
    dns, vlan, wifi = form.addresses("dns"), form.number("vlan", 1, 4094, is_required=False), _wifi(form)
    if vlan is not None and wifi is not None:
        form.wrong("vlan", SAYS["wire"])
    return Network(address, gateway, dns, vlan, wifi, form.networks("broker_network"))


def _wifi(form: Form) -> Wifi | None:
    ssid, passphrase = form.text("wifi_ssid"), form.typed.get("wifi_passphrase", "")
    if not ssid and not passphrase:
        return None
    if not ssid:
        form.wrong("wifi_ssid", SAYS["ssid_missing"])
    elif not order.is_ssid(ssid):
        form.wrong("wifi_ssid", SAYS["ssid"])
    if not passphrase:
        form.wrong("wifi_passphrase", MISTAKES["missing"])
    elif not order.is_passphrase(passphrase):
        form.wrong("wifi_passphrase", SAYS["passphrase"])
    return Wifi(ssid, passphrase)
