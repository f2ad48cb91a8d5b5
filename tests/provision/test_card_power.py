# SPDX-License-Identifier: Apache-2.0
"""A power cut after an order is in force: the next start wipes it, and neither refuses it nor carries it out again."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from card_rig import SSH_KEY, Card
from linetap import cardresult
from linetap.config import load_config
from linetap.provision import acceptorder, applyorder, command, memory
from linetap_core.durable import copies, privatefile
from linetap_core.durable.files import sha256

SECRET = "the-secret-of-wifi"
ORDER = ("linetap.toml", "linetap.toml.sig")


class _PowerCut(BaseException):
    pass


@dataclass(frozen=True)
class Step:
    """A step of an order, before or behind which the power goes. `meant`: which of its calls."""

    where: Any
    name: str
    behind: bool = False
    meant: Callable[..., bool] = lambda *_, **__: True

    def cut(self, card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
        real = getattr(self.where, self.name)

        def act(*args: Any, **more: Any) -> Any:
            if not self.meant(*args, **more):
                return real(*args, **more)
            if self.behind:
                real(*args, **more)
            raise _PowerCut

        with monkeypatch.context() as cut:
            cut.setattr(self.where, self.name, act)
            with pytest.raises(_PowerCut):
                card.start()
        next_boot(card)


def next_boot(card: Card) -> None:
    """Clears what is in RAM."""
    shutil.rmtree(card.run)
    card.run.mkdir()


def _in_force(*_: Any, in_force: bool = True, **__: Any) -> bool:
    return in_force


def _request(path: Path, *_: Any, **__: Any) -> bool:
    return path.suffix == ".request"


STEPS = {
    "before it is remembered": Step(acceptorder, "remember", meant=_in_force),
    "remembered": Step(acceptorder, "remember", behind=True, meant=_in_force),
    "ssh": Step(applyorder, "_permit_ssh", behind=True),
    "before the request": Step(applyorder, "replace_durably", meant=_request),
    "request": Step(applyorder, "replace_durably", behind=True, meant=_request),
    "before the move": Step(command, "move_durably"),
    "move": Step(command, "move_durably", behind=True),
    "wiped": Step(privatefile, "wipe", behind=True),
    "before it is noted": Step(memory, "note_wiped"),
}


def pack(card: Card, *more: str) -> dict[str, bytes]:
    """A signed order with a passphrase and an SSH key; returns its files, as a thief copies them."""
    assert card.pack("--wifi", "city", SECRET, "--ssh-key", SSH_KEY, *card.key, *more) == 0
    return {name: (card.boot / name).read_bytes() for name in ORDER}


@pytest.fixture(params=["the first order", "a later order"])
def card(request: pytest.FixtureRequest, tmp_path: Path) -> Card:
    made = Card.of_authority(tmp_path)
    if request.param == "a later order":
        assert (made.pack(), made.start()) == (0, 0)
        for name in ("floor-03.request", "linetap-done.txt"):
            (made.boot / name).unlink()
    made.configure(old="notice_delay_ms = 500", new="notice_delay_ms = 700")
    next_boot(made)
    return made


@pytest.mark.parametrize("step", STEPS)
def test_the_next_start_wipes_the_order_and_reports_it(card: Card, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    kept = pack(card)
    digest = sha256(card.boot / "linetap.toml")
    STEPS[step].cut(card, monkeypatch)
    assert card.start() == 0
    assert card.on_card() == {"linetap-done.txt", "floor-03.request"}
    assert not [path for path in card.boot.iterdir() if SECRET.encode() in path.read_bytes()]
    assert "unit floor-03, 8 lines" in (card.boot / "linetap-done.txt").read_text()
    assert load_config(card.home / "unit.toml").recording.notice_delay_ms == 700
    said = cardresult.load(card.run / "linetap")
    assert said is not None
    assert (said.code, said.sha256) == ("taken", digest)
    given = (card.run / "linetap-ssh" / "authorized_keys").exists()
    assert given == (step == "before it is remembered"), "only where it was never given"
    refuses_again(card, kept)


def refuses_again(card: Card, kept: dict[str, bytes]) -> None:
    next_boot(card)
    for name, data in kept.items():
        (card.boot / name).write_bytes(data)
    assert card.start() == 2
    said = cardresult.load(card.run / "linetap")
    assert said is not None
    assert said.code == "order_older"
    assert not (card.run / "linetap-ssh").exists()


def test_a_card_that_keeps_its_order_lets_nobody_in_again(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thief prepares the card so that the order cannot be wiped, and starts the unit as often as they like."""
    kept = pack(card)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(command, "move_durably", refuse)
    assert card.start() == 2
    assert (card.run / "linetap-ssh").exists(), "what the authority signed, once"
    before = {path: path.read_bytes() for path in card.etc.rglob("*") if path.is_file()}
    for _ in range(2):
        next_boot(card)
        assert card.start() == 2
        assert not (card.run / "linetap-ssh").exists()
        assert before == {path: path.read_bytes() for path in card.etc.rglob("*") if path.is_file()}
    monkeypatch.undo()
    assert card.start() == 0
    assert not (card.run / "linetap-ssh").exists()
    refuses_again(card, kept)


def test_a_younger_order_is_carried_out_although_the_last_was_not_wiped(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = pack(card)
    STEPS["remembered"].cut(card, monkeypatch)
    card.configure(old="notice_delay_ms = 500", new="notice_delay_ms = 900")
    younger = pack(card)
    assert card.start() == 0
    assert load_config(card.home / "unit.toml").recording.notice_delay_ms == 900
    assert (card.run / "linetap-ssh").exists()
    for each in (kept, younger):
        refuses_again(card, each)


def test_another_order_gets_nothing_from_it(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(card)
    STEPS["remembered"].cut(card, monkeypatch)
    with (card.boot / "linetap.toml").open("a") as file:
        file.write("# one byte more\n")
    assert card.start() == 2
    said = cardresult.load(card.run / "linetap")
    assert said is not None
    assert said.code == "order_signature"


def test_a_cut_between_the_memory_and_its_twin(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, twin = pack(card), copies.twin_of(card.home / memory.NAME)

    def half(found: Any, path: Path, value: memory.Memory) -> None:
        found.replace(path, value)
        if value.taken:
            raise _PowerCut
        found.replace(twin, value)

    with monkeypatch.context() as cut:
        cut.setattr(copies, "replace_both", half)
        with pytest.raises(_PowerCut):
            card.start()
    next_boot(card)
    assert card.start() == 0
    assert not (card.run / "linetap-ssh").exists()
    refuses_again(card, kept)
