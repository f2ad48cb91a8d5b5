# SPDX-License-Identifier: Apache-2.0
"""A card that was pulled out too early, is full, or lost its power while its order was taken."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from card_rig import Card
from linetap import cardresult
from linetap.cardresult import CARD_WRONG
from linetap.provision import applyorder
from linetap_core.durable import privatefile
from linetap_core.durable.files import replace_durably

SERVICE = Path(__file__).parents[2] / "systemd/provision-linetap.service"


@pytest.fixture
def card(tmp_path: Path) -> Card:
    made = Card.new(tmp_path)
    assert made.pack("--wifi", "city", "p4ss phrase") == 0
    return made


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (lambda data: data + bytes(300), "pulled out before it was written"),
        (lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2), "pulled out before it was written"),
        (lambda data: bytes(512) + data[512:], "pulled out before it was written"),
        (lambda data: data[:4096] + bytes(512) + data[4608:], "pulled out before it was written"),
        (lambda data: data.replace(b"\n", b"\r"), "lines that end in CR alone"),
    ],
    ids=["zeros behind", "second half", "first sector", "a sector", "CR"],
)
def test_a_damaged_file_is_named_as_damaged(card: Card, damaged: Callable[[bytes], bytes], said: str) -> None:
    path = card.boot / "linetap.toml"
    good = path.read_bytes()
    path.write_bytes(damaged(good))
    assert card.start() == 2
    ko, en = (card.boot / "linetap-error.txt").read_text().rstrip().splitlines()[-2:]
    assert said in en
    assert re.search("[가-힣]", ko)
    path.write_bytes(good)
    assert card.start() == 0


@pytest.mark.parametrize("head", ["", '[files]\n"unit.toml" = \'\'\'\nunit = "floor-03"\n'], ids=["order", "unit.toml"])
def test_another_programs_file_does_not_fill_the_card(card: Card, head: str) -> None:
    """Each of its lines is an error, and the journal is in RAM."""
    (card.boot / "linetap.toml").write_text(head + "".join(f"k{i} = 1\n" for i in range(50_000)) + "'''\n" * bool(head))
    assert card.start() == 2
    told = (card.boot / "linetap-error.txt").read_text()
    assert len(told) < 64 * 1024
    (card.boot / "linetap.toml").write_text("k" * 900_000 + " = 1\n")
    assert card.start() == 2
    assert len((card.boot / "linetap-error.txt").read_text()) < 4096, "a key may be as long as the file"
    assert re.search(r"and \d{5} more$", told.rstrip())


@pytest.mark.parametrize("name", ["linetap.toml", "linetap-desk.txt", "linetap-decommission.txt"])
def test_a_folder_of_that_name_is_named_as_one(card: Card, name: str) -> None:
    (card.boot / name).unlink(missing_ok=True)
    (card.boot / name).mkdir()
    assert card.start() == 2
    assert f"{name}: a folder or a device; a file expected" in (card.boot / "linetap-error.txt").read_text()
    assert (card.run / CARD_WRONG).exists()


@pytest.mark.parametrize(
    "name",
    [
        "linetap-done.txt", "linetap-error.txt", "linetap-error-card-is-full.txt", ".linetap.taken", "floor-03.request",
        ".linetap-done.txt.tmp", ".floor-03.request.tmp",
    ],
)  # fmt: skip
def test_a_folder_of_the_name_of_a_file_that_the_unit_writes_costs_nothing(card: Card, name: str) -> None:
    """With .linetap.taken an order in force stayed on the card, with its passphrase: "nothing was changed"."""
    (card.boot / name / "within").mkdir(parents=True)
    assert card.start() == 0
    assert not (card.boot / "linetap.toml").exists()
    assert "unit floor-03" in (card.boot / "linetap-done.txt").read_text()
    assert (card.boot / "floor-03.request").is_file()
    assert (card.boot / "left-1/within").is_dir()


@pytest.mark.parametrize("name", ["linetap-error.txt", ".linetap-error.txt.tmp"])
def test_a_folder_for_the_error_s_text_does_not_hide_it(card: Card, name: str) -> None:
    (card.boot / "left-1").mkdir()
    (card.boot / name / "within").mkdir(parents=True)
    (card.boot / "linetap.toml").write_bytes(b"")
    assert card.start() == 2
    assert "the file is empty" in (card.boot / "linetap-error.txt").read_text()
    assert (card.boot / "left-2/within").is_dir()


class Cut(BaseException):
    """The power."""


@pytest.mark.parametrize("after", [1, 2])
def test_power_that_goes_while_the_order_is_wiped_leaves_no_fault(
    card: Card, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The unit has its order; what is left of the file is noise or zeros, and no order of somebody's."""
    count = 0
    fsync = os.fsync

    def cut(fd: int) -> None:
        nonlocal count
        fsync(fd)
        count += 1
        if count == after:
            raise Cut

    wipe = privatefile.wipe

    def wiped(path: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", cut)
            wipe(path)

    monkeypatch.setattr(privatefile, "wipe", wiped)
    with pytest.raises(Cut):
        card.start()
    monkeypatch.undo()
    (left,) = {path.name for path in card.boot.iterdir()} - {"floor-03.request"}
    assert f"ConditionPathExists=|/boot/firmware/{left}\n" in SERVICE.read_text(), "systemd starts the rest for it"
    assert card.start() == 0
    assert not (card.run / CARD_WRONG).exists()
    assert card.on_card() == {"floor-03.request", "linetap-done.txt"}


def test_a_full_card_takes_the_request_when_the_order_has_gone(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without UNIT.request the unit never gets a certificate, and it takes no second order without a signature."""

    def full(path: Path, data: bytes, **more: Any) -> None:
        if path.parent == card.boot and (card.boot / "linetap.toml").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        replace_durably(path, data, **more)

    monkeypatch.setattr(applyorder, "replace_durably", full)
    assert card.start() == 0
    assert card.on_card() == {"floor-03.request", "linetap-done.txt"}


def test_an_order_in_force_whose_request_the_card_does_not_take_is_reported_as_such(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes, **more: Any) -> None:
        if path.suffix == ".request":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace_durably(path, data, **more)

    monkeypatch.setattr(applyorder, "replace_durably", refuse)
    assert card.start() == 2
    told = (card.boot / "linetap-error.txt").read_text()
    assert "설정을 적용했으나" in told
    assert "the order is in force" in told
    assert "nothing was changed" not in told
    result = cardresult.load(card.run / "linetap")
    assert result is not None
    assert result.code == "taken"
    assert "ConditionPathExists=|!/etc/linetap/tls.pem\n" in SERVICE.read_text(), "a card too full for an error's file"
    monkeypatch.undo()
    assert card.start() == 0
    assert card.on_card() == {"floor-03.request"}


def test_a_request_that_somebody_has_deleted_comes_back(card: Card) -> None:
    assert card.start() == 0
    asked = card.boot / "floor-03.request"
    asked.unlink()
    assert card.start() == 0
    assert asked.exists()
    (card.home / "tls.pem").write_text("")
    asked.unlink()
    assert card.start() == 0
    assert not asked.exists(), "it has its certificate"


@pytest.mark.parametrize("certificate", [False, True])
def test_an_order_replaces_a_damaged_configuration(tmp_path: Path, certificate: bool) -> None:
    """Nothing else can: without a configuration the recorder executes no command."""
    card = Card.of_authority(tmp_path)
    assert (card.pack(), card.start()) == (0, 0)
    whole = (card.home / "unit.toml").read_bytes()
    (card.home / "unit.toml").write_bytes(whole[:512] + b"\xff" + whole[513:])
    if certificate:  # it waits for the name in the configuration
        (card.boot / "floor-03.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    card.configure("floor-04")
    assert (card.pack(*card.key), card.start()) == (0, 2), "another unit's"
    assert "order_other_unit" in (card.boot / "linetap-error.txt").read_text()
    card.configure()
    assert (card.pack(*card.key), card.start()) == (0, 0)
    assert (card.home / "unit.toml").read_bytes() == whole
    assert "linetap.toml" not in card.on_card()
