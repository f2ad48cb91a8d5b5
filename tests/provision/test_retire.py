# SPDX-License-Identifier: Apache-2.0
"""A unit taken out of service: it needs the card and the button, and the unit loses its key."""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from card_rig import Card
from linetap import cardresult
from linetap.board.simulated import press_button
from linetap.config import load_config
from linetap.provision import command, retire
from linetap_core.clock import FIRST_NS, NS_PER_S, ManualClock, parse_rfc3339, rfc3339
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing import signers as trusted

NOW_S, ALWAYS_S = 1_795_860_000, 1 << 40
OTHER = 812  # a user who is not root


class Hand(ManualClock):
    """Releases the button after this number of seconds."""

    def __init__(self, run_dir: Path, lets_go_s: int, now_s: int = NOW_S) -> None:
        super().__init__(now_s * NS_PER_S, 0)
        self._run_dir, self._lets_go_ns = run_dir, lets_go_s * NS_PER_S

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.monotonic_ns() >= self._lets_go_ns:
            press_button(self._run_dir, False)


@pytest.fixture
def card(tmp_path: Path) -> Card:
    made = Card.new(tmp_path)
    assert (made.pack(), made.start()) == (0, 0)
    (made.run / "linetap" / "panel").mkdir(parents=True, exist_ok=True)
    (made.root / "vault" / "log").mkdir(parents=True)
    (made.root / "vault" / "call").write_text("sealed")
    return made


def start(card: Card, name: str = "floor-03", held_s: int = ALWAYS_S, now_s: int = NOW_S) -> int:
    (card.boot / retire.ASKED).write_text(f"{name}\n")
    press_button(card.run / "linetap", held_s > 0)
    return command.apply(card.boot, card.etc, card.run, Hand(card.run / "linetap", held_s, now_s))


