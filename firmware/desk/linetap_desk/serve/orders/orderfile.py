# SPDX-License-Identifier: Apache-2.0
"""Makes the order from both forms: linetap.toml, with a unit.toml of the entered values only. Pure.

All other values have the unit's own defaults, so that the signers have one page to read instead of twenty. The desk has
no schema of a unit's configuration; tests check the result by the unit's own (tests/desk/test_order_made.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from linetap_core.enrolment import order
from linetap_core.enrolment.order import toml_value
from linetap_core.evidence.signing.authority import Authority
from linetap_core.evidence.signing.namespaces import SUFFIX
from linetap_core.tomlfile.source import Source
from linetap_core.wire import smdrcolumns
from linetap_core.wire.mqtt import PUBLIC_AUTHORITIES
from linetap_core.wire.situations import SITUATIONS
from linetap_desk.serve.orders.sections import Network, Smdr
from linetap_desk.serve.orders.template import Template
from linetap_desk.serve.orders.unitform import Card, Line, Unit

CA, KEY_LIST = "ca.pem", "keylist.json"
CLASS = "standard"


def order_of(template: Template, unit: Unit, authority: Authority, made_at: str) -> bytes:
    """The order. BadInput if its files together are too long for a unit."""
    files = {order.UNIT: _unit(template, unit, authority)}
    files |= {KEY_LIST: template.key_list, f"{KEY_LIST}{SUFFIX}": template.key_list_sig}
    if template.ca is not None:
        files[CA] = template.ca
    network = _network(unit.network, template)
    codecs = {card.port: card.number for card in unit.cards if card.port}
    data = order.render(files, network, made_at, codecs).encode()
    order.read_at_desk(Source(Path(order.NAME), data))
    return data


def _network(network: Network, template: Template) -> dict[str, object]:
    wifi = network.wifi
    entries: dict[str, object] = {
        "address": network.address, "gateway": network.gateway, "dns": network.dns, "ntp": template.ntp,
        "vlan": network.vlan, "wifi": wifi and {"ssid": wifi.ssid, "passphrase": wifi.passphrase},
        "broker": network.broker,
    }  # fmt: skip
    return {key: value for key, value in entries.items() if value not in (None, "", [])}


def _unit(template: Template, unit: Unit, authority: Authority) -> str:
    lines = authority.lines()
    tables = [
        _table("keys", {
            "custodians": template.custodians, "custodians_needed": template.custodians_needed,
            "overflow_epoch": template.overflow_epoch, "overflow_number": template.overflow_number,
            "authority": lines[0] if len(lines) == 1 else lines, "authority_needed": authority.needed,
            "key_list": KEY_LIST,
        }),
        _table("retention", {"default": CLASS}),
        _table("[retention.classes]", {"name": CLASS, "days": template.days}),
        _table("broker", {
            "host": template.broker_host, "port": template.broker_port,
            "ca": PUBLIC_AUTHORITIES if template.ca is None else CA, "certificate": "tls.pem", "key": "tls.key",
        }),
        *_ending(template),
        *([] if unit.smdr is None else [_smdr(unit.smdr)]),
        *map(_card, unit.cards),
        *map(_line, unit.lines),
    ]  # fmt: skip
    place = f" ({unit.place})" if unit.place else ""
    head = f"# linetap: the configuration of {unit.name}{place}. What is not here has its default.\n"
    return head + f"unit = {toml_value(unit.name)}\n" + "".join(tables)


def _ending(template: Template) -> Iterator[str]:
    """The lines of how calls end, without situations that this version does not ship."""
    for each in SITUATIONS:
        if each.name in template.situations:
            yield _table("[situation]", {"name": each.name, "code": each.code, "notice": each.notice})
    if template.warn_min:
        yield _table("ending", {"warn_s": template.warn_min * 60, "end_s": template.end_min * 60})


def _smdr(smdr: Smdr) -> str:
    return _table("smdr", {"port": smdrcolumns.PORT, "baud": smdr.baud, "format": smdr.format, **smdr.layout})


def _card(card: Card) -> str:
    pcm = f"hw:linetap{card.number},0"
    return _table("[card]", {"number": card.number, "capture_pcm": pcm, "playback_pcm": pcm})


def _line(line: Line) -> str:
    values: dict[str, object] = {"number": line.number, "card": line.card, "channel": line.channel}
    if line.kind == "exempt":
        values["exempt"] = True
    if line.name:
        values["trunk" if line.kind == "trunk" else "extension"] = line.name
    return _table("[line]", values)


def _table(name: str, values: dict[str, object]) -> str:
    return f"\n[{name}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())
