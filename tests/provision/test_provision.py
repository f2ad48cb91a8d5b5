# SPDX-License-Identifier: Apache-2.0
"""A card that makes a unit: packed from real files, taken at the next boot, wiped; and every card that is wrong."""

from __future__ import annotations

import re
import shutil
import stat
import tomllib
from pathlib import Path

import pytest

from card_rig import AUTHORITY, CUSTODIAN, EPOCH, PINS, Card
from linetap.cardresult import CARD_WRONG
from linetap.config import load_config
from linetap_core import cli
from linetap_core.enrolment import request
from pki_rig import Pki
from sealing_rig import run as run_tool


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card.new(tmp_path)


@pytest.fixture
def owned(tmp_path: Path) -> Card:
    """For a unit that an authority may change by a second card."""
    return Card.of_authority(tmp_path)


def test_a_card_becomes_a_unit_and_is_wiped(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    assert card.pack("--address", "10.1.2.3/24", "--gateway", "10.1.2.1", "--dns", "10.1.2.1", "--ntp", "ntp.city") == 0
    capsys.readouterr()
    assert card.start() == 0
    assert capsys.readouterr().out.startswith("unit floor-03, 8 lines, configuration ")
    config = load_config(card.home / "unit.toml")
    assert (config.unit, len(config.line), config.broker.host) == ("floor-03", 8, "broker.city.example")
    assert (card.home / "unit.toml").read_text() == (card.desk / "unit.toml").read_text()
    assert (card.home / "ca.pem").read_text() == (card.desk / "ca.pem").read_text()
    assert stat.S_IMODE((card.home / "unit.toml").stat().st_mode) == 0o644
    assert stat.S_IMODE((card.home / "unit.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((card.home / "tls.key").stat().st_mode) == 0o600
    wire = (card.etc / "systemd/network/10-linetap.network").read_text()
    assert "Address=10.1.2.3/24\nGateway=10.1.2.1\nDNS=10.1.2.1\n" in wire
    assert stat.S_IMODE((card.etc / "systemd/network/10-linetap.network").stat().st_mode) == 0o644
    assert stat.S_IMODE((card.etc / "chrony/sources.d/linetap.sources").stat().st_mode) == 0o644
    assert (card.etc / "chrony/sources.d/linetap.sources").read_text() == "server ntp.city iburst\n"
    assert card.on_card() == {"linetap-done.txt", "floor-03.request"}
    assert not list(card.home.glob(".*"))


def test_on_an_image_the_networks_files_are_kept_where_the_start_checks_them(card: Card) -> None:
    """As image/root/etc/systemd/system/provision-linetap.service.d has it, and with a link that a stranger laid."""
    card.home.mkdir(exist_ok=True)
    (card.home / "ca.pem").symlink_to(card.root / "elsewhere")
    assert card.pack("--address", "10.1.2.3/255.255.255.0", "--gateway", "10.1.2.1") == 0
    kept = card.root / "kept"
    words = ["provision", "apply", str(card.boot), "--etc", str(card.etc), "--run", str(card.run), "--kept", str(kept)]
    assert cli.main(words) == 0
    assert not list(card.etc.rglob("*.network"))
    assert "Address=10.1.2.3/24\n" in (kept / "systemd/network/10-linetap.network").read_text()
    assert not (card.root / "elsewhere").exists()
    assert (card.home / "ca.pem").read_text() == (card.desk / "ca.pem").read_text()


def test_the_request_on_the_card_makes_a_certificate_that_comes_back_by_card(card: Card, tmp_path: Path) -> None:
    pki = Pki(tmp_path / "authority")
    assert card.pack() == 0
    assert card.start() == 0
    asked = card.boot / "floor-03.request"
    assert request.check(asked.read_bytes()).unit == "floor-03"
    assert pki.run("unit", str(asked), "-o", str(card.boot / "floor-03.pem")) == 0
    assert card.start() == 0
    assert card.on_card() == {"linetap-done.txt", "floor-03.request"}
    (tls,) = card.home.glob("tls.pem")
    assert "OK" in run_tool(["openssl", "verify", "-CAfile", str(pki.ca), str(tls)]).stdout.decode()


def test_a_second_card_changes_the_unit_and_keeps_its_keys(owned: Card) -> None:
    assert (owned.pack("--vlan", "120"), owned.start()) == (0, 0)
    made = {name: (owned.home / name).read_bytes() for name in ("unit.key", "tls.key")}
    assert (owned.etc / "systemd/network/20-linetap-vlan.netdev").exists()
    owned.configure(old="notice_delay_ms = 500", new="notice_delay_ms = 700")
    assert (owned.pack(*owned.key), owned.start()) == (0, 0)
    assert load_config(owned.home / "unit.toml").recording.notice_delay_ms == 700
    assert made == {name: (owned.home / name).read_bytes() for name in made}
    assert not (owned.etc / "systemd/network/20-linetap-vlan.netdev").exists(), "of the order before"


def test_a_configuration_that_a_command_may_replace_stays_one(owned: Card) -> None:
    kept = owned.root / "config" / "unit.toml"
    owned.home.mkdir()
    (owned.home / "unit.toml").symlink_to(kept)
    assert (owned.pack(), owned.start()) == (0, 0)
    kept.chmod(0o640)
    owned.configure(old="notice_delay_ms = 500", new="notice_delay_ms = 700")
    assert (owned.pack(*owned.key), owned.start()) == (0, 0)
    assert (owned.home / "unit.toml").is_symlink()
    assert load_config(owned.home / "unit.toml").recording.notice_delay_ms == 700
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


def test_without_a_card_nothing_happens(card: Card) -> None:
    assert card.start() == 0
    assert card.on_card() == set()
    assert not card.home.exists()


def test_wifi_of_the_card(card: Card) -> None:
    assert (card.pack("--wifi", "시청 3층", "p4ss phrase"), card.start()) == (0, 0)
    text = (card.etc / "wpa_supplicant/wpa_supplicant-wlan0.conf").read_text()
    assert 'ssid="시청 3층"' in text
    assert 'psk="p4ss phrase"' in text
    assert "Name=wlan0" in (card.etc / "systemd/network/10-linetap.network").read_text()


def written(card: Card, text: str | bytes) -> None:
    (card.boot / "linetap.toml").write_bytes(text if isinstance(text, bytes) else text.encode())


IMAGE = ("--image", "--broker", "broker.city.example")
UNIT = "[files]\n\"unit.toml\" = '''\n{}'''\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n", "linetap.toml: the file is empty"),
        ("# nothing\n", "linetap.toml:1: files is missing"),
        (b"\x80\xff\xfe binary", "linetap.toml:1: byte 0 is not UTF-8"),
        ("[files\n", "linetap.toml:1: not TOML"),
        ("#" * (1 << 20) + "\n", "more than 1048576 bytes; that is no configuration"),
        ("[files]\n", 'linetap.toml:1: files: there is no "unit.toml"'),
        ('[files]\n"unit.toml" = ""\n"unit.key" = "x"\n', "linetap.toml:3: files: unit.key is made by the unit itself"),
        ('[files]\n"unit.toml" = ""\n"../x" = "x"\n', "linetap.toml:3: files: '../x' is no name"),
        (UNIT.format("unit = 3\n"), "linetap.toml: unit.toml:1: unit = 3"),
        ('[files]\n"unit.toml" = ""\n[network]\naddress = "10.1"\ngateway = "x"\n', "linetap.toml:4: network.address"),
        ('[files]\n"unit.toml" = ""\n[network]\naddress = "10.1.2.3/8"\n', "address and gateway go together"),
        ('[files]\n"unit.toml" = ""\n[network]\nvlan = 5000\n', "linetap.toml:4: network.vlan = 5000"),
        ('ssh_key = "ssh-rsa AAAA"\n[files]\n"unit.toml" = ""\n', "linetap.toml:1: ssh_key: the one line of a .pub"),
        ('speed = 3\n[files]\n"unit.toml" = ""\n', "linetap.toml:1: unknown key speed"),
    ],
    ids=[
        "empty", "without files", "binary", "cut short", "huge", "no configuration", "a key", "a path", "wrong type",
        "no address", "no gateway", "vlan", "ssh-rsa", "unknown key",
    ],
)  # fmt: skip
def test_a_wrong_file_changes_nothing_and_is_explained_beside_it(card: Card, text: str | bytes, said: str) -> None:
    written(card, text)
    before = (card.boot / "linetap.toml").read_bytes()
    assert card.start() == 2
    assert said in (card.boot / "linetap-error.txt").read_text()
    assert (card.boot / "linetap.toml").read_bytes() == before
    assert not (card.home / "unit.toml").exists()
    assert not list(card.etc.rglob("*.network"))


