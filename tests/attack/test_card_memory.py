# SPDX-License-Identifier: Apache-2.0
"""A commissioned unit accepts no unsigned order: not without an authority, not after the loss of its configuration, not
when an older version commissioned it. The only way is the physical decommissioning.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from card_rig import PRIVATE, Card
from epoch_rig import Authority
from linetap import cardresult
from linetap.board.simulated import press_button
from linetap.provision import applyorder, command, memory, retire
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.durable import privatefile, smallfile
from linetap_core.durable.copies import twin_of
from linetap_core.durable.files import replace_durably
from linetap_core.evidence.keys import keys

NOW_S = 1_795_860_000


@pytest.fixture
def card(tmp_path: Path) -> Card:
    """A unit commissioned without an authority."""
    made = Card.new(tmp_path)
    assert (made.pack(), made.start()) == (0, 0)
    return made


def signed(root: Path) -> Card:
    """A unit commissioned for an authority."""
    made = Card.of_authority(root)
    assert (made.pack(), made.start()) == (0, 0)
    return made


MEMORY = (memory.NAME, twin_of(Path(memory.NAME)).name)


def as_of_an_older_version(card: Card) -> None:
    for path in MEMORY:
        (card.home / path).unlink()


def state(card: Card) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in card.etc.rglob("*") if path.is_file()}


def refuses(card: Card, code: str, *pack: str) -> None:
    before = state(card)
    assert (card.pack(*pack), card.start()) == (0, 2)
    told = (card.boot / "linetap-error.txt").read_text()
    assert f"[{code}]" in told
    assert len(told.rstrip().splitlines()) == 4, "a heading in two languages, and one line of why"
    assert state(card) == before, "nothing was changed"
    said = cardresult.load(card.run / "linetap")
    assert said is not None
    assert said.code == code


def decommission(card: Card) -> int:
    (card.boot / retire.ASKED).write_text("floor-03\n")
    (card.run / "linetap" / "panel").mkdir(parents=True, exist_ok=True)
    press_button(card.run / "linetap", True)
    return command.apply(card.boot, card.etc, card.run, ManualClock(NOW_S * NS_PER_S, 0))


def test_without_an_authority_it_takes_no_order_at_all(card: Card) -> None:
    refuses(card, "order_no_authority")
    other = Authority(card.desk)
    other.publish(other.make("2026-11-20", 500))
    privatefile.write(card.desk / PRIVATE, keys.unit_key_file(other.key))
    card.configure(authority=other)
    refuses(card, "order_no_authority")
    refuses(card, "order_no_authority", *card.key)


def test_an_authority_that_the_recorder_writes_into_the_configuration_is_none(card: Card) -> None:
    """The recorder owns the file: when compromised it can name the thief's authority, and the thief brings the card."""
    thief = Authority(card.desk)
    thief.publish(thief.make("2026-11-20", 500))
    privatefile.write(card.desk / PRIVATE, keys.unit_key_file(thief.key))
    card.configure(authority=thief)
    for name in ("unit.toml", "keylist.json", "keylist.json.sig"):
        (card.home / name).write_bytes((card.desk / name).read_bytes())
    refuses(card, "order_no_authority", *card.key)


@pytest.mark.parametrize("lost", [True, False], ids=["its configuration lost", "with its configuration"])
def test_a_unit_of_an_older_version_remembers_after_one_start_with_ours(tmp_path: Path, lost: bool) -> None:
    """The card is empty in that start."""
    card = signed(tmp_path)
    as_of_an_older_version(card)
    assert card.start() == 0
    if lost:
        (card.home / "unit.toml").unlink()
    refuses(card, "order_unsigned")
    card.configure(old="notice_delay_ms = 500", new="notice_delay_ms = 700")
    assert (card.pack(*card.key), card.start()) == (0, 0)


def test_a_unit_of_an_older_version_without_authority_takes_no_order(card: Card) -> None:
    as_of_an_older_version(card)
    before = state(card)
    assert (card.pack(), card.start()) == (0, 2)
    assert "[order_no_authority]" in (card.boot / "linetap-error.txt").read_text()
    assert {path: data for path, data in state(card).items() if path.name not in MEMORY} == before


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("unit = 3\n")])
def test_a_unit_of_an_older_version_without_its_configuration_takes_no_order(tmp_path: Path, damage: object) -> None:
    card = signed(tmp_path)
    as_of_an_older_version(card)
    damage(card.home / "unit.toml")  # type: ignore[operator]
    refuses(card, "order_config")
    refuses(card, "order_config", *card.key)


