# SPDX-License-Identifier: Apache-2.0
"""Mistakes of Windows, browsers and editors in the files on a card: reported there in Korean and English, and by the
LEDs."""

from __future__ import annotations

import fnmatch
import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from card_rig import CUSTODIAN, EPOCH, PINS, Card
from linetap.adoption.command import desks_of
from linetap.cardresult import CARD_WRONG, DESK
from linetap.config import load_config
from linetap.provision import cardfiles
from linetap_core import cli
from linetap_core.enrolment.order import read_at_desk
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source

SERVICE = Path(__file__).parents[2] / "systemd/provision-linetap.service"


@pytest.fixture
def card(tmp_path: Path) -> Card:
    made = Card.new(tmp_path)
    assert made.pack() == 0
    return made


def refused(card: Card, *said: str) -> None:
    """Nothing is changed, and the card says why in both languages; once it is right the unit takes it."""
    assert card.start() == 2
    told = (card.boot / "linetap-error.txt").read_text()
    for each in said:
        assert each in told
    ko, en = told.rstrip().splitlines()[-2:]
    assert re.search("[가-힣]", ko)
    assert re.sub("'[^']*'", "", en).isascii() or not said[0].isascii(), "but for what it quotes"
    assert (card.run / CARD_WRONG).exists(), "the LEDs show it"
    assert not (card.home / "unit.toml").exists()


def taken(card: Card) -> None:
    assert card.start() == 0
    assert load_config(card.home / "unit.toml").unit == "floor-03"
    assert not (card.run / CARD_WRONG).exists()
    assert "linetap-error.txt" not in card.on_card()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("linetap.toml.txt", "Windows hides the ending .txt"),
        ("Linetap.TOML.TXT", "파일 확장명"),
        ("linetap.toml (1)", "linetap.toml expected, at the top of the card"),
        ("linetap (1).toml", "linetap.toml expected"),
        ("linetap - 복사본.toml", "linetap - 복사본.toml"),
        ("LINETAP.TOML", "linetap.toml expected"),
        ("LINETA~1.TOM", "linetap.toml expected"),
        ("floor-03.toml", "floor-03.toml: linetap.toml expected"),
        ("unit.toml", "unit.toml: linetap.toml expected"),
        ("linetap", "linetap: linetap.toml expected"),
        ("linetap.txt", "to be renamed linetap.toml"),
        (
            "linetap．toml",
            "linetap．toml: linetap.toml expected",
        ),  # a full-width dot, as a Korean keyboard may write it
        ("linetap_toml.txt", "to be renamed linetap.toml"),
        ("설정/linetap.toml", "설정/linetap.toml: linetap.toml expected, at the top"),
    ],
)
def test_a_name_that_is_nearly_right(card: Card, name: str, said: str) -> None:
    (card.boot / name).parent.mkdir(exist_ok=True)
    (card.boot / "linetap.toml").rename(card.boot / name)
    refused(card, said)
    assert is_started_for(card.boot), "systemd starts `provision apply` for that name"
    (card.boot / name).rename(card.boot / "linetap.toml")
    taken(card)


@pytest.mark.parametrize("between", ["", ".", "_", "-", " ", "--", "-.", " - ", "．"])
def test_systemd_starts_for_each_name_that_is_taken_for_an_order(tmp_path: Path, between: str) -> None:
    """Nothing else starts it on a unit that is commissioned and certified."""
    for parts in itertools.product(["linetap", "LineTap"], ["", "toml", "TOML"], ["", "txt", "TXT"]):
        boot = tmp_path / "-".join(part or "0" for part in parts)
        boot.mkdir()
        name = between.join(part for part in parts if part)
        for each in {name, f"{parts[0]}{between}"} - {"linetap.toml"}:
            (boot / each).touch()
            with pytest.raises(cardfiles.CardMistake):
                cardfiles.require_names(boot)
            assert is_started_for(boot), each
            (boot / each).unlink()


def test_several_files_are_no_choice_of_the_units(card: Card) -> None:
    shutil.copy(card.boot / "linetap.toml", card.boot / "linetap (1).toml")
    refused(card, "linetap.toml, linetap (1).toml: several files")
    (card.boot / "linetap (1).toml").unlink()
    taken(card)


def test_what_a_system_hides_on_a_card_is_no_file_of_ours(card: Card) -> None:
    for name in ("._linetap.toml", ".linetap.toml.swp", "~$linetap.toml"):
        (card.boot / name).write_bytes(b"\0\5\26\7")
    taken(card)


