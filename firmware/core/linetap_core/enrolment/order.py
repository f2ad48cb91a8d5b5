# SPDX-License-Identifier: Apache-2.0
"""linetap.toml, the order that commissions a unit: its files, byte for byte, and its network.

A command or a page of the desk writes the order, the authority signs its exact bytes, and the unit reads it from its
card or from the desk that has adopted the unit.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap_core.clock import parse_rfc3339
from linetap_core.enrolment import networks
from linetap_core.errors import ShownRefusal
from linetap_core.evidence.keys import publickeys
from linetap_core.tomlfile.source import Source
from linetap_core.wire import hosts

NAME = "linetap.toml"
UNIT = "unit.toml"
MOST_FILES = 16
_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
# Made only by the unit itself: a key that was on a card is no longer secret.
_OWN = ("unit.key", "allowed_signers", "tls.key")


class OrderFault(ShownRefusal):
    """The unit rejects the order; `code` is the reason."""


_SSID = {"wanted": 'the name of a Wi-Fi network, without "'}
_PASSPHRASE = {"wanted": '8 to 63 letters, digits or signs of ASCII, without ",', "secret": True}  # WPA2
Ssid = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[^\x00-\x1f\x7f\"]+\Z", extra=_SSID)]  # and is_ssid
Passphrase = Annotated[str, Meta(min_length=8, max_length=63, pattern=r"^[ !#-~]+\Z", extra=_PASSPHRASE)]
_SSID_BYTES = 32  # IEEE 802.11; wpa_supplicant rejects a file with a longer one


class Wifi(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ssid: Ssid
    passphrase: Passphrase
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] = "KR"


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The unit's network; by default DHCP on the first wired interface."""

    address: str | None = None  # 10.1.2.3/24
    gateway: str | None = None
    dns: Annotated[list[str], Meta(max_length=4)] = []
    ntp: Annotated[list[str], Meta(max_length=4)] = []
    vlan: Annotated[int, Meta(ge=1, le=4094)] | None = None
    wifi: Wifi | None = None
    broker: Annotated[list[str], Meta(max_length=16)] = []  # addresses of brokers outside private networks: 203.0.113.7


_PORT = re.compile(r"[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}", re.ASCII)
_LAID = ("order.json", "broker.networks", f"{UNIT}.kept")  # in the same folder as the files
_LONGEST_HOST = 64  # image/root/usr/lib/linetap/kept/chrony


class CardOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Instructions to prepare the card. `encrypt`: state and data, when the card is new, with a key from the unit's TPM
    or the board's fuses.
    """

    encrypt: Literal["tpm", "otp"]


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The order. `files`: name -> text, written to one folder; one of them, unit.toml, names the others."""

    files: dict[str, str]
    made_at: str | None = None  # RFC 3339: a unit accepts only orders newer than its last
    network: Network = Network()
    codecs: Annotated[dict[str, Annotated[int, Meta(ge=1, le=4)]], Meta(max_length=16)] = {}  # USB port -> line card
    card: CardOrder | None = None
    ssh_key: str | None = None  # an ssh-ed25519 line: access by ssh until the next boot


def read(source: Source) -> Order:
    """Reads an order. BadInput with one line for each error."""
    order = source.partial(Order)
    if not source.problems:
        _check_files(order.files, source)
        _check_network(order.network, source)
        _check_site(order, source)
        if order.ssh_key is not None:
            _check_ssh_key(order.ssh_key, source)
        if order.made_at is not None:
            _check_time(order.made_at, source)
    source.check()
    return order


def read_at_desk(source: Source) -> Order:
    """Reads an order and requires a broker given only by name or address. A unit refuses others, but only after the
    order was signed and carried there.
    """
    found = read(source)
    unit = read_unit(found.files[UNIT])
    if unit is not None and not unit.broker.is_host():
        source.add(("files", UNIT), f"files: {UNIT}: {unit.broker.wanted()}")
    source.check()
    return found


class UnitBroker(msgspec.Struct, frozen=True):
    host: str = "localhost"

    def is_host(self) -> bool:
        """Whether the broker is a host alone: no mqtts://..., no host:port."""
        return hosts.is_tls_host(self.host) or hosts.is_own_host(self.host)

    def wanted(self) -> str:
        return f"broker.host = {self.host!r}: {hosts.BROKER_WANTED} expected"


class UnitBoard(msgspec.Struct, frozen=True):
    kind: str = "hardware"


class UnitFile(msgspec.Struct, frozen=True):
    """The part of a unit.toml that determines whether the unit can reach its broker."""

    broker: UnitBroker = UnitBroker()
    board: UnitBoard = UnitBoard()