def test_no_copy_of_the_key_outlives_it(card: Card) -> None:
    """Neither the one that mends it, nor a damaged key that was set aside."""
    home = card.etc / "linetap"
    key = home / "unit.key"
    assert command.run(argparse.Namespace(verb="key", etc=card.etc)) == 0
    assert (home / "unit.key.kept").stat().st_mode & 0o777 == 0o600
    data, before = bytearray(key.read_bytes()), key.stat()
    data[100] ^= 1
    key.write_bytes(data)
    os.utime(key, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert command.run(argparse.Namespace(verb="key", etc=card.etc)) == 0
    assert keys.load_unit_key(key.read_bytes())
    assert sorted(path.name for path in home.glob("unit.key.b*")) == ["unit.key.broken-1"]
    assert start(card) == 0
    assert [path.name for path in home.glob("unit.key*")] == []


def test_a_damaged_tls_key_is_put_back_and_no_copy_outlives_the_unit(card: Card) -> None:
    home = card.etc / "linetap"
    key = home / "tls.key"
    good = key.read_bytes()
    assert command.run(argparse.Namespace(verb="key", etc=card.etc)) == 0
    assert (home / "tls.key.kept").stat().st_mode & 0o777 == 0o600
    data, before = bytearray(good), key.stat()
    data[100] ^= 1
    key.write_bytes(data)
    os.utime(key, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert command.run(argparse.Namespace(verb="key", etc=card.etc)) == 0
    assert key.read_bytes() == good
    key.write_bytes(b"no key")
    os.utime(key, ns=(0, 1))
    assert command.run(argparse.Namespace(verb="key", etc=card.etc)) == 1, "somebody has replaced it"
    assert start(card) == 0
    assert [path.name for path in home.glob("tls.key*")] == []


def test_a_key_that_was_never_good_gets_no_copy(card: Card) -> None:
    home = card.etc / "linetap"
    (home / "unit.key").unlink()
    (home / "unit.key").write_bytes(b"no key")
    (home / "unit.key.kept").unlink(missing_ok=True)
    assert command.run(argparse.Namespace(verb="key", etc=card.etc)) == 1
    assert not (home / "unit.key.kept").exists()


def code(card: Card) -> str:
    said = cardresult.load(card.run / "linetap")
    assert said is not None
    return said.code


@pytest.mark.parametrize(
    ("name", "held_s", "why"),
    [
        ("floor-03", 0, "retire_button"),
        ("floor-03", retire.HOLD_S - 1, "retire_button"),
        ("floor-04", ALWAYS_S, "retire_other_unit"),
        ("", ALWAYS_S, "retire_other_unit"),
    ],
)
def test_without_button_or_name_nothing_ends(card: Card, name: str, held_s: int, why: str) -> None:
    before = {path: path.read_bytes() for path in card.etc.rglob("*") if path.is_file()}
    with pytest.raises(BadInput, match=why):
        start(card, name, held_s)
    assert before == {path: path.read_bytes() for path in card.etc.rglob("*") if path.is_file()}
    assert (card.root / "vault" / "call").exists()
    assert (card.boot / retire.ASKED).exists()
    assert code(card) == why


def test_a_unit_that_was_never_commissioned_has_nothing_to_end(tmp_path: Path) -> None:
    new = Card.new(tmp_path)
    (new.run / "linetap" / "panel").mkdir(parents=True)
    with pytest.raises(BadInput, match="retire_new"):
        start(new)


def test_the_old_key_says_that_it_ends_and_is_gone(card: Card) -> None:
    old = keys.load_unit_key((card.home / "unit.key").read_bytes())
    assert start(card) == 0
    assert not (card.home / "unit.key").exists()
    assert not (card.home / "unit.toml").exists()
    assert not (card.home / "tls.key").exists()
    (aside,) = card.root.glob("vault.floor-03.*")
    assert (aside / "call").read_text() == "sealed", "kept as it was"
    assert code(card) == "retired"

    statement, signature = (card.boot / f"floor-03.retired.json{end}" for end in ("", ".sig"))
    line = next(x for x in (card.boot / "linetap-done.txt").read_text().splitlines() if "valid-before" in x)
    (card.root / "allowed_signers").write_text(f"{line}\n")
    words = ["ssh-keygen", "-Y", "verify", "-f", str(card.root / "allowed_signers"), "-I", "floor-03"]
    words += ["-n", namespaces.RETIRED, "-s", str(signature)]
    with statement.open("rb") as file:
        subprocess.run([*words, "-Overify-time=20261101"], stdin=file, check=True, capture_output=True, timeout=120)
    with statement.open("rb") as file:
        late = subprocess.run(
            [*words, "-Overify-time=20270101"], stdin=file, check=False, capture_output=True, timeout=120
        )
    assert late.returncode != 0, "from then on stock ssh-keygen trusts it no more"
    found = msgspec.json.decode(statement.read_bytes(), type=retire.Retired)
    assert found.key == keys.public_line(old.public_key())
    assert found.at == rfc3339((NOW_S + retire.HOLD_S) * NS_PER_S)[:-5] + found.at[-5:]

    (signer,) = trusted.parse(line)
    assert signer.valid_before is not None
    made = sshsig.sign(b"later", old, "linetap-record").encode()
    with pytest.raises(trusted.SignerExpired):
        trusted.verify(b"later", made, "linetap-record", [signer], "floor-03", signer.valid_before.replace(year=2030))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_renames_no_folder_but_of_the_files_owner(card: Card) -> None:
    """The recorder can write the file: an attacker in the recorder names /etc for its vault."""
    (card.home / "unit.toml").chmod(0o644)
    os.chown(card.home / "unit.toml", OTHER, OTHER)
    with pytest.raises(BadInput, match="no folder of the owner of"):
        start(card)
    assert code(card) == "retire_config"
    assert (card.root / "vault" / "call").exists()
    assert (card.home / "unit.key").exists()
    os.chown(card.root / "vault", OTHER, OTHER)
    assert start(card) == 0


def test_a_key_that_cannot_sign_any_more_ends_all_the_same(card: Card) -> None:
    (card.home / "unit.key").write_bytes(b"damaged")
    assert start(card) == 0
    assert not (card.home / "unit.key").exists()
    assert (card.boot / "floor-03.retired.json").exists()
    assert not (card.boot / "floor-03.retired.json.sig").exists()


def test_a_power_cut_behind_the_keys_end_is_made_good(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody needs the button: there is no key any more that could end."""
    with monkeypatch.context() as cut:
        cut.setattr(retire, "_forget", lambda _home: (_ for _ in ()).throw(OSError("the power")))
        with pytest.raises(BadInput):
            start(card)
    assert not (card.home / "unit.key").exists()
    assert (card.home / "unit.toml").exists()
    assert start(card, held_s=0) == 0
    assert code(card) == "retired"
    assert not (card.home / "unit.toml").exists()
    assert not (card.boot / retire.ASKED).exists()


class _PowerCut(BaseException):
    pass


UNSET_S = 100  # the clock of a Pi that has no time yet
HEAD = unitlog.Head(unit="floor-03", size=41, root="ab" * 32, at="2026-11-20T08:00:00.000Z", origin="SHA256:x")
STEPS = [
    "statement", "signature", "line", "vault", "wipe kept", "wipe next", "wipe key", "forget",
    "card", "card's signature", "done",
]  # fmt: skip


def log_head(card: Card, head: unitlog.Head = HEAD) -> None:
    folder = card.root / "vault" / unitlog.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / unitlog.HEAD).write_bytes(unitlog.encode_head(head))


def cut_at(card: Card, monkeypatch: pytest.MonkeyPatch, step: int, held_s: int = ALWAYS_S) -> None:
    """A start whose power goes directly before a step that writes or removes something."""
    done = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def act(*args: object, **more: object) -> object:
            nonlocal done
            if done == step:
                raise _PowerCut
            done += 1
            return real(*args, **more)

        return act

    with monkeypatch.context() as cut:
        for where, name in [
            (retire, "replace_durably"), (retire, "move_durably"), (privatefile, "wipe"), (retire, "_forget"),
        ]:  # fmt: skip
            cut.setattr(where, name, counted(getattr(where, name)))
        cut.setattr(retire, "sync_directory", lambda path: counted(lambda: None)() if path == card.boot else None)
        with pytest.raises(_PowerCut):
            start(card, held_s=held_s, now_s=UNSET_S)


@pytest.mark.parametrize(
    ("step", "again_s"),
    [*((step, UNSET_S) for step in STEPS), ("statement", NOW_S), ("wipe kept", NOW_S)],
)
def test_a_power_cut_anywhere_leaves_one_statement_with_the_logs_head(
    card: Card, monkeypatch: pytest.MonkeyPatch, step: str, again_s: int
) -> None:
    """Otherwise the second start, without the vault, ends the key's trust in 1970, and nothing has the log's size."""
    log_head(card)
    (card.home / "unit.key.next").write_bytes(b"private")
    cut_at(card, monkeypatch, STEPS.index(step))
    (card.boot / retire.ASKED).write_text("floor-03\n")
    assert start(card, held_s=ALWAYS_S, now_s=again_s) == 0
    (path,) = (card.home / "retired").glob("*.json")
    said = msgspec.json.decode(path.read_bytes(), type=retire.Retired)
    assert (said.head_size, said.head_root) == (HEAD.size, HEAD.root)
    begun = step != "statement" or again_s == UNSET_S
    assert parse_rfc3339(said.at) == (parse_rfc3339(HEAD.at) if begun else (NOW_S + retire.HOLD_S) * NS_PER_S)
    assert sorted(each.name for each in (card.home / "retired").iterdir()) == [
        f"{path.stem}.allowed_signers", path.name, f"{path.name}.sig",
    ]  # fmt: skip
    (aside,) = card.root.glob("vault*")
    assert aside.name == f"vault.floor-03.{path.stem}"
    assert not list(card.home.glob("unit.key*"))
    assert (card.boot / "floor-03.retired.json").read_bytes() == path.read_bytes()
    line = next(x for x in (card.boot / "linetap-done.txt").read_text().splitlines() if "valid-before" in x)
    assert line == (path.with_suffix(".allowed_signers")).read_text().rstrip()
    signature = (card.boot / "floor-03.retired.json.sig").read_bytes()
    assert sshsig.check_all(path.read_bytes(), signature, namespaces.RETIRED)
    assert not (card.boot / retire.ASKED).exists()


def test_a_vault_set_aside_needs_the_button_no_more(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the unit would begin a second log under a key whose end is signed."""
    log_head(card)
    cut_at(card, monkeypatch, STEPS.index("vault"))
    with pytest.raises(BadInput, match="retire_button"):
        start(card, held_s=0)
    cut_at(card, monkeypatch, 2)  # behind the line and the vault: statement and signature are there
    assert start(card, held_s=0) == 0
    assert not (card.home / "unit.key").exists()


def test_a_unit_that_was_used_after_the_power_cut_states_its_end_anew(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the button it went on recording: its key ends now, not when the first attempt was."""
    log_head(card)
    cut_at(card, monkeypatch, STEPS.index("vault"))
    later = msgspec.structs.replace(HEAD, size=50, at="2026-11-21T08:00:00.000Z")
    log_head(card, later)
    assert start(card, now_s=UNSET_S) == 0
    last = sorted((card.home / "retired").glob("*.json"))[-1]
    said = msgspec.json.decode(last.read_bytes(), type=retire.Retired)
    assert (said.head_size, said.at) == (50, later.at)
    assert (card.boot / "floor-03.retired.json").read_bytes() == last.read_bytes()


def test_two_keys_without_a_time_end_in_two_statements(card: Card) -> None:
    assert start(card, now_s=UNSET_S) == 0
    assert (card.pack(), card.start()) == (0, 0)
    (card.root / "vault").mkdir()
    assert start(card, now_s=UNSET_S) == 0
    said = [msgspec.json.decode(x.read_bytes(), type=retire.Retired) for x in (card.home / "retired").glob("*.json")]
    assert len({each.key for each in said}) == 2
    assert all(parse_rfc3339(each.at) >= FIRST_NS for each in said), "the last order's time, not 1970"
    assert len(list(card.root.glob("vault.floor-03.*"))) == 2


def test_a_key_that_was_to_follow_ends_too(card: Card) -> None:
    (card.home / "unit.key.next").write_bytes(b"private")
    assert start(card) == 0
    assert not list(card.home.glob("unit.key*"))


def test_then_it_is_a_new_unit_with_a_new_key(card: Card) -> None:
    old = (card.home / "unit.key.pub").read_bytes()
    card.configure(unit="annex-01")
    assert card.pack() == 0
    assert start(card) == 0
    assert load_config(card.home / "unit.toml").unit == "annex-01"
    assert (card.home / "unit.key.pub").read_bytes().split()[1] != old.split()[1]
    assert old.split()[1] not in (card.home / "allowed_signers").read_bytes()
    assert code(card) == "retired", "what ended is said, not only what came"


def test_a_card_that_takes_nothing_hides_no_end_of_a_key(card: Card) -> None:
    (card.boot / "floor-03.retired.json" / "x").mkdir(parents=True)
    assert start(card) == 0
    assert not (card.home / "unit.key").exists()
    assert code(card) == "retired"
    assert len(list((card.home / "retired").glob("*.json"))) == 1