@pytest.mark.parametrize(
    ("encoded", "said"),
    [
        (lambda text: text.encode("utf-8-sig"), "saved as UTF-8 BOM"),
        (lambda text: text.encode("utf-16"), "saved as UTF-16"),
        (lambda text: text.encode("utf-16-be"), "saved as UTF-16"),
        (lambda text: text.encode("cp949"), "saved as ANSI(CP949)"),
        (lambda _: b"", "the file is empty"),
        (lambda _: b" \r\n", "the file is empty"),
        (lambda text: b"\0" * len(text), "the card was pulled out before it was written"),
        (lambda _: b"<!DOCTYPE html><html>", "a web page or a document"),
        (lambda _: b"{\\rtf1\\ansi", "a web page or a document"),
    ],
    ids=["BOM", "UTF-16", "UTF-16 BE", "CP949", "empty", "blank", "zeros", "web page", "RTF"],
)
def test_what_an_editor_made_of_it(card: Card, encoded: object, said: str) -> None:
    path = card.boot / "linetap.toml"
    good = path.read_bytes()
    assert callable(encoded)
    path.write_bytes(encoded("# 3층 배선함\n" + good.decode()))
    refused(card, said)
    path.write_bytes(good.replace(b"\n", b"\r\n"))  # line ends of Windows are TOML's too
    taken(card)


def test_a_signature_with_another_ending_is_reported_before_the_order_counts_as_unsigned(tmp_path: Path) -> None:
    card = Card.of_authority(tmp_path)
    assert (card.pack(), card.start()) == (0, 0)
    card.configure(old="notice_delay_ms = 500", new="notice_delay_ms = 700")
    assert card.pack(*card.key) == 0
    signature = card.boot / "linetap.toml.sig"
    signature.rename(card.boot / "linetap.toml.sig.txt")
    assert card.start() == 2
    assert "to be renamed linetap.toml.sig;" in (card.boot / "linetap-error.txt").read_text()
    (card.boot / "linetap.toml.sig.txt").rename(signature)
    taken(card)


@pytest.mark.parametrize("name", ["linetap-decommission.txt.txt", "linetap-decommission", "Linetap_Decommission.txt"])
def test_a_decommissioning_with_another_name_is_reported(card: Card, name: str) -> None:
    assert card.start() == 0
    (card.boot / name).write_text("floor-03")
    assert card.start() == 2
    assert "linetap-decommission.txt" in (card.boot / "linetap-error.txt").read_text()
    assert is_started_for(card.boot)
    assert (card.home / "unit.key").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("linetap-desk.txt.txt", "desk.city.example", "to be renamed linetap-desk.txt"),
        ("linetap-desk.txt", "http://desk.city.example", "desk.city.example or https://"),
        ("linetap-desk.txt", "데스크는 desk.city.example", "'데스크는 desk.city.example': the one line"),
        ("linetap-desk.txt", "", "the one line"),
        ("linetap-desk.txt", "desk.city.example\r\ndesk2.city.example", "the one line"),
        ("linetap-desk.txt", "desk..example", "the one line"),
        ("linetap-desk.txt", "desk.city.example:0", "the one line"),
        ("linetap-desk.txt", "localhost:8443", "'localhost' is the unit itself: the desk's name"),
        ("linetap-desk.txt", "https://127.0.0.1/", "'127.0.0.1' is the unit itself"),
        ("linetap-desk.txt", "127.1", "the one line"),
    ],
)
def test_where_the_desk_is_and_mistakes_in_it(card: Card, name: str, text: str, said: str) -> None:
    (card.boot / "linetap.toml").unlink()
    (card.boot / name).write_text(text)
    refused(card, said)
    (card.boot / name).unlink()
    (card.boot / "linetap-desk.txt").write_bytes("desk.city.example:8444\r\n".encode("utf-16"))
    assert card.start() == 0
    assert desks_of(None, card.run / DESK) == [("desk.city.example", 8444)]