def test_a_key_that_is_lost_makes_no_new_unit_of_it(tmp_path: Path) -> None:
    card = signed(tmp_path)
    (card.home / "unit.key").unlink()
    refuses(card, "order_unsigned")


@pytest.mark.parametrize("lost", [("unit.toml",), ("unit.toml", memory.NAME), ("unit.key",), ("unit.toml", "unit.key")])
def test_the_way_out_is_the_decommissioning_whatever_is_lost(tmp_path: Path, lost: tuple[str, ...]) -> None:
    card = signed(tmp_path)
    for name in lost:
        (card.home / name).unlink()
    if memory.NAME in lost:  # then root looks in the place of an image's board, which is missing here
        (card.home / memory.NAME).write_bytes(_where_the_board_is(card))
    (card.root / "vault").mkdir()
    (card.root / "vault" / "call").write_text("sealed")
    assert card.pack() == 0
    assert decommission(card) == 0
    (aside,) = card.root.glob("vault.floor-03.*")
    assert (aside / "call").read_text() == "sealed"
    assert len(list((card.home / "retired").glob("*.json"))) == 1
    assert (card.home / "unit.toml").exists(), "the order that lay beside it made a new unit"
    said = cardresult.load(card.run / "linetap")
    assert said is not None
    assert said.code == "retired"


def _where_the_board_is(card: Card) -> bytes:
    board = {"kind": "simulated"}
    return json.dumps(
        {"board": board, "run_dir": str(card.run / "linetap"), "vault": str(card.root / "vault")}
    ).encode()


def test_an_old_statement_ends_no_key_that_came_after_it(card: Card) -> None:
    """A unit in its second life has lost its key: only the button ends it, not a statement from its first life."""
    assert card.pack() == 0
    assert decommission(card) == 0
    (card.home / "unit.key").unlink()
    (card.boot / retire.ASKED).write_text("floor-03\n")
    press_button(card.run / "linetap", False)
    before = state(card)
    assert card.start() == 2
    assert "[retire_button]" in (card.boot / "linetap-error.txt").read_text()
    assert state(card) == before


class _PowerCut(BaseException):
    pass


@pytest.mark.parametrize("name", ["unit.toml", *MEMORY, "unit.key.pub", "allowed_signers", "unit.key"])
@pytest.mark.parametrize("done", [True, False], ids=["behind it", "before it"])
def test_a_power_cut_while_the_first_order_is_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, done: bool
) -> None:
    """The next start completes that order; any other is judged as an order to a commissioned, or new, unit."""
    card = Card.new(tmp_path)
    assert card.pack() == 0
    order = (card.boot / "linetap.toml").read_bytes()
    write, rename = replace_durably, Path.rename

    def cut_writing(path: Path, data: bytes, **more: object) -> None:
        if path == card.home / name and not done:
            raise _PowerCut
        write(path, data, **more)  # type: ignore[arg-type]
        if path == card.home / name:
            raise _PowerCut

    def cut_renaming(path: Path, target: Path) -> Path:
        if target != card.home / name or name != "unit.key":
            return rename(path, target)
        if done:
            rename(path, target)
        raise _PowerCut

    with monkeypatch.context() as cut:
        cut.setattr(applyorder, "replace_durably", cut_writing)
        cut.setattr(smallfile, "replace_durably", cut_writing)
        cut.setattr(Path, "rename", cut_renaming)
        with pytest.raises(_PowerCut):
            card.start()
    assert (card.boot / "linetap.toml").read_bytes() == order
    if (card.home / "unit.key").exists():
        assert (card.home / memory.NAME).exists()
        card.configure(old="notice_delay_ms = 500", new="notice_delay_ms = 700")
        refuses(card, "order_no_authority")
        (card.boot / "linetap.toml").write_bytes(order)
    assert card.start() == 0
    refuses(card, "order_no_authority")
    (card.boot / "linetap.toml").write_bytes(order)
    assert card.start() == 2, "that very order is no exception any more"
