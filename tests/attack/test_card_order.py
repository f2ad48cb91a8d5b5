# SPDX-License-Identifier: Apache-2.0
"""A thief with the card for half a minute, and the requirements for changing a commissioned unit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from card_rig import SSH_KEY, Card
from epoch_rig import Authority
from linetap import cardresult
from linetap.cardresult import CARD_WRONG
from linetap.config import load_config
from linetap.provision import acceptorder, memory
from linetap_core.durable import privatefile
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig

PRIVATE = "authority.key"


class Town:
    """A unit commissioned for an authority with an unsigned order, as the first one is."""

    def __init__(self, root: Path) -> None:
        self.card = Card.new(root)
        self.authority = self.new_authority(self.card.desk)
        self.card.configure(authority=self.authority)
        assert (self.card.pack(), self.card.start()) == (0, 0)
        self.before = self.state()

    def new_authority(self, folder: Path) -> Authority:
        folder.mkdir(exist_ok=True)
        authority = Authority(folder)
        authority.publish(authority.make("2026-11-20", 500))
        privatefile.write(folder / PRIVATE, keys.unit_key_file(authority.key))
        return authority

    def thief(self) -> Authority:
        """Another authority, with its own key list in the order."""
        thief = self.new_authority(self.card.root / "thief")
        for name in ("keylist.json", "keylist.json.sig"):
            (self.card.desk / name).write_bytes((thief.folder / name).read_bytes())
        return thief

    def key(self, authority: Authority | None = None) -> tuple[str, str]:
        return "--key", str((authority or self.authority).folder / PRIVATE)

    def state(self) -> dict[str, bytes]:
        """All files in force."""
        etc = self.card.etc
        return {str(path.relative_to(etc)): path.read_bytes() for path in etc.rglob("*") if path.is_file()}

    def refuses(self, code: str) -> None:
        on_card = (self.card.boot / "linetap.toml").read_bytes()
        assert self.card.start() == 2
        told = (self.card.boot / "linetap-error.txt").read_text()
        assert f"[{code}]" in told
        assert len(told.rstrip().splitlines()) == 4, "a heading in two languages, and one line of why"
        assert (self.card.boot / "linetap.toml").read_bytes() == on_card
        assert self.state() == self.before, "nothing was changed"
        assert not (self.card.run / "linetap-ssh").exists(), "and nobody let in"
        assert (self.card.run / CARD_WRONG).exists()
        said = cardresult.load(self.card.run / "linetap")
        assert said is not None
        assert said.code == code
        assert len(said.sha256) == 64


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def test_the_thiefs_own_configuration_is_refused(town: Town) -> None:
    """The thief's custodians, epochs and authority, and a key for root's login: possible in half a minute."""
    thief = town.thief()
    path = town.card.desk / "unit.toml"
    path.write_text(path.read_text().replace(town.authority.line, thief.line))
    assert town.card.pack() == 0
    town.refuses("order_unsigned")
    assert town.card.pack("--ssh-key", SSH_KEY) == 0
    town.refuses("order_unsigned")
    assert town.card.pack("--ssh-key", SSH_KEY, *town.key(thief)) == 0
    town.refuses("order_signer")


def test_any_unsigned_order_is_refused_even_the_one_it_has(town: Town) -> None:
    assert town.card.pack() == 0
    town.refuses("order_unsigned")


def test_a_signature_over_something_else_is_refused(town: Town) -> None:
    card = town.card
    assert card.pack(*town.key()) == 0
    with (card.boot / "linetap.toml").open("a") as file:
        file.write(f"\nssh_key = {json.dumps(SSH_KEY)}\n")
    town.refuses("order_signature")
    data = (card.boot / "linetap.toml").read_bytes()
    for namespace in ("linetap-command", "linetap-keylist", "linetap-roles"):
        (card.boot / acceptorder.SIGNATURE).write_text(sshsig.sign(data, town.authority.key, namespace))
        town.refuses("order_signature")
    (card.boot / acceptorder.SIGNATURE).write_bytes(b"")
    town.refuses("order_signature")


def test_what_the_authority_signed_is_taken_once(town: Town) -> None:
    card = town.card
    card.configure(old="notice_delay_ms = 500", new="notice_delay_ms = 700", authority=town.authority)
    assert card.pack("--ssh-key", SSH_KEY, *town.key()) == 0
    kept = {name: (card.boot / name).read_bytes() for name in ("linetap.toml", "linetap.toml.sig")}
    assert card.start() == 0
    assert load_config(card.home / "unit.toml").recording.notice_delay_ms == 700
    assert (card.run / "linetap-ssh" / "authorized_keys").read_text() == f"restrict,pty {SSH_KEY}\n"
    said = cardresult.load(card.run / "linetap")
    assert said is not None
    assert said.code == "taken"
    assert card.on_card() == {"linetap-done.txt", "floor-03.request"}
    (card.run / "linetap-ssh" / "authorized_keys").unlink()
    (card.run / "linetap-ssh").rmdir()  # the next boot
    for name, data in kept.items():
        (card.boot / name).write_bytes(data)
    town.before = town.state()
    town.refuses("order_older")


def test_an_older_one_that_was_never_used_is_refused(town: Town) -> None:
    card = town.card
    assert card.pack(*town.key()) == 0
    unused = {name: (card.boot / name).read_bytes() for name in ("linetap.toml", "linetap.toml.sig")}
    assert (card.pack(*town.key()), card.start()) == (0, 0)
    for name, data in unused.items():
        (card.boot / name).write_bytes(data)
    town.before = town.state()
    town.refuses("order_older")


def test_another_units_order_is_refused_though_the_authority_signed_it(town: Town) -> None:
    town.card.configure(unit="floor-04", authority=town.authority)
    assert town.card.pack(*town.key()) == 0
    town.refuses("order_other_unit")


def test_an_order_without_its_time_is_refused(town: Town) -> None:
    card = town.card
    assert card.pack() == 0
    lines = (card.boot / "linetap.toml").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("made_at"))
    (card.boot / "linetap.toml").write_text(text)
    (card.boot / acceptorder.SIGNATURE).write_text(sshsig.sign(text.encode(), town.authority.key, namespaces.ORDER))
    town.refuses("order_undated")


def test_stock_ssh_keygen_signs_it(town: Town) -> None:
    card = town.card
    assert card.pack() == 0
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(town.authority.folder / PRIVATE), "-n", "linetap-order"]
    subprocess.run([*words, str(card.boot / "linetap.toml")], check=True, capture_output=True, timeout=120)
    assert card.start() == 0


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo, lambda path: path.mkdir()])
def test_what_is_no_file_is_refused_and_holds_nothing_up(town: Town, make: Callable[[Path], None]) -> None:
    make(town.card.boot / "linetap.toml")
    assert town.card.start() == 2
    assert "root:" not in (town.card.boot / "linetap-error.txt").read_text()
    assert town.state() == town.before


@pytest.mark.parametrize(("remembered", "code"), [(True, "order_unsigned"), (False, "order_config")])
def test_a_configuration_that_cannot_be_read_opens_no_way_in(town: Town, remembered: bool, code: str) -> None:
    """If an older version commissioned the unit, its authority is not recorded: no order is accepted."""
    (town.card.home / "unit.toml").write_text("unit = 3\n")
    if not remembered:
        (town.card.home / memory.NAME).unlink()
    town.before = town.state()
    assert town.card.pack() == 0
    town.refuses(code)


def test_a_lost_configuration_makes_no_new_unit_under_the_old_key(town: Town) -> None:
    """It may be on the data partition, which RAM replaces if it cannot be mounted."""
    card = town.card
    (card.home / "unit.toml").unlink()
    town.before = town.state()
    assert card.pack() == 0
    town.refuses("order_unsigned")
    (card.desk / "unit.toml").write_text((card.desk / "unit.toml").read_text().replace("floor-03", "floor-04"))
    assert card.pack(*town.key()) == 0
    town.refuses("order_other_unit")
    for damaged in (b"", b"{", b"[]", b"\xff"):
        for name in (memory.NAME, f"{memory.NAME}.twin"):
            (card.home / name).write_bytes(damaged)
        town.before = town.state()
        town.refuses("order_config")


def test_a_configuration_that_the_recorder_has_changed_names_no_authority(town: Town) -> None:
    """The recorder owns the file: when compromised it can name the thief's authority, and the thief brings the card."""
    thief, config = town.thief(), town.card.home / "unit.toml"
    config.write_text(config.read_text().replace(_line(town.authority), _line(thief)))
    assert _line(thief) in config.read_text()
    town.before = town.state()
    town.card.configure(authority=thief)
    assert town.card.pack(*town.key(thief)) == 0
    town.refuses("order_signer")