def test_without_a_word_on_the_card_the_desk_is_looked_for_by_its_usual_name(card: Card) -> None:
    (card.boot / "linetap.toml").unlink()
    assert card.start() == 0
    assert desks_of(None, card.run / DESK) == [("linetap-desk", 8443), ("linetap-desk", 443)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_one_line_is_read_in_every_encoding_of_an_editor(encoding: str) -> None:
    assert cardfiles.one_line("floor-03\r\n".encode(encoding)) == "floor-03"


@pytest.mark.parametrize(
    "name", ["floor-04.pem", "floor-03.pem.txt", "floor-03 (1).pem", "ca.PEM", "floor-03.crt", "FLOOR-03.CER"]
)
def test_a_certificate_of_another_unit_or_name_is_reported(card: Card, name: str) -> None:
    assert card.start() == 0
    (card.boot / name).write_text("-----BEGIN CERTIFICATE-----\n")
    assert card.start() == 2
    assert "this is unit floor-03: a file named floor-03.pem expected" in (card.boot / "linetap-error.txt").read_text()
    assert is_started_for(card.boot)


@pytest.mark.parametrize("name", ["site-ca.crt", "a.cer"])
def test_an_authoritys_certificate_on_the_card_stops_nothing(card: Card, name: str) -> None:
    (card.boot / name).write_text("-----BEGIN CERTIFICATE-----\n")
    assert card.start() == 0
    assert not (card.boot / "linetap-error.txt").exists()


def test_a_certificate_alone_makes_no_unit(card: Card) -> None:
    (card.boot / "linetap.toml").unlink()
    (card.boot / "floor-03.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    refused(card, "this unit has no configuration yet")


def is_started_for(boot: Path) -> bool:
    """Judged by the conditions of the unit file, with the pattern language of glob(7), which Python's fnmatch
    shares."""
    asked = re.findall(r"^ConditionPathExists(?:Glob)?=\|/boot/firmware/(.*)$", SERVICE.read_text(), re.MULTILINE)
    there = [str(path.relative_to(boot)) for path in boot.rglob("*") if path.name != "linetap-error.txt"]
    return any(
        name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)
        for name in there
        for pattern in asked
    )


# --- A broker that is the unit itself -------------------------------------------------------------------------------


def initialised(folder: Path, *broker: str) -> int:
    words = ["--image", "--lines", "8", "--custodian", CUSTODIAN, "--epoch", EPOCH, "--force", *broker]
    return cli.main(["config", "init", "floor-03", *words, "-o", str(folder / "unit.toml")])


def test_a_unit_for_an_image_is_told_its_broker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert initialised(tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert initialised(tmp_path, "--broker", "mqtt.city.example") == 0
    broker = load_config(tmp_path / "unit.toml").broker
    assert (broker.host, broker.ca, broker.certificate, broker.key) == (
        "mqtt.city.example", str(tmp_path / "ca.pem"), str(tmp_path / "tls.pem"), str(tmp_path / "tls.key")
    )  # fmt: skip
    assert initialised(tmp_path, "--broker", "mqtt.example", "--broker-ca", "/etc/ssl/certs/ca-certificates.crt") == 0
    assert load_config(tmp_path / "unit.toml").broker.ca == "/etc/ssl/certs/ca-certificates.crt"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "localhost.localdomain", "127.1.2.3", "::1", "0.0.0.0", "::ffff:127.0.0.1"]
)
def test_a_broker_that_is_the_unit_itself_is_refused_where_it_is_packed_and_on_the_card(
    tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    card = Card.new(tmp_path)
    assert initialised(card.desk, "--broker", host) == 2
    assert "--broker" in capsys.readouterr().err
    assert initialised(card.desk, "--broker", "broker.city.example") == 0
    assert card.pack() == 0
    unit, order = card.desk / "unit.toml", card.boot / "linetap.toml"
    packed = order.read_text()
    for path in (unit, order):
        path.write_text(path.read_text().replace('host = "broker.city.example"', f'host = "{host}"'))
    card.home.mkdir()
    shutil.copy(PINS, card.home / "pins.toml")
    refused(card, f"broker.host = {host!r} is the unit itself", "기기 자신입니다")
    order.write_text(packed)
    taken(card)
    assert card.pack() == 2
    assert "is the unit itself" in capsys.readouterr().err
    assert not order.exists()


def test_a_table_that_says_nothing_of_a_broker_says_localhost(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    (card.desk / "unit.toml").write_text('unit = "floor-03"\n')
    assert card.pack() == 2
    assert "broker.host = 'localhost' is the unit itself" in capsys.readouterr().err


@pytest.mark.parametrize(("table", "name"), [("broker", "host"), ("board", "kind")])
def test_a_value_of_another_type_is_told_with_its_place(card: Card, table: str, name: str) -> None:
    """The configuration's own check tells it; no earlier look at the broker may end on it."""
    path = card.boot / "linetap.toml"
    path.write_text(re.sub(rf'(?m)^{name} = ".*"$', f"{name} = []", path.read_text()))
    assert card.start() == 2
    assert f"{table}.{name}" in (card.boot / "linetap-error.txt").read_text()
    assert not (card.home / "unit.toml").exists()
    assert read_at_desk(Source(path)).files


# --- The same at the desk -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_every_configuration_names_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "desk.toml").write_bytes("[serve]\n".encode(encoding))
    with pytest.raises(BadInput, match=r"desk\.toml:1: begins with a byte order mark \(BOM\)"):
        Source(tmp_path / "desk.toml")


def test_what_is_packed_has_no_byte_order_mark(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    unit = card.desk / "unit.toml"
    unit.write_bytes(unit.read_text().encode("utf-8-sig"))
    assert card.pack() == 2
    assert "unit.toml: saved as UTF-8 BOM" in capsys.readouterr().err


def test_a_boot_partition_takes_a_name_in_capitals_as_the_same(tmp_path: Path) -> None:
    """The names that the unit opens are those of vfat, in which case is no difference: mtools shows what is stored."""
    image = tmp_path / "boot.vfat"
    image.write_bytes(bytes(1 << 20))
    subprocess.run(["mkfs.vfat", str(image)], check=True, capture_output=True)
    (tmp_path / "x").write_text("[files]\n")
    subprocess.run(["mcopy", "-i", str(image), str(tmp_path / "x"), "::LINETAP.TOML"], check=True)
    shown = subprocess.run(["mtype", "-i", str(image), "::linetap.toml"], check=True, capture_output=True, text=True)
    assert shown.stdout == "[files]\n"