@pytest.mark.parametrize(
    "name",
    ["unit.key", "unit.key.next", "unit.key.next.pub", "unit.key.kept", "unit.key.pub", "tls.key", "tls.key.kept",
     "allowed_signers", "allowed_signers.kept", "order.json", "order.json.kept", "broker.networks", "unit.toml.kept"],
)  # fmt: skip
def test_no_file_of_the_units_own_comes_with_an_order(card: Card, name: str) -> None:
    """A next key that travelled would be entered in the log as the unit's own at the recorder's next start."""
    assert card.pack() == 0
    path = card.boot / "linetap.toml"
    written(card, path.read_text().replace("[files]\n", f'[files]\n"{name}" = "x"\n'))
    assert card.start() == 2
    told = (card.boot / "linetap-error.txt").read_text()
    assert re.search(rf"files: {name} is (made|written) by the unit itself", told)
    assert not list(card.home.glob("*"))


def test_forty_lines_are_too_many(card: Card) -> None:
    line = "\n[[line]]\nnumber = {}\nchannel = {}\n"
    card.configure(old="\n[[line]]\nnumber = 1\n", new=line.format(40, 40) + "\n[[line]]\nnumber = 1\n")
    assert card.pack() == 2
    written(card, UNIT.format((card.desk / "unit.toml").read_text()))
    assert card.start() == 2
    assert "linetap.toml: unit.toml:" in (card.boot / "linetap-error.txt").read_text()


