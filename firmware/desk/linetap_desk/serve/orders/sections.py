# SPDX-License-Identifier: Apache-2.0
"""The sections of a unit's order form: its network, its SMDR port, and the ending of calls. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, get_args

from linetap_core.enrolment import networks, order
from linetap_core.errors import BadInput
from linetap_core.wire import smdrcolumns
from linetap_core.wire.situations import OVERLONG, SITUATIONS
from linetap_desk.serve.orders.fields import MISTAKES, Form
from linetap_desk.web.text import N_

NETWORK_FIELDS = ("address", "gateway", "dns", "vlan", "wifi_ssid", "wifi_passphrase", "broker_network")

NETWORK_MISTAKES = {
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


def read_network(form: Form) -> Network:
    """The form's values, valid only if the form has no mistakes."""
    address, gateway = form.text("address"), form.text("gateway")
    is_known = networks.is_interface(address)
    if address and not is_known:
        form.wrong("address", NETWORK_MISTAKES["interface"])
    if bool(address) != bool(gateway) or (is_known and not networks.is_gateway(gateway, address)):
        form.wrong("gateway", NETWORK_MISTAKES["gateway"])
    dns, vlan, wifi = form.addresses("dns"), form.number("vlan", 1, 4094, is_required=False), _wifi(form)
    if vlan is not None and wifi is not None:
        form.wrong("vlan", NETWORK_MISTAKES["wire"])
    return Network(address, gateway, dns, vlan, wifi, form.networks("broker_network"))


def _wifi(form: Form) -> Wifi | None:
    ssid, passphrase = form.text("wifi_ssid"), form.typed.get("wifi_passphrase", "")
    if not ssid and not passphrase:
        return None
    if not ssid:
        form.wrong("wifi_ssid", NETWORK_MISTAKES["ssid_missing"])
    elif not order.is_ssid(ssid):
        form.wrong("wifi_ssid", NETWORK_MISTAKES["ssid"])
    if not passphrase:
        form.wrong("wifi_passphrase", MISTAKES["missing"])
    elif not order.is_passphrase(passphrase):
        form.wrong("wifi_passphrase", NETWORK_MISTAKES["passphrase"])
    return Wifi(ssid, passphrase)


SMDR_FORMATS = ("", *smdrcolumns.MAKERS, smdrcolumns.COLUMNS)
SMDR_BAUDS = tuple(map(str, sorted(get_args(smdrcolumns.Baud), reverse=True)))
SMDR_TIMES = get_args(smdrcolumns.TimeIs)
_SMDR_CHECKS: dict[str, Callable[[str], object]] = {
    "columns": smdrcolumns.columns,
    "kinds": smdrcolumns.kinds,
    **{
        name: partial(smdrcolumns.picture, needed=need, allowed=may)
        for name, (need, may) in smdrcolumns.PICTURES.items()
    },
}
SMDR_STANDARD = {
    f"smdr_{name}": str(getattr(smdrcolumns.Standard, name))
    for name in ("baud", "date", "time", "duration", "time_is", "kinds")
}
SMDR_FIELDS = ("smdr_format", "smdr_baud", "smdr_time_is", *(f"smdr_{name}" for name in _SMDR_CHECKS))

SMDR_MISTAKES = {
    "columns": N_("Enter the columns as the PBX's manual has them, such as date:8 time:7 ext:5 trunk:2 number:25:"),
    "picture": N_("Enter letters for digits (Y, M, D; H, M, S), such as YY/MM/DD or HH:MM:SS:"),
    "kinds": N_("Enter the letter of each kind of call, such as I=in O=out:"),
}


@dataclass(frozen=True, slots=True)
class Smdr:
    """A unit's SMDR. `layout`: key of [smdr] -> its value, of the format `columns` only."""

    baud: int
    format: str
    layout: dict[str, str]


def read_smdr(form: Form) -> Smdr | None:
    """The form's values, valid only if the form has no mistakes. None without a PBX that prints.

    A later command can change the layout, but not the port (docs/commands.md).
    """
    chosen = form.choice("smdr_format", SMDR_FORMATS)
    if not chosen:
        return None
    baud = int(typed) if (typed := form.choice("smdr_baud", SMDR_BAUDS)) in SMDR_BAUDS else 0
    if chosen != smdrcolumns.COLUMNS:
        return Smdr(baud, chosen, {})
    layout = {name: _layout(form, name) for name in _SMDR_CHECKS} | {"time_is": form.choice("smdr_time_is", SMDR_TIMES)}
    return Smdr(baud, chosen, layout)


def _layout(form: Form, name: str) -> str:
    """The layout, parsed by the unit's own grammar; its message on a mistake follows ours."""
    text = form.text(f"smdr_{name}", is_required=True)
    try:
        if text:
            _SMDR_CHECKS[name](text)
    except BadInput as error:
        form.wrong(f"smdr_{name}", SMDR_MISTAKES.get(name, SMDR_MISTAKES["picture"]))
        form.details[f"smdr_{name}"] = str(error)[:300]
    return text


MOST_MINUTES: Final = 239  # a unit's longest recording is 4 h, and the end must come before
WARN_FIELD, END_FIELD = "warn_min", "end_min"
SITUATION_FIELDS = tuple(f"situation_{each.name}" for each in SITUATIONS)
ENDING_FIELDS = (*SITUATION_FIELDS, WARN_FIELD, END_FIELD)
ENDING_STANDARD = dict.fromkeys(SITUATION_FIELDS, "1")

SITUATION_NAMES = {
    "abuse": N_("Abuse"), "sexual_harassment": N_("Sexual harassment"), "threat": N_("Threat"),
    "overlong": N_("Too long"), "repeated": N_("Repeated calls"),
}  # fmt: skip
ENDING_MISTAKES = {
    "order": N_("The warning comes before the end: enter fewer minutes for it, or leave both empty."),
    "overlong": N_("A call is ended by time as too long: choose that situation too, or leave the end empty."),
}


class Ending(NamedTuple):
    """The settings for ending calls. `situations`: names. Minutes: 0 is never."""

    situations: list[str]
    warn_min: int
    end_min: int


def read_ending(form: Form) -> Ending:
    """The form's values, valid only if the form has no mistakes."""
    chosen = [each.name for each, box in zip(SITUATIONS, SITUATION_FIELDS, strict=True) if form.text(box)]
    warn = form.number(WARN_FIELD, 0, MOST_MINUTES, is_required=False) or 0
    end = form.number(END_FIELD, 0, MOST_MINUTES, is_required=False) or 0
    if end and not 0 < warn < end:
        form.wrong(WARN_FIELD, ENDING_MISTAKES["order"])
    if end and OVERLONG not in chosen:
        form.wrong(END_FIELD, ENDING_MISTAKES["overlong"])
    return Ending(chosen, warn, end)


def ending_fields(situations: list[str], warn_min: int, end_min: int) -> dict[str, str]:
    """The form's fields for these values."""
    boxes = {
        box: "1" if each.name in situations else "" for each, box in zip(SITUATIONS, SITUATION_FIELDS, strict=True)
    }
    return boxes | {WARN_FIELD: str(warn_min or ""), END_FIELD: str(end_min or "")}
