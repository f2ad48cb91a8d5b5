# SPDX-License-Identifier: Apache-2.0
"""A compromised recorder writes a unit.toml, and waits for root: for a certificate, a request for one, or a notice.
Root overwrites no file that the recorder has named.
"""

from __future__ import annotations

import math
import os
import wave
from pathlib import Path

import pytest

from card_rig import Card
from linetap.config import load_config
from linetap.notices.importer import import_notice
from linetap.tpm import device
from linetap.tpm.device import TpmFault
from linetap_core import cli
from pki_rig import Pki

RECORDER = 65533
KINDS = ("txt", "wav")
SECRET = b"what is root's"
KEPT = ("unit.key", "order.json", "allowed_signers", "ca.pem", "tls.key")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="it is about root")


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Card:
    """A commissioned unit with the layout of systemd/: unit.toml links to a folder of the recorder's."""
    card = Card.of_authority(tmp_path)
    place = tmp_path / "config"
    place.mkdir()
    card.home.mkdir()
    (card.home / "unit.toml").symlink_to(place / "unit.toml")
    assert (card.pack(), card.start()) == (0, 0)
    os.chown(place, RECORDER, RECORDER)
    for module in ("commission.tlsrequest", "notices.command"):
        monkeypatch.setattr(f"linetap.{module}.HOME", card.home)
    return card


def says(card: Card, old: str, new: str) -> None:
    """Replaces a text in the recorder's file."""
    place = (card.home / "unit.toml").resolve()
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new))
    os.chown(place, RECORDER, RECORDER)


def root_files(card: Card) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in card.home.iterdir() if path.is_file() and path.name != "unit.toml"}


def bring_certificate(card: Card, tmp_path: Path) -> None:
    pki = Pki(tmp_path / "authority")
    (card.home / "ca.pem").write_bytes(pki.ca.read_bytes())
    asked = str(card.boot / "floor-03.request")
    assert pki.run("unit", asked, "-o", str(card.boot / "floor-03.pem")) == 0


@pytest.mark.parametrize(
    "name", ["unit.key", "order.json", "allowed_signers", "ca.pem", "tls.key", "unit.toml", "new.pem"]
)
def test_a_certificate_goes_over_no_key_and_no_memory(card: Card, tmp_path: Path, name: str) -> None:
    """An honest one, brought by a technician when the old one ends."""
    bring_certificate(card, tmp_path)
    says(card, 'certificate = "tls.pem"', f'certificate = "{name}"')
    before = root_files(card)
    assert card.start() == 2
    assert root_files(card) == before
    said = (card.boot / "linetap-error.txt").read_text()
    assert f"broker.certificate is {card.home / name}; {card.home / 'tls.pem'} expected" in said


def test_where_it_belongs_it_is_taken(card: Card, tmp_path: Path) -> None:
    bring_certificate(card, tmp_path)
    says(card, "notice_delay_ms = 500", "notice_delay_ms = 700")
    assert card.start() == 0
    assert (card.home / "tls.pem").exists()


@pytest.mark.parametrize("more", [(), ("--new-key",)])
@pytest.mark.parametrize("name", ["unit.key", "order.json", "made"])
def test_a_request_makes_no_key_where_the_recorder_says(
    card: Card, tmp_path: Path, name: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """With --new-key any existing file would be overwritten, and a missing one created."""
    says(card, 'key = "tls.key"', f'key = "{name}"')
    before = root_files(card)
    words = [
        "pki",
        "request",
        "--config",
        str(card.home / "unit.toml"),
        *more,
        "-o",
        str(tmp_path / "floor-03.request"),
    ]
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert f"broker.key is {card.home / name}; {card.home / 'tls.key'} expected" in said
    assert said.count("\n") == 1
    assert root_files(card) == before


def test_a_request_signs_with_no_key_that_the_recorder_names(
    card: Card, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    says(card, '\nkey = "unit.key"', f'\nkey = "{tmp_path}/config/key"')
    words = ["--config", str(card.home / "unit.toml"), "-o", str(tmp_path / "floor-03.request")]
    assert cli.main(["pki", "request", *words]) == 2
    assert f"{card.home / 'unit.key'} expected" in capsys.readouterr().err


def test_where_they_belong_it_asks_with_both_keys(card: Card, tmp_path: Path) -> None:
    says(card, "notice_delay_ms = 500", "notice_delay_ms = 700")
    words = ["--config", str(card.home / "unit.toml"), "--new-key", "-o", str(tmp_path / "floor-03.request")]
    before = (card.home / "tls.key").read_bytes()
    assert cli.main(["pki", "request", *words]) == 0
    assert (card.home / "tls.key").read_bytes() != before


@pytest.mark.parametrize("kind", ["file", "folder", "fifo"])
def test_what_is_no_device_is_no_tpm_and_is_not_written_to(tmp_path: Path, kind: str) -> None:
    """`keys.tpm` names one; the first command would overwrite the beginning of the file."""
    path = tmp_path / "tpm"
    if kind == "file":
        path.write_bytes(SECRET)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(TpmFault, match="expected"):
        device.open_device(path)
    assert kind != "file" or path.read_bytes() == SECRET


def sound(folder: Path) -> Path:
    path = folder / "lobby.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(
            b"".join(round(8000 * math.sin(n / 3)).to_bytes(2, "little", signed=True) for n in range(16000))
        )
    return path


def test_a_notice_goes_into_no_folder_of_the_recorders(
    card: Card, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "config" / "trap"
    place.mkdir()
    now = load_config(card.home / "unit.toml").notices
    says(card, f'notices = "{now}"', f'notices = "{place}"')
    words = ["notice", "import", str(sound(tmp_path)), "--text", "words", "--config", str(card.home / "unit.toml")]
    assert cli.main(words) == 2
    assert f"notices is {place}; {card.home / 'notices'} expected" in capsys.readouterr().err
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    "planted", [".lobby.txt.new", ".lobby.wav.new", ".lobby.txt.tmp", ".lobby.wav.tmp", "lobby.txt"]
)
def test_a_notice_is_written_through_no_link(tmp_path: Path, planted: str) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "notices"
    victim.write_bytes(SECRET)
    folder.mkdir()
    (folder / planted).symlink_to(victim)
    import_notice(sound(tmp_path), "words", folder)
    assert victim.read_bytes() == SECRET
    assert (folder / "lobby.txt").read_text() == "words\n"
    assert not (folder / "lobby.txt").is_symlink()
