# SPDX-License-Identifier: Apache-2.0
"""Wi-Fi and the PBX's call log in a unit's form: the input reaches the unit, or is an error beside its field."""

from __future__ import annotations

from pathlib import Path

import pytest

from epoch_rig import Authority
from linetap.config.check import checked
from linetap.config.schema import Config, Smdr
from linetap.provision.applyorder import SECRET, files_of
from linetap_core.enrolment import order
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import authority as authorities
from linetap_core.tomlfile.source import Source
from linetap_core.wire import smdrcolumns
from linetap_desk.serve.orders import orderfile, sections, template, unitform
from linetap_desk.serve.orders.fields import Form

MADE_AT = "2026-11-29T09:00:00.000Z"
ONE = sections.SMDR_STANDARD | {"unit": "floor-03", "kind1": "station", "number1": "2101", "smdr_format": ""}
WIFI = {"wifi_ssid": "시청 3층", "wifi_passphrase": "p4ss phrase"}
# A PBX that prints `YY/MM/DD  HH:MMAM` and so on: no field has its default.
COLUMNS = {
    "smdr_format": "columns", "smdr_baud": "1200", "smdr_columns": "kind:1 date:8 time:7 ext:5 trunk:2 duration:8",
    "smdr_date": "YY/MM/DD", "smdr_time": "HH:MMAM", "smdr_duration": "HH:MM'SS", "smdr_time_is": "end",
    "smdr_kinds": "I=in O=out C=connected",
}  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.publish(made.make("2026-11-20", 500))
    return made


def taken(authority: Authority, **typed: str) -> tuple[order.Order, Config]:
    """The order made from the form, read by the unit's own code."""
    site = {"broker_host": "mqtt.city.example", "custodians": keys.new_identity().recipient}
    files = {
        "key_list": authority.path.read_bytes(),
        "key_list_sig": authority.path.with_name("keylist.json.sig").read_bytes(),
    }
    whose = authorities.of(authority.key.public_key())
    shared = template.read(Form(template.STANDARD | site | {"broker_authority": "public"}), files, None, whose)
    assert shared is not None
    unit = unitform.read(form := Form(ONE | typed), 1)
    assert unit is not None, form.mistakes
    found = order.read(Source(Path("linetap.toml"), orderfile.order_of(shared, unit, whose, MADE_AT)))
    source = Source(Path("/etc/linetap/unit.toml"), found.files["unit.toml"].encode())
    config = checked(source)
    source.check()
    return found, config


def test_wifi_reaches_the_unit_as_it_was_typed(authority: Authority) -> None:
    found, config = taken(authority, **WIFI)
    assert found.network.wifi == order.Wifi(ssid="시청 3층", passphrase="p4ss phrase")
    text = files_of(found.network)[SECRET]
    assert text is not None
    assert 'psk="p4ss phrase"' in text
    assert config.smdr == Smdr()


def test_panasonic_needs_nothing_but_its_name(authority: Authority) -> None:
    _, config = taken(authority, smdr_format="panasonic", smdr_baud="4800")
    assert config.smdr == Smdr(port=smdrcolumns.PORT, baud=4800)


def test_another_pbx_by_its_columns(authority: Authority) -> None:
    _, config = taken(authority, **COLUMNS)
    assert config.smdr == Smdr(
        port=smdrcolumns.PORT, baud=1200, format="columns", columns=COLUMNS["smdr_columns"], date="YY/MM/DD",
        time="HH:MMAM", duration="HH:MM'SS", time_is="end", kinds="I=in O=out C=connected",
    )  # fmt: skip


def test_the_form_begins_with_the_units_own_defaults() -> None:
    own = Smdr()
    said = {"smdr_baud": str(own.baud)}
    said |= {f"smdr_{name}": getattr(own, name) for name in ("date", "time", "duration", "time_is", "kinds")}
    assert said == sections.SMDR_STANDARD


@pytest.mark.parametrize(
    ("typed", "fields"),
    [
        ({"wifi_ssid": "city"}, {"wifi_passphrase"}),
        ({"wifi_passphrase": "p4ss phrase"}, {"wifi_ssid"}),
        (WIFI | {"wifi_passphrase": "short"}, {"wifi_passphrase"}),
        (WIFI | {"wifi_passphrase": 'p4ss"phrase'}, {"wifi_passphrase"}),
        (WIFI | {"wifi_passphrase": "비밀번호비밀번호"}, {"wifi_passphrase"}),
        (WIFI | {"wifi_passphrase": "p" * 64}, {"wifi_passphrase"}),
        (WIFI | {"wifi_ssid": "시청본관삼층통신실무선"}, {"wifi_ssid"}),  # 33 bytes
        (WIFI | {"wifi_ssid": 'a"b'}, {"wifi_ssid"}),
        (WIFI | {"vlan": "12"}, {"vlan"}),
        ({"smdr_format": "nec"}, {"smdr_format"}),
        ({"smdr_format": "panasonic", "smdr_baud": "300"}, {"smdr_baud"}),
        (COLUMNS | {"smdr_columns": ""}, {"smdr_columns"}),
        (COLUMNS | {"smdr_columns": "time:8 number:20"}, {"smdr_columns"}),
        (COLUMNS | {"smdr_columns": "time:8 ext:4 name:9"}, {"smdr_columns"}),
        (COLUMNS | {"smdr_date": "YY", "smdr_time": "MM", "smdr_duration": "now"}, {
            "smdr_date", "smdr_time", "smdr_duration"
        }),
        (COLUMNS | {"smdr_kinds": "I=inn", "smdr_time_is": "middle"}, {"smdr_kinds", "smdr_time_is"}),
    ],
)  # fmt: skip
def test_a_mistake_stands_beside_its_field(typed: dict[str, str], fields: set[str]) -> None:
    form = Form(ONE | typed)
    assert unitform.read(form, 1) is None
    assert set(form.mistakes) == fields


def test_columns_that_nobody_chose_are_not_read() -> None:
    """The fields of another PBX are always on the form."""
    unit = unitform.read(Form(ONE | COLUMNS | {"smdr_format": "", "smdr_columns": "nonsense"}), 1)
    assert unit is not None
    assert unit.smdr is None


def test_a_passphrase_is_in_no_text_that_is_made_of_a_unit() -> None:
    unit = unitform.read(Form(ONE | WIFI), 1)
    assert unit is not None
    assert "p4ss" not in f"{unit} {unit!r}"


@pytest.mark.parametrize(
    ("ssid", "is_one"), [("시청본관삼층통신실무", True), ("시청본관삼층통신실무선", False), ("a" * 32, True)]
)
def test_the_name_of_a_wireless_network_has_32_bytes(ssid: str, is_one: bool) -> None:
    """wpa_supplicant 2.10 reports for a longer one: `too long ssid (len=33 max_len=32)`, and ignores its whole file."""
    assert order.is_ssid(ssid) == is_one
    text = f'[network]\nwifi = {{ ssid = "{ssid}", passphrase = "p4ss phrase" }}\n[files]\n"unit.toml" = ""\n'
    source = Source(Path("linetap.toml"), text.encode())
    if is_one:
        assert order.read(source).network.wifi is not None
    else:
        with pytest.raises(BadInput, match="at most 32 bytes"):
            order.read(source)