def _line(authority: Authority) -> str:
    return " ".join(keys.public_line(authority.key.public_key()).split()[:2])


def test_a_certificate_that_is_none_of_the_units_is_not_taken(town: Town) -> None:
    (town.card.boot / "floor-03.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert town.card.start() == 2
    assert "floor-03.pem: not a certificate" in (town.card.boot / "linetap-error.txt").read_text()
    assert town.state() == town.before


def test_a_new_unit_lets_in_by_a_signed_order_alone(tmp_path: Path) -> None:
    card = Card.new(tmp_path)
    assert (card.pack("--ssh-key", SSH_KEY), card.start()) == (0, 2)
    assert "[order_unsigned]" in (card.boot / "linetap-error.txt").read_text()
    assert not (card.home / "unit.toml").exists()
    authority = Authority(card.desk)
    authority.publish(authority.make("2026-11-20", 500))
    privatefile.write(card.desk / PRIVATE, keys.unit_key_file(authority.key))
    card.configure(authority=authority)
    assert (card.pack("--ssh-key", SSH_KEY, "--key", str(card.desk / PRIVATE)), card.start()) == (0, 0)
    assert (card.run / "linetap-ssh" / "authorized_keys").exists()
    assert (card.pack("--key", str(card.desk / PRIVATE)), card.start()) == (0, 0)
    assert not (card.run / "linetap-ssh" / "authorized_keys").exists()


def test_an_authority_of_several_signs_with_as_many_as_it_takes(town: Town) -> None:
    card, members = town.card, [town.authority, *(town.new_authority(town.card.root / name) for name in ("b", "c"))]
    lines = ", ".join(f'"{member.line}"' for member in members)
    card.configure(
        authority=town.authority, old=f'authority = "{town.authority.line}"\nauthority_needed = 1',
        new=f"authority = [{lines}]\nauthority_needed = 2",
    )  # fmt: skip
    data = town.authority.path.read_bytes()
    town.authority.lay_down(data, town.authority.sign(data) + members[1].sign(data))
    assert (card.pack(*town.key()), card.start()) == (0, 0)
    town.before = town.state()
    assert card.pack(*town.key()) == 0
    town.refuses("order_signer")
    assert card.pack(*town.key(), *town.key()) == 0
    town.refuses("order_signature")
    assert card.pack(*town.key(), *town.key(members[2])) == 0
    assert card.start() == 0


@pytest.mark.parametrize("blocked", ["floor-03.request", "linetap-done.txt", "linetap-error.txt"])
def test_a_folder_where_the_unit_writes_gives_no_order_a_second_turn(town: Town, blocked: str) -> None:
    """A thief with a copy of a signed order prepares the card so that the unit might not record its acceptance."""
    card = town.card
    assert card.pack("--ssh-key", SSH_KEY, *town.key()) == 0
    kept = {name: (card.boot / name).read_bytes() for name in ("linetap.toml", "linetap.toml.sig")}
    (card.boot / blocked).unlink(missing_ok=True)
    (card.boot / blocked).mkdir()
    (card.boot / blocked / "x").touch()
    assert card.start() == 0, "a folder in the way is renamed"
    shutil.rmtree(card.run / "linetap-ssh")  # the next boot
    for name, data in kept.items():
        (card.boot / name).write_bytes(data)
    before = town.state()
    assert card.start() == 2
    said = cardresult.load(card.run / "linetap")
    assert said is not None
    assert said.code == "order_older"
    assert (card.run / CARD_WRONG).exists()
    assert not (card.run / "linetap-ssh").exists()
    assert town.state() == before
