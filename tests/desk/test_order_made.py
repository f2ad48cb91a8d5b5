# SPDX-License-Identifier: Apache-2.0
"""Orders from the desk's forms pass the unit's own check without an error: the desk has no schema."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epoch_rig import Authority
from linetap.config.check import checked
from linetap.config.schema import Config
from linetap_core.enrolment import order
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.signing import authority as authorities
from linetap_core.tomlfile.source import Source
from linetap_core.wire.mqtt import PUBLIC_AUTHORITIES
from linetap_core.wire.situations import OVERLONG, SITUATIONS, WARNING
from linetap_desk.serve.orders import orderfile, sections, template, unitform
from linetap_desk.serve.orders.fields import Form

MADE_AT = "2026-11-28T09:00:00.000Z"
WORDS = st.sampled_from([
    "", "1-1.2", "2101", "01", "10.1.2.3", "10.1.2.3/24", "fd00::3/64", "x'''y", "한글", "7", "\\", "panasonic",
    "columns", "time:8 ext:4", "HH:MM", "C=connected", "1200", "end", "p4ss phrase",
])  # fmt: skip
TEXTS = WORDS | st.text(max_size=12)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.publish(made.make("2026-11-20", 500))
    return made


def the_template(authority: Authority, **changed: str) -> template.Template:
    typed = template.STANDARD | {"broker_host": "mqtt.city.example", "custodians": keys.new_identity().recipient}
    form = Form(typed | {"broker_authority": "public"} | changed)
    files = {
        "key_list": authority.path.read_bytes(),
        "key_list_sig": authority.path.with_name("keylist.json.sig").read_bytes(),
    }
    found = template.read(form, files, None, authorities.of(authority.key.public_key()))
    assert found is not None, form.mistakes
    return found


@pytest.fixture(scope="module")
def shared(authority: Authority) -> template.Template:
    return the_template(authority)


def taken(data: bytes) -> order.Order:
    """The order as parsed by the unit, with its unit.toml."""
    found = order.read(Source(Path("linetap.toml"), data))
    source = Source(Path("/etc/linetap/unit.toml"), found.files["unit.toml"].encode())
    checked(source)
    source.check()
    return found


@settings(max_examples=100, deadline=None)
@given(data=st.data(), cards=st.integers(1, 4))
def test_whatever_is_typed_is_a_mistake_or_an_order_that_a_unit_takes(
    authority: Authority, shared: template.Template, data: st.DataObject, cards: int
) -> None:
    names = unitform.fields_of(cards)
    typed = {"unit": "floor-03"} | {f"port{card}": f"1-1.{card}" for card in range(1, cards + 1)}
    typed |= {f"kind{card * 8 - 7}": "station" for card in range(1, cards + 1)}
    typed |= sections.SMDR_STANDARD
    typed |= data.draw(st.dictionaries(st.sampled_from(names), TEXTS | st.sampled_from(unitform.KINDS), max_size=6))
    form = Form(typed)
    unit = unitform.read(form, cards)
    assert (unit is None) == bool(form.mistakes)
    if unit is None:
        return
    whose = authorities.of(authority.key.public_key())
    found = taken(orderfile.order_of(shared, unit, whose, MADE_AT))
    assert found.made_at == MADE_AT
    assert set(found.codecs.values()) == {card.number for card in unit.cards if card.port}
    assert (found.network.wifi is None) == (unit.network.wifi is None)


def test_everything_that_is_typed_is_in_it(authority: Authority) -> None:
    whose = authorities.from_lines([authority.line, keys.public_line(keys.new_unit_key().public_key())], 2)
    typed = {
        "unit": "floor-03", "place": "본관 3층", "kind1": "station", "number1": "2101", "kind8": "trunk",
        "number8": "08", "address": "10.1.2.3/24", "gateway": "10.1.2.1", "dns": "10.1.2.1, 10.1.2.2", "vlan": "12",
        "broker_network": "203.0.113.0/24",
    }  # fmt: skip
    unit = unitform.read(Form(typed), 1)
    assert unit is not None
    data = orderfile.order_of(the_template(authority, ntp="ntp.city.example", days="90"), unit, whose, MADE_AT)
    found = taken(data)
    source = Source(Path("/etc/linetap/unit.toml"), found.files["unit.toml"].encode())
    config = checked(source)
    assert "본관 3층" in found.files["unit.toml"].splitlines()[0]
    assert config.keys.authority_needed == 2
    assert set(config.keys.authority_lines) == set(whose.lines())
    assert config.keys.overflow_number == 2
    assert config.broker.ca == PUBLIC_AUTHORITIES
    assert [(entry.name, entry.days) for entry in config.retention.classes] == [("standard", 90)]
    assert [(line.number, line.card, line.channel, line.extension, line.trunk) for line in config.line] == [
        (1, 1, 1, "2101", None), (8, 1, 8, None, "08")
    ]  # fmt: skip
    assert found.network == order.Network(
        address="10.1.2.3/24", gateway="10.1.2.1", dns=["10.1.2.1", "10.1.2.2"], vlan=12, ntp=["ntp.city.example"],
        broker=["203.0.113.0/24"],
    )  # fmt: skip


def ending_of(shared: template.Template, authority: Authority) -> Config:
    """The configuration of a unit, from an order with this common part and one line."""
    unit = unitform.read(Form(sections.SMDR_STANDARD | {"unit": "floor-03", "kind1": "station"}), 1)
    assert unit is not None
    found = taken(orderfile.order_of(shared, unit, authorities.of(authority.key.public_key()), MADE_AT))
    return checked(Source(Path("/etc/linetap/unit.toml"), found.files["unit.toml"].encode()))


def test_the_situations_and_the_minutes_that_are_chosen_are_in_it(authority: Authority) -> None:
    config = ending_of(the_template(authority, situation_threat="", warn_min="15", end_min="20"), authority)
    assert [(one.name, one.code, one.notice, one.then) for one in config.situation] == [
        (one.name, one.code, one.notice, "end") for one in SITUATIONS if one.name != "threat"
    ]
    assert (config.ending.warn_s, config.ending.end_s, config.ending.end_situation) == (900, 1200, OVERLONG)
    assert config.ending.warn_notice == WARNING
    alone = ending_of(the_template(authority, warn_min="15"), authority)
    assert (alone.ending.warn_s, alone.ending.end_s) == (900, 0)


def test_a_part_of_an_earlier_version_ends_no_calls(authority: Authority) -> None:
    old = msgspec.json.decode(msgspec.json.encode(the_template(authority)))
    for name in ("situations", "warn_min", "end_min"):
        del old[name]
    kept = msgspec.convert(old, template.Template)
    assert not any(kept.typed[box] for box in sections.SITUATION_FIELDS)
    assert ending_of(kept, authority).situation == []


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"broker_host": "127.0.0.1"}, "broker_host"),
        ({"broker_host": "a b"}, "broker_host"),
        ({"broker_network": "0.0.0.0/1"}, "broker_network"),
        ({"ntp": "a b c d e"}, "ntp"),
        ({"days": "0"}, "days"),
        ({"custodians": ""}, "custodians"),
        ({"custodians": "age1x"}, "custodians"),
        ({"custodians_needed": "2"}, "custodians"),
        ({"broker_authority": "own"}, "ca"),
        ({"warn_min": "20", "end_min": "15"}, "warn_min"),
        ({"end_min": "20"}, "warn_min"),
        ({"warn_min": "15", "end_min": "20", "situation_overlong": ""}, "end_min"),
        ({"warn_min": "240"}, "warn_min"),
    ],
)
def test_a_mistake_of_the_sites_part(authority: Authority, changed: dict[str, str], field: str) -> None:
    typed = template.STANDARD | {"broker_host": "mqtt.city.example", "custodians": keys.new_identity().recipient}
    form = Form(typed | {"broker_authority": "public"} | changed)
    before = the_template(authority)
    assert template.read(form, {}, before, authorities.of(authority.key.public_key())) is None
    assert set(form.mistakes) == {field}


def test_an_epochs_key_is_no_custodians(authority: Authority) -> None:
    before = the_template(authority)
    found = keylist.sound(before.key_list.encode())
    form = Form(before.typed | {"custodians": found.epochs[3].recipient})
    assert template.read(form, {}, before, authorities.of(authority.key.public_key())) is None
    assert set(form.mistakes) == {"custodians"}


def test_a_list_that_another_authority_has_signed_is_refused(authority: Authority, tmp_path: Path) -> None:
    before, other = the_template(authority), Authority(tmp_path)
    other.publish(other.make("2026-11-20", 500))
    files = {"key_list": other.path.read_bytes(), "key_list_sig": other.path.with_name("keylist.json.sig").read_bytes()}
    form = Form(before.typed)
    assert template.read(form, files, before, authorities.of(authority.key.public_key())) is None
    assert set(form.mistakes) == {"key_list"}
    assert "the authority is" in form.details["key_list"]
