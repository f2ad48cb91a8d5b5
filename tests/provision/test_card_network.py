# SPDX-License-Identifier: Apache-2.0
"""A network, a Wi-Fi passphrase and a broker with which a unit would be away for its desk: refused where the card is
made and by the unit, in one line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from card_rig import Card
from linetap.cardresult import CARD_WRONG
from linetap_core.enrolment import networks, order
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source
from linetap_desk.serve.orders import sections
from linetap_desk.serve.orders.fields import Form

FIXED = {"address": "10.1.2.3/24", "gateway": "10.1.2.1", "dns": "10.1.2.1", "ntp": "ntp.city.example"}
WRONG = [
    ("address", "10.1.2.3/0"), ("address", "10.1.2.3/33"), ("address", "10.1.2.0/24"), ("address", "10.1.2.255/24"),
    ("address", "0.0.0.0/24"), ("address", "127.0.0.1/8"), ("address", "224.0.0.5/24"), ("address", "240.0.0.5/8"),
    ("address", "１０.1.2.3/24"), ("address", "10.1.2.3/24 "), ("address", "10.1.2.3"), ("address", "fd00::/64"),
    ("address", "::ffff:10.1.2.3/120"),
    ("gateway", "10.9.2.1"), ("gateway", "10.1.2.3"), ("gateway", "10.1.2.0"), ("gateway", "10.1.2.255"),
    ("gateway", "0.0.0.0"), ("gateway", "fd00::1"), ("gateway", "router"), ("gateway", "10.1.2.1%end0"),
    ("dns", "127.0.0.53"), ("dns", "0.0.0.0"), ("dns", "::1"), ("dns", "224.0.0.251"), ("dns", "dns.city.example"),
    ("dns", "255.255.255.255"), ("dns", "240.0.0.1"), ("ntp", "224.0.0.1"), ("ntp", "255.255.255.255"),
    ("ntp", "localhost"), ("ntp", "127.1"), ("ntp", "ntp://ntp.city.example"), ("ntp", "ntp.city.example:123"),
    ("ntp", "-ntp"), ("ntp", "ntp..example"), ("ntp", "10.1.2"), ("ntp", "시계.한국"),
]  # fmt: skip
GOOD = [
    ("address", "10.1.2.3/255.255.255.0"), ("address", "10.1.2.0/31"), ("dns", "fe80::1%end0"),
    ("gateway", "10.1.2.254"), ("ntp", "ntp.city.example."), ("ntp", "10.1.2.5"), ("ntp", "fd00::5"),
]  # fmt: skip


def order_of(**changed: str) -> order.Order:
    typed = FIXED | changed
    lines = [f"{key} = {f'[{value!r}]' if key in ('dns', 'ntp') else repr(value)}\n" for key, value in typed.items()]
    return order.read(Source(Path("linetap.toml"), f'[network]\n{"".join(lines)}[files]\n"unit.toml" = ""\n'.encode()))


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_network_that_cannot_work_is_named_with_its_line(key: str, value: str) -> None:
    with pytest.raises(BadInput, match=rf"^linetap.toml:\d: network\.{key}[^\n]* expected$"):
        order_of(**{key: value})


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_an_unusual_network_that_works(key: str, value: str) -> None:
    typed = FIXED | {key: value} | ({"gateway": "10.1.2.1"} if key == "address" else {})
    assert order_of(**typed).network.address == typed["address"]
    assert order_of(address="fd00::3/64", gateway="fe80::1").network.gateway == "fe80::1", "it is on every link"
    assert order_of(address="fd00::3/64", gateway="fd00::").network.gateway == "fd00::", "the routers' own (RFC 4291)"


def test_a_gateway_has_no_zone() -> None:
    """systemd-networkd 257: `Failed to parse Gateway=fe80::1%end0, ignoring`."""
    with pytest.raises(BadInput, match=r"network\.gateway"):
        order_of(address="fd00::3/64", gateway="fe80::1%end0")


@pytest.mark.parametrize(
    "text", ["0.0.0.0", "127.0.0.1", "127.0.0.0/8", "224.0.0.0/8", "::1", "ff02::/16", "0.0.0.0/0"]
)
def test_where_no_broker_is(text: str) -> None:
    assert not networks.is_broker_network(text)


@pytest.mark.parametrize("host", ["broker.city.example:8883", "mqtts://b", "broker.city.example.", "224.0.0.1"])
def test_a_desk_refuses_the_broker_that_the_unit_would(host: str) -> None:
    """Before somebody signs the order: an older desk made it, or a template has it."""
    data = f'[files]\n"unit.toml" = "[broker]\\nhost = \\"{host}\\"\\n"\n'.encode()
    assert order.read(Source(Path("linetap.toml"), data)).files
    with pytest.raises(BadInput, match=r"^linetap\.toml:2: files: unit\.toml: broker\.host = [^\n]* expected$"):
        order.read_at_desk(Source(Path("linetap.toml"), data))


@pytest.mark.parametrize(("key", "value"), [each for each in WRONG if each[0] != "ntp"])
def test_the_desks_form_takes_the_same(key: str, value: str) -> None:
    form = Form({name: text for name, text in (FIXED | {key: value}).items() if name != "ntp"})
    sections.read_network(form)
    assert set(form.mistakes) == ({key} if value != "10.1.2.3/24 " else set()), "a form's spaces are not the order's"


@pytest.mark.parametrize("value", [value for key, value in WRONG if key == "ntp"])
def test_the_desks_form_takes_the_same_servers(value: str) -> None:
    form = Form({"ntp": value})
    form.hosts("ntp")
    assert set(form.mistakes) == {"ntp"}


@pytest.mark.parametrize("typed", ["00000000165535", "65536", "0", "1" * 200])
def test_a_port_out_of_range_is_one_with_zeros_in_front_too(typed: str) -> None:
    form = Form({"broker_port": typed})
    assert form.number("broker_port", 1, 65535) is None
    assert set(form.mistakes) == {"broker_port"}


def test_the_kernel_takes_no_route_by_such_a_gateway() -> None:
    """Linux in a network of its own. It takes the unit's own address too, and sends everything to itself."""
    make = "ip link add name t0 type bridge && ip link set t0 up && ip address add 10.1.2.3/24 dev t0"
    for gateway, is_taken in (("10.1.2.1", True), ("10.9.2.1", False), ("10.1.2.255", False)):
        words = ["unshare", "--net", "sh", "-c", f"{make} && ip route add default via {gateway} dev t0 || exit 9"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode not in (0, 9) or "Unknown device type" in done.stderr:
            pytest.skip(f"no network of its own can be made here: {done.stderr.strip()}")
        assert (done.returncode == 0) == is_taken == networks.is_gateway(gateway, "10.1.2.3/24"), done.stderr


@pytest.mark.parametrize(
    "value", ['"비밀번호비밀번호"', '"pässwörter1"', '"short-1"', "12345678", '"p4ss\\"phrase"', f'"{"f" * 64}"']
)
def test_a_wrong_passphrase_is_explained_and_not_repeated(
    tmp_path: Path, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line stands on the card, goes into the journal, and to the desk in an adoption."""
    card = Card.new(tmp_path)
    assert card.pack("--wifi", "시청 3층", "p4ss phrase") == 0
    path = card.boot / "linetap.toml"
    path.write_text(path.read_text().replace('"p4ss phrase"', value))
    assert card.start() == 2
    told = (card.boot / "linetap-error.txt").read_text()
    line = 'linetap.toml:5: network.wifi.passphrase: 8 to 63 letters, digits or signs of ASCII, without ", expected'
    assert told.rstrip().splitlines()[-1] == line
    assert value.strip('"') not in told + "".join(capsys.readouterr())
    assert (card.run / CARD_WRONG).exists()


@pytest.mark.parametrize(
    "host",
    ["mqtts://broker.city.example", "broker.city.example:8883", "[fd00::5]", "a b", "broker.city.example.", "10.1.2"],
)
def test_a_broker_that_is_no_host_alone(tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]) -> None:
    card = Card.new(tmp_path)
    assert card.pack() == 0
    path = card.boot / "linetap.toml"
    path.write_text(path.read_text().replace("broker.city.example", host))
    assert card.start() == 2
    ko, en = (card.boot / "linetap-error.txt").read_text().rstrip().splitlines()[-2:]
    assert "브로커의 이름이나 주소만" in ko
    assert f"broker.host = {host!r}: its name or address alone" in en
    card.configure(old="broker.city.example", new=host)
    capsys.readouterr()
    assert card.pack() == 2
    assert "its name or address alone" in capsys.readouterr().err
    assert not path.exists()


def test_pack_refuses_what_the_unit_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise the mistake is found only where the unit is installed."""
    card = Card.new(tmp_path)
    for old, new, said in (
        ("notice_delay_ms = 500", "notice_delay_ms = 9999", "recording.notice_delay_ms = 9999"),
        ('unit = "floor-03"', 'unit = "floor-03"\nspeed = 3', "unknown key speed"),
        ("[broker]", "[broker", "not TOML"),
    ):
        card.configure(old=old, new=new)
        assert card.pack() == 2
        assert said in capsys.readouterr().err
        assert not (card.boot / "linetap.toml").exists()
    card.configure()
    assert card.pack("--codec", "1-1.1=1") == 0
    assert card.pack("--codec", "1-1.1=1", "--codec", "1-1.3=2") == 2
    assert "codecs: 1-1.3 is card 2's, and unit.toml has no card 2" in capsys.readouterr().err
