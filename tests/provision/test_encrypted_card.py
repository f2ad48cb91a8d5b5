# SPDX-License-Identifier: Apache-2.0
"""An order that wants its card encrypted: nothing secret is laid before it is, and nothing that is on it is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from card_rig import Card
from linetap import cardresult
from linetap.cardresult import CARD_WRONG, Encryption
from linetap.provision import cardstart
from linetap.tpm import volume
from linetap_core.errors import Refusal
from linetap_core.records import KeyHolder

EMPTY: dict[str, list[str]] = {"state": [], "data": []}


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card.new(tmp_path)


def test_the_order_is_taken_once_the_card_is_encrypted(card: Card) -> None:
    cardresult.write_encryption(card.run, Encryption("sealed", "", 1))
    (card.boot / cardresult.MARK).write_text("of the start that encrypted it\n")
    assert (card.pack("--encrypt", "tpm"), card.start()) == (0, 0)
    assert "the card is encrypted" in (card.boot / "linetap-done.txt").read_text()
    assert (card.home / "unit.key").exists()
    assert card.on_card() == {"linetap-done.txt", "floor-03.request"}


@pytest.mark.parametrize(
    ("wanted", "where"), [("tpm", "in the TPM"), ("otp", "in the board's fuses (OTP)")], ids=["TPM", "board"]
)
def test_what_holds_its_key_is_told(card: Card, wanted: KeyHolder, where: str) -> None:
    cardresult.write_encryption(card.run, Encryption("sealed", "", 1, wanted))
    assert (card.pack("--encrypt", wanted), card.start()) == (0, 0)
    assert f"the card is encrypted, with a key {where}\n" in (card.boot / "linetap-done.txt").read_text()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, cardresult.NO_BOARD_KEY),
        (Encryption("plain", cardresult.NO_BOARD_KEY), cardresult.NO_BOARD_KEY),
        (Encryption("plain", "this unit has a TPM"), "this unit has a TPM"),
        (Encryption("sealed", "", 1, "tpm"), "this card is encrypted already, with a key in the TPM"),
    ],
    ids=["no key", "the initramfs did not", "TPM", "by its TPM already"],
)
def test_without_the_boards_key_no_secret_is_laid(card: Card, said: Encryption | None, why: str) -> None:
    if said is not None:
        cardresult.write_encryption(card.run, said)
    assert (card.pack("--encrypt", "otp"), card.start()) == (0, 2)
    assert f"linetap.toml: [card] encrypt: {why}\n" in (card.boot / "linetap-error.txt").read_text()
    assert not card.home.exists()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "this unit has no TPM (/dev/tpm0)"),
        (Encryption("plain", "/vault is on this card already"), "/vault is on this card already"),
    ],
    ids=["no TPM", "the initramfs did not"],
)
def test_without_that_no_secret_is_laid(card: Card, said: Encryption | None, why: str) -> None:
    if said is not None:
        cardresult.write_encryption(card.run, said)
    assert (card.pack("--encrypt", "tpm"), card.start()) == (0, 2)
    assert f"linetap.toml: [card] encrypt: {why}\n" in (card.boot / "linetap-error.txt").read_text()
    assert not card.home.exists()
    assert (card.boot / "linetap.toml").exists()


def test_an_order_that_says_nothing_of_it_is_taken_on_an_encrypted_card_too(card: Card) -> None:
    cardresult.write_encryption(card.run, Encryption("sealed", "", 7))
    assert (card.pack(), card.start()) == (0, 0)


def test_on_a_card_that_is_not_used_nothing_is_taken(card: Card) -> None:
    """What stands in its place is RAM: keys made there would be gone, and an order would be spent."""
    cardresult.write_encryption(card.run, Encryption("refused", "the card is of boot 3, and the TPM has counted 5"))
    assert (card.pack(), card.start()) == (0, 2)
    text = (card.boot / "linetap-error.txt").read_text()
    assert text.endswith("the card is not used: the card is of boot 3, and the TPM has counted 5\n")
    assert "something in this file is wrong" not in text
    assert (card.run / CARD_WRONG).exists()
    assert (card.run / cardresult.REFUSED).exists()
    assert not card.home.exists()
    assert (card.boot / "linetap.toml").exists()


@pytest.mark.parametrize("text", ["", "\n", "refused -\n", "\xff\xfe", "sealedx 1\n"])
def test_what_an_initramfs_leaves_that_came_to_no_end_is_a_refusal(tmp_path: Path, text: str) -> None:
    (tmp_path / cardresult.CARD_NAME).write_bytes(text.encode("latin-1"))
    assert cardresult.read_encryption(tmp_path).word == "refused"


@pytest.mark.parametrize(
    "said",
    [
        Encryption("sealed", "", 12),
        Encryption("sealed", "data: noise", 3),
        Encryption("plain", "why"),
        Encryption("sealed", "", 4, "tpm"),
        Encryption("sealed", "data: noise", 1, "otp"),
    ],
)
def test_what_is_said_is_read(tmp_path: Path, said: Encryption) -> None:
    cardresult.write_encryption(tmp_path, said)
    assert cardresult.read_encryption(tmp_path) == said


class TestWhatIsLost:
    """Encrypting makes new file systems: only where there is nothing of a unit."""

    def laid(self, tmp_path: Path, names: dict[str, list[str]]) -> cardstart.Card:
        images = {}
        for which, inside in names.items():
            folder, image = tmp_path / f"of-{which}", tmp_path / f"{which}.img"
            folder.mkdir()
            for name in inside:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text("a")
            subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", folder, image, "8M"], check=True, timeout=120)
            images[which] = image
        return cardstart.Card(volume.state(images["state"]), volume.data(images["data"]), tmp_path / "boot")

    def test_a_card_as_it_is_written_or_was_started_without_an_order(self, tmp_path: Path) -> None:
        started = {"state": ["etc/machine-id", ".work/work/x", "etc/linetap/pins.toml"], "data": ["learned/x"]}
        cardstart._require_nothing_owned(self.laid(tmp_path, started), marked=False)

    @pytest.mark.parametrize(
        "names",
        [
            {"state": ["etc/linetap/unit.key"], "data": []},
            {"state": ["config/unit.toml"], "data": []},
            {"state": ["etc/linetap/order.json"], "data": []},
            {"state": [], "data": ["vault/2026/11/24/x"]},
            {"state": [], "data": ["vault.floor-03.20261128T090000Z/log/head.json"]},
        ],
        ids=["key", "configuration", "order", "vault", "vault that was put aside"],
    )
    def test_a_units_card_is_not_made_anew(self, tmp_path: Path, names: dict[str, list[str]]) -> None:
        with pytest.raises(Refusal, match=r"is on this card already: only a freshly written card can be encrypted"):
            cardstart._require_nothing_owned(self.laid(tmp_path, names), marked=False)

    @pytest.mark.parametrize("damage", [b"\xa5" * (1 << 20), volume.MAGIC], ids=["noise", "LUKS"])
    def test_nor_one_that_cannot_be_read(self, tmp_path: Path, damage: bytes) -> None:
        card = self.laid(tmp_path, EMPTY)
        with card.data.device.open("r+b") as file:
            file.write(damage)
        with pytest.raises(Refusal, match="only a freshly written card"):
            cardstart._require_nothing_owned(card, marked=False)

    def test_what_a_power_cut_left_of_the_making_is_made_anew(self, tmp_path: Path) -> None:
        card = self.laid(tmp_path, EMPTY)
        card.data.device.write_bytes(b"\xa5" * (8 << 20))
        cardstart._require_nothing_owned(card, marked=True)

    def test_an_order_that_could_not_be_carried_out_encrypts_nothing(self, card: Card) -> None:
        for wanted in ("otp", "tpm"):
            assert card.pack("--encrypt", wanted) == 0
            assert cardstart._requested_key_holder(card.boot) == wanted
        text = (card.boot / "linetap.toml").read_text()
        for wrong in (text.replace('encrypt = "tpm"', 'encrypt = "yes"'), text.replace("[card]", "[cards]"), "", "\0"):
            (card.boot / "linetap.toml").write_text(wrong)
            assert not cardstart._requested_key_holder(card.boot)
        (card.boot / "linetap.toml").unlink()
        assert not cardstart._requested_key_holder(card.boot)
