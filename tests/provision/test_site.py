# SPDX-License-Identifier: Apache-2.0
"""A site's settings besides one codec and its own broker come with the signed order: no terminal on the unit."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from card_rig import Card
from pki_rig import Pki

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "image/root/usr/lib/systemd/system-generators/linetap-broker"


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card.of_authority(tmp_path)


def test_several_codecs_by_their_usb_ports(card: Card) -> None:
    """The rule is that of systemd/README.md, and udev's own check knows no fault in it."""
    card.configure(old="\n[[line]]\nnumber = 1\n", new="\n[[card]]\nnumber = 2\n\n[[line]]\nnumber = 1\n")
    assert (card.pack("--codec", "1-1.1=1", "--codec", "1-1.3=2"), card.start()) == (0, 0)
    rules = card.etc / "udev/rules.d/69-linetap.rules"
    assert rules.read_text() == (
        'SUBSYSTEM=="sound|tty", KERNELS=="1-1.1", ENV{LINETAP_CARD}="1"\n'
        'SUBSYSTEM=="sound|tty", KERNELS=="1-1.3", ENV{LINETAP_CARD}="2"\n'
    )
    for line in rules.read_text().splitlines():
        assert line in (ROOT / "systemd/README.md").read_text()
    if shutil.which("udevadm"):
        checked = subprocess.run(
            ["udevadm", "verify", "--no-style", str(rules)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
    card.configure(old="\n[[card]]\nnumber = 2\n", new="")
    assert (card.pack(*card.key), card.start()) == (0, 0)
    assert not rules.exists(), "of the order before"


@pytest.mark.parametrize("codecs", [[], ["--codec", "1-1.1=1"], ["--codec", "1-1.1=2", "--codec", "1-1.3=2"]])
def test_of_several_cards_each_needs_its_port(card: Card, codecs: list[str]) -> None:
    """Without one every codec would be card 1's, which udev then found first: the lines of another card."""
    card.configure(old="\n[[line]]\nnumber = 1\n", new="\n[[card]]\nnumber = 2\n\n[[line]]\nnumber = 1\n")
    assert card.pack(*codecs) == 2
    assert not (card.boot / "linetap.toml").exists()


@pytest.mark.parametrize("codec", ["usb1=1", "1-1.1=5", "1-1.1=0", "1-1.1", '1-1", RUN+="x=1', "1-1.1=1 "])
def test_what_is_no_port_or_card_is_refused_when_it_is_packed(card: Card, codec: str) -> None:
    assert card.pack("--codec", codec) == 2
    assert not (card.boot / "linetap.toml").exists()


@pytest.mark.parametrize("text", ['"1-1\\", RUN+=\\"x" = 1', '"1-1.1" = 9', '"1-1.1\\n" = 1'])
def test_a_rule_cannot_be_brought_into_udev(card: Card, text: str) -> None:
    assert card.pack() == 0
    path = card.boot / "linetap.toml"
    path.write_text(path.read_text().replace("[files]", f"[codecs]\n{text}\n\n[files]", 1))
    assert card.start() == 2
    assert "codecs" in (card.boot / "linetap-error.txt").read_text()
    assert not (card.etc / "udev").exists()


def generated(networks: Path, out: Path) -> dict[str, str]:
    out.mkdir()
    subprocess.run(
        [str(GENERATOR), str(out), str(out), str(out)],
        check=True,
        env={"LINETAP_NETWORKS": str(networks), "PATH": "/usr/bin:/bin"},
    )
    return {str(path.relative_to(out)): path.read_text() for path in out.rglob("*.conf")}


def test_a_broker_outside_private_networks(card: Card, tmp_path: Path) -> None:
    assert (card.pack("--broker-network", "203.0.113.7", "--broker-network", "2001:db8::/48"), card.start()) == (0, 0)
    networks = card.home / "broker.networks"
    assert networks.read_text() == "203.0.113.7\n2001:db8::/48\n"
    wanted = "[Service]\nIPAddressAllow=203.0.113.7 2001:db8::/48 \n"
    found = generated(networks, tmp_path / "out")
    assert found == dict.fromkeys(
        ("linetap-reporter.service.d/40-site.conf", "linetap_update.service.d/40-site.conf"), wanted
    )
    assert (card.pack("--dns", "168.126.63.1", "--dns", "fe80::1%end0", *card.key), card.start()) == (0, 0)
    assert networks.read_text() == "168.126.63.1\nfe80::1\n", "the broker's name is asked for there"
    assert (card.pack(*card.key), card.start()) == (0, 0)
    assert not networks.exists()
    assert generated(networks, tmp_path / "none") == {}


def test_what_is_private_to_an_adoption_is_so_to_reporter_and_update() -> None:
    """Otherwise a unit that its desk has adopted does not reach a broker beside it."""
    names = (
        "linetap_adopt.service",
        "linetap-reporter.service.d/30-broker.conf",
        "linetap_update.service.d/30-broker.conf",
    )
    allowed = {
        re.findall("^IPAddressAllow=(.*)$", (ROOT / "systemd" / name).read_text(), re.MULTILINE)[0] for name in names
    }
    assert len(allowed) == 1
    assert {"100.64.0.0/10", "fe80::/10"} <= set(allowed.pop().split())


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "broker.example", "10.0.0.0/33", "203.0.113.7\n[Service]"])
def test_the_whole_internet_is_no_place_of_a_broker(card: Card, text: str) -> None:
    assert card.pack("--broker-network", text) == 2


def test_the_generator_writes_addresses_alone(tmp_path: Path) -> None:
    networks = tmp_path / "networks"
    networks.write_text("203.0.113.7\nExecStart=/bin/sh\n; rm\n10.1.2.3/24 any\n\n2001:db8::1\n" + "1.2.3.4\n" * 40)
    found = generated(networks, tmp_path / "out")
    for text in found.values():
        assert re.fullmatch(r"\[Service\]\nIPAddressAllow=203\.0\.113\.7 2001:db8::1( 1\.2\.3\.4){18} \n", text)
    link = tmp_path / "link"
    link.symlink_to(networks)
    assert generated(link, tmp_path / "other") == {}


def test_a_certificate_of_the_sites_own_authority_where_the_brokers_is_a_public_one(card: Card, tmp_path: Path) -> None:
    """The broker is checked against the image's list of public authorities; who issues the unit's is not in it."""
    card.configure(old='ca = "ca.pem"', new='ca = "/etc/ssl/certs/ca-certificates.crt"')
    assert (card.pack(), card.start()) == (0, 0)
    pki = Pki(tmp_path / "authority")
    assert pki.run("unit", str(card.boot / "floor-03.request"), "-o", str(card.boot / "floor-03.pem")) == 0
    assert card.start() == 0
    assert (card.home / "tls.pem").exists()