def read_unit(text: str) -> UnitFile | None:
    """The part of a unit.toml about its broker; None if it is unreadable, which its own check reports."""
    try:
        return msgspec.convert(tomllib.loads(text), UnitFile)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _check_files(files: dict[str, str], source: Source) -> None:
    if UNIT not in files:
        source.add(("files",), f'files: there is no "{UNIT}", the configuration itself')
    if len(files) > MOST_FILES:
        source.add(("files",), f"files: {len(files)} of them; at most {MOST_FILES} expected")
    for name in files:
        if _is_one_of(name, _OWN):
            source.add(("files", name), f"files: {name} is made by the unit itself, and never travels")
        elif not _FILE_NAME.fullmatch(name):
            source.add(("files", name), f"files: {name!r} is no name; ca.pem expected")


def _is_one_of(name: str, names: tuple[str, ...]) -> bool:
    """Whether it is one of the names, or one with a further ending: the next key, a copy, a public half."""
    return any(name == each or name.startswith(f"{each}.") for each in names)


def _check_network(network: Network, source: Source) -> None:
    if (network.address is None) != (network.gateway is None):
        source.add(("network",), "network: address and gateway go together")
    if network.wifi is not None and network.vlan is not None:
        source.add(("network",), "network: a VLAN is on the wire, not on Wi-Fi")
    if network.wifi is not None and not is_ssid(network.wifi.ssid):
        source.add(
            ("network", "wifi"), f"network.wifi.ssid: at most {_SSID_BYTES} bytes expected; a Korean letter is 3"
        )
    address, gateway = network.address, network.gateway
    if address is not None and not networks.is_interface(address):
        source.add(("network", "address"), f"network.address = {address!r}: 10.1.2.3/24 expected")
    elif address is not None and gateway is not None and not networks.is_gateway(gateway, address):
        text = f"network.gateway: {gateway!r}: another address in the network of {address} expected"
        source.add(("network", "gateway"), text)
    for server in network.dns:
        if not networks.is_server(server):
            source.add(("network", "dns"), f"network.dns: {server!r}: 10.1.2.1 expected")
    for server in network.ntp:
        if not is_host(server) or hosts.is_own_host(server):
            source.add(("network", "ntp"), f"network.ntp: {server!r}: ntp.city.example or 10.1.2.1 expected")


def _check_time(text: str, source: Source) -> None:
    try:
        parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        source.add(("made_at",), f"made_at: {error}; 2026-11-28T09:00:00.000Z expected")


def _check_ssh_key(text: str, source: Source) -> None:
    if "\n" in text or publickeys.ssh_ed25519(text) is None:
        source.add(("ssh_key",), "ssh_key: the one line of a .pub file, ssh-ed25519 AAAA... expected")


def _check_site(order: Order, source: Source) -> None:
    for port in order.codecs:
        if not is_port(port):
            source.add(("codecs",), f"codecs: {port!r} is no USB port; 1-1.2 expected, as `udevadm info` has it")
    for name in (name for name in order.files if _is_one_of(name, _LAID)):
        source.add(("files", name), f"files: {name} is written by the unit itself")
    for text in order.network.broker:
        if not networks.is_broker_network(text):
            source.add(("network", "broker"), f"network.broker: {text!r}: 203.0.113.7 or 203.0.113.0/24 expected")


def is_port(text: str) -> bool:
    """Whether the text is the kernel's name of a USB port: 1-1.2."""
    return _PORT.fullmatch(text) is not None


def is_host(text: str) -> bool:
    return len(text) <= _LONGEST_HOST and hosts.is_host(text)


def is_ssid(text: str) -> bool:
    return _is(text, Ssid) and len(text.encode()) <= _SSID_BYTES


def is_passphrase(text: str) -> bool:
    return _is(text, Passphrase)


def _is(text: str, wanted: object) -> bool:
    try:
        msgspec.convert(text, wanted)
    except msgspec.ValidationError:
        return False
    return True


# --- Written ---


def render(
    files: Mapping[str, str],
    network: Mapping[str, object],
    made_at: str,
    codecs: Mapping[str, int] | None = None,
    *,
    ssh_key: str | None = None,
    encrypt: str | None = None,
) -> str:
    """The text of an order. `network`: fields of Network. unit.toml comes last, because it is the longest."""
    out = ["# What a linetap unit takes from its card at the next boot, once; then it is gone from it.\n"]
    out.append(f"made_at = {json.dumps(made_at)}\n")
    if ssh_key is not None:
        out.append(f"ssh_key = {json.dumps(ssh_key)}\n")
    if network:
        out.append("\n[network]\n")
        out += [f"{key} = {toml_value(value)}\n" for key, value in network.items()]
    if codecs:
        out.append("\n[codecs]\n")
        out += [f"{json.dumps(port)} = {card}\n" for port, card in codecs.items()]
    if encrypt is not None:
        out.append(f"\n[card]\nencrypt = {json.dumps(encrypt)}\n")
    out.append("\n[files]\n")
    for name in sorted(files, key=lambda name: (name == UNIT, name)):
        out.append(f"{json.dumps(name)} = {toml_value(files[name])}\n")
    return "".join(out)


def toml_value(value: object) -> str:
    """The value as TOML. Text of several lines stays readable if TOML allows it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, str) and "\n" in value and "'''" not in value and value.replace("\n", "").isprintable():
        return f"'''\n{value}'''"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