def test_what_was_wrong_is_forgotten_when_it_is_right(card: Card) -> None:
    written(card, "[files\n")
    assert card.start() == 2
    assert (card.pack(), card.start()) == (0, 0)
    assert "linetap-error.txt" not in card.on_card()


def test_another_units_card_is_refused(owned: Card) -> None:
    assert (owned.pack(), owned.start()) == (0, 0)
    before = (owned.home / "unit.toml").read_bytes()
    owned.configure(unit="floor-04")
    assert (owned.pack(*owned.key), owned.start()) == (0, 2)
    assert "this is unit floor-03, not floor-04" in (owned.boot / "linetap-error.txt").read_text()
    assert (owned.home / "unit.toml").read_bytes() == before
    assert (owned.boot / "linetap.toml").exists()


def test_what_is_packed_is_what_was_given(card: Card) -> None:
    """Also text that a literal string of TOML cannot hold."""
    (card.desk / "ca.pem").write_text("unused")
    for text in ("it's '''three''' quotes\n", "a\ttab\n", "one line", "한글\n\n끝\n"):
        (card.desk / "odd.txt").write_text(text)
        (card.boot / "linetap.toml").unlink(missing_ok=True)
        files = [str(card.desk / name) for name in ("odd.txt", "unit.toml")]
        assert cli.main(["provision", "pack", *files, "-o", str(card.boot / "linetap.toml")]) == 0
        found = tomllib.loads((card.boot / "linetap.toml").read_text())
        assert found["files"] == {"odd.txt": text, "unit.toml": (card.desk / "unit.toml").read_text()}


def test_what_the_order_does_not_bring_is_what_lies_there(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    """The image's pins and notices; a unit.toml for an image names them as they lie on the unit."""
    words = [*IMAGE, "--lines", "8", "--custodian", CUSTODIAN, "--epoch", EPOCH, "--force"]
    assert cli.main(["config", "init", "floor-03", *words, "-o", str(card.desk / "unit.toml")]) == 0
    assert card.pack() == 0
    capsys.readouterr()
    assert card.start() == 2
    assert "board.pins: " in (card.boot / "linetap-error.txt").read_text()
    assert (card.run / CARD_WRONG).exists()
    shutil.copy(PINS, card.home / "pins.toml")
    assert card.start() == 0
    config = load_config(card.home / "unit.toml")
    assert not (card.run / CARD_WRONG).exists()
    assert (config.board.kind, config.board.pins) == ("hardware", str(card.home / "pins.toml"))
    assert not list(card.home.glob(".*"))


def test_a_key_list_for_an_image_lies_beside_its_unit(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*IMAGE, "--lines", "8", "--custodian", CUSTODIAN, "--epoch", EPOCH, "--authority", AUTHORITY]
    words += ["--key-list", str(card.run / "keylist.json"), "-o", str(card.desk / "other.toml")]
    assert cli.main(["config", "init", "floor-03", *words]) == 2
    assert "beside it expected" in capsys.readouterr().err


def test_a_table_of_pins_that_lies_there_is_kept_and_a_failed_start_leaves_none(card: Card) -> None:
    words = [*IMAGE, "--lines", "8", "--custodian", CUSTODIAN, "--epoch", EPOCH, "--force"]
    pins, output = card.desk / "pins.toml", str(card.desk / "unit.toml")
    pins.write_text("[led\n")
    assert cli.main(["config", "init", "floor-03", *words, "-o", output]) == 2
    assert pins.read_text() == "[led\n"
    pins.unlink()
    (card.desk / ".unit.toml.new").mkdir()  # cannot be written
    assert cli.main(["config", "init", "floor-03", *words, "-o", output]) == 2
    assert not pins.exists()
