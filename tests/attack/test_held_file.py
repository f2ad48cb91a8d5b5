# SPDX-License-Identifier: Apache-2.0
"""unit.toml edited on a unit with people: no service applies a weakening, in any order of their starts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import config_file
from attack_house import House, a_weaker, put_in_place
from card_rig import Card
from linetap.capture.lineaudio import LineAudio
from linetap.config import Config, config_sha256, load_config
from linetap.config.schema import RetentionClass, Smdr
from linetap.ring.layout import SLOT_FRAMES
from linetap_core import cli
from linetap_core.durable import copies
from linetap_core.evidence.keys import keys
from linetap_core.wire.mqtt import Broker

_SHORTER = [RetentionClass(name="standard", days=59), RetentionClass(name="marked", days=180)]
WEAKER: list[tuple[str, str, dict[str, Any]]] = [
    ("line_exempt", "line", {"exempt": True}),
    ("retention_shorter", "retention", {"classes": _SHORTER}),
    ("retention_clock", "retention", {"largest_gap_days": 365}),
    ("internal_wider", "recording", {"internal_pattern": ".*"}),
    ("record_unannounced", "recording", {"on_notice_failure": "record_and_flag"}),
    ("record_emergency", "recording", {"record_emergency": True}),
    ("storage", "storage", {"reserve_mb": 1 << 19}),
    ("paths", "", {"vault": "/nowhere"}),
    ("paths", "", {"notices": "/nowhere"}),
    ("keys", "keys", {"custodians": ["age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"]}),
    ("keys", "keys", {"authority": keys.public_line(keys.new_unit_key().public_key())}),
]  # fmt: skip


@pytest.fixture
def unit(run_dir: Path) -> House:
    unit = House(run_dir)
    unit.look()
    return unit


def edited(unit: House, part: str, changes: dict[str, Any]) -> Config:
    """A configuration edited by hand on the unit."""
    new = unit.with_(part, **changes) if part else msgspec.structs.replace(unit.config, **changes)
    config_file.write(unit.file, new)
    return new


@pytest.mark.parametrize(("code", "part", "changes"), WEAKER, ids=[code for code, _, _ in WEAKER])
def test_no_service_acts_by_an_edit_that_weakens(unit: House, code: str, part: str, changes: dict[str, Any]) -> None:
    before = unit.config
    edited(unit, part, changes)
    assert load_config(unit.file) == before, "whoever starts before the recorder has looked"
    unit.look()
    assert load_config(unit.file) == before
    unit.restart(boot=True)
    unit.look()
    assert unit.config == before, "and at every start"
    (stands,) = unit.standing
    assert (stands.by, stands.in_effect) == ("file", False)
    assert code in stands.codes
    assert unit.steps() == ["held"], "once"
    unit.file.write_text(config_file.text(before))
    unit.look()
    assert unit.standing, "it was tried: somebody has to have seen that"
    assert unit.say("confirm", stands.id, "privacy").code == "weakening_waits"
    assert unit.say("cancel", stands.id, "operator").code == "command_role"
    assert unit.say("cancel", stands.id, "privacy").done
    assert not unit.standing


def test_the_line_that_was_made_exempt_is_in_the_ring(unit: House) -> None:
    """Capture starts like the others, and writes the line's own audio."""
    edited(unit, "line", {"exempt": True})
    config = load_config(unit.file)
    card = config.card[0]
    sound = np.full((SLOT_FRAMES * card.rate_hz // 8000, card.channels), 1000, "<i2").tobytes()
    written = LineAudio(card, config.lines_of(card.number)).period(sound)
    assert written.any(axis=1).all(), "no line is zeros"


def test_a_line_that_is_gone_from_the_file_is_there(unit: House) -> None:
    first, *others = unit.config.line
    config_file.write(unit.file, msgspec.structs.replace(unit.config, line=others))
    assert first in load_config(unit.file).line


def test_what_does_not_weaken_counts_at_once_and_may_not_be_taken_back(unit: House) -> None:
    strong = unit.config
    stronger = edited(unit, "retention", {"classes": [msgspec.structs.replace(each, days=each.days + 40)
                                                      for each in strong.retention.classes]})  # fmt: skip
    assert load_config(unit.file) == stronger
    unit.look()
    config_file.write(unit.file, strong)
    assert load_config(unit.file) == stronger, "the shorter one was in force once: it is no longer"


@pytest.mark.parametrize("part", ["broker", "card", "wires", "port"])
def test_what_a_person_at_the_unit_changes_counts_at_once_and_is_shown(unit: House, part: str) -> None:
    """A codec that died at night is replaced by another kind, or the desk has moved."""
    config = unit.config
    new = {
        "broker": lambda: msgspec.structs.replace(config, broker=Broker(host="127.0.0.1", port=1884)),
        "card": lambda: msgspec.structs.replace(config, card=[msgspec.structs.replace(config.card[0], ring_s=240)]),
        "wires": lambda: msgspec.structs.replace(
            config, line=[msgspec.structs.replace(each, channel=3 - each.channel) for each in config.line]
        ),
        "port": lambda: msgspec.structs.replace(config, smdr=Smdr(port="/dev/ttyS7")),
    }[part]()
    config_file.write(unit.file, new)
    assert load_config(unit.file) == new
    unit.look()
    (stands,) = unit.standing
    assert (stands.by, stands.in_effect) == ("file", True)
    config_file.write(unit.file, msgspec.structs.replace(new, line=new.line[1:]))
    assert load_config(unit.file) == new, "with it nothing else comes in"


@pytest.mark.parametrize("how", ["fifo", "giant", "no toml", "not utf-8", "another key"])
def test_what_no_service_can_use_stops_none(unit: House, how: str) -> None:
    before = unit.config
    put_in_place(unit.file, how)
    assert load_config(unit.file) == before
    unit.look()
    assert [(each.codes, each.in_effect) for each in unit.standing] == [(["file_unusable"], False)]


def test_two_who_sign_the_very_edit_put_it_in_effect(unit: House) -> None:
    new = edited(unit, "line", {"exempt": True})
    unit.look()
    assert unit.ask(new, "operator").code == "config_weakens"
    assert unit.ask(new, "operator", "vault").done
    unit.quietly()
    assert load_config(unit.file) == new
    unit.restart()
    unit.look()
    assert unit.config == new
    assert [(each.by, each.in_effect) for each in unit.standing] == [("file", False), ("command", True)]
    assert not load_config(unit.file.with_name("unit.toml.previous")).line[0].exempt, "what was in force, not the edit"


def test_without_people_who_could_sign_an_edit_counts_as_before(run_dir: Path) -> None:
    """Nobody could ever confirm it: a unit without roles, or whose roles have no second person."""
    unit = House(run_dir)
    unit.roles_are(2, "operator", "desk")
    unit.look()
    new = edited(unit, "line", {"exempt": True})
    assert load_config(unit.file) == new
    unit.look()
    assert ("file", ["line_exempt"], True) in [(each.by, each.codes, each.in_effect) for each in unit.standing]


def test_a_copy_of_an_earlier_version_holds_nothing(unit: House) -> None:
    """It did not have that property; the first check by this version's recorder adds it."""
    place = copies.kept_of(unit.file)
    place.unlink()
    copies.keep(unit.file)
    new = edited(unit, "line", {"exempt": True})
    assert load_config(unit.file) == new


def test_a_time_and_an_inode_that_were_put_back_hide_no_edit(unit: House) -> None:
    """The same inode and time with other bytes counts as damage, and damage is ignored too."""
    before, found = unit.config, unit.file.stat()
    text = config_file.text(a_weaker(unit)).encode()
    with unit.file.open("r+b") as file:
        file.truncate(0)
        file.write(text)
    os.utime(unit.file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert load_config(unit.file) == before


def test_a_folder_in_its_place_is_set_aside(unit: House) -> None:
    before = unit.config
    unit.file.unlink()
    unit.file.mkdir()
    assert load_config(unit.file) == before
    unit.look()
    assert unit.file.is_file()


def test_whoever_verifies_is_told_of_no_weakening(unit: House, capsys: pytest.CaptureFixture[str]) -> None:
    edited(unit, "line", {"exempt": True})
    unit.look()
    unit.log.publish()
    unit.outbox.close()
    cli.main(["verify", str(unit.vault), "--signers", str(unit.file.with_name("allowed_signers"))])
    assert "weakened by" not in capsys.readouterr().out, "nothing was"


def test_who_looks_at_the_file_is_told_and_an_order_of_the_authority_is_no_edit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings outside commands come by the card."""
    card = Card.of_authority(tmp_path)
    assert (card.pack(), card.start()) == (0, 0)
    file = card.home / "unit.toml"
    copies.keep(file, binds=True)  # as the recorder does
    file.write_text(file.read_text().replace("largest_gap_days = 7", "largest_gap_days = 365"))
    assert cli.main(["config", "check", str(file)]) == 0
    said = capsys.readouterr().err
    assert "not in force" in said
    assert "retention.largest_gap_days: 7 -> 365" in said
    assert load_config(file).retention.largest_gap_days == 7
    card.configure(old="largest_gap_days = 7", new="largest_gap_days = 30")
    time.sleep(0.01)  # orders are distinguished by milliseconds
    assert (card.pack(*card.key), card.start()) == (0, 0)
    assert load_config(file).retention.largest_gap_days == 30


def through_a_link(unit: House, run_dir: Path) -> Path:
    """The layout of systemd/: unit.toml is a link into a folder of the recorder's, and its paths are relative to the
    link.
    """
    active = run_dir / "active"
    active.mkdir()
    (active / "unit.toml").write_text(config_file.text(unit.config).replace(f'"{run_dir}/', '"'))
    copies.kept_of(unit.file).unlink()
    unit.file.unlink()
    unit.file.symlink_to(active / "unit.toml")
    unit.restart()
    unit.look()
    return active / "unit.toml"


def test_where_the_file_is_a_link_two_weaken_and_it_is_known_as_theirs(unit: House, run_dir: Path) -> None:
    place = through_a_link(unit, run_dir)
    assert not unit.standing
    edited = place.read_text()
    place.write_text(edited.replace("exempt = false", "exempt = true", 1))
    assert load_config(unit.file) == unit.config, "held by the name of the link"
    place.write_text(edited)
    text = place.read_text().replace("exempt = false", "exempt = true", 1)
    body = {"document": text, "replaces": config_sha256(unit.config)}
    assert unit.command(unit.cosigned(unit.envelope("config", "operator", body), "vault")).done
    unit.quietly()
    unit.restart()
    unit.look()
    assert unit.config.line[0].exempt
    assert [(each.by, each.codes, each.in_effect) for each in unit.standing] == [("command", ["line_exempt"], True)]


@pytest.mark.parametrize("how", ["a file", "another link"])
def test_whoever_exchanges_the_link_gets_no_further(
    unit: House, run_dir: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `sed -i` does: a file replaces the link, and the copy is at the link's target."""
    place, before = through_a_link(unit, run_dir), unit.config
    monkeypatch.setattr("linetap.config.unsignededit.NAME", unit.file)
    monkeypatch.setattr("linetap.config.unsignededit.HOME", place)
    text = place.read_text().replace("exempt = false", "exempt = true", 1)
    unit.file.unlink()
    other = unit.file if how == "a file" else run_dir / "other.toml"
    other.write_text(text)
    if how == "another link":
        unit.file.symlink_to(other)
    assert load_config(unit.file) == before
    unit.look()
    unit.restart()
    unit.look()
    assert unit.config == before
    assert [(each.codes, each.in_effect) for each in unit.standing] == [(["line_exempt"], False)]
