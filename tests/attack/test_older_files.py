# SPDX-License-Identifier: Apache-2.0
"""Whoever writes the disk, or restores a backup, puts back an older copy of a small file beside the log: what the log
says counts, and in doubt nothing is destroyed and nothing accepted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keeping_rig import DAY, START, Keeper
from linetap.recorder.vault.commands.commands import PATIENCE_NS
from linetap.recorder.vault.commands.rolesfile import RolesFile
from linetap.recorder.vault.log.proof import Proof
from linetap.recorder.vault.retention.holds import Holds
from linetap_core.durable import broken
from linetap_core.evidence.calls.hold import Hold
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.leaflog import LEAVES, MOST_AT_ONCE


@pytest.fixture
def unit(run_dir: Path) -> Keeper:
    keeper = Keeper(run_dir, run_dir)
    keeper.take_roles()
    return keeper


def kept(unit: Keeper, *names: str) -> Callable[[], None]:
    """Copies files and folders of the vault; returns what puts them back, and removes those of them that are new."""
    backup = unit.vault.parent / "backup"
    backup.mkdir()
    for name in names:
        if (unit.vault / name).is_dir():
            shutil.copytree(unit.vault / name, backup / name)
        elif (unit.vault / name).exists():
            shutil.copy2(unit.vault / name, backup / name)

    def put_back() -> None:
        for name in names:
            shutil.rmtree(unit.vault / name, ignore_errors=True)
            (unit.vault / name).unlink(missing_ok=True)
        shutil.copytree(backup, unit.vault, dirs_exist_ok=True)

    return put_back


def another_log(unit: Keeper) -> None:
    """Changes the log, which the next start sets aside."""
    unit.log.publish()
    path = unit.vault / "log" / LEAVES
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))


def with_long_log(unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts the unit with a log that takes several turns to read."""
    for number in range(30):
        unit.log._log.append_all([{"kind": "heartbeat", "at": START, "n": 100 * number + n} for n in range(100)])
    unit.log.publish()
    step = Proof.step
    monkeypatch.setattr(Proof, "step", lambda proof: step(proof, MOST_AT_ONCE))
    unit.restart()


HOLDS = ("holds", "holdtimes.json")


class TestHolds:
    @pytest.mark.parametrize("was_held", [True, False], ids=["a renewed one", "a first one"])
    def test_an_older_copy_of_them_destroys_no_call_early(self, unit: Keeper, was_held: bool) -> None:
        record = unit.call()
        if was_held:
            assert unit.command(unit.hold(record, unit.clock.utc_ns() + 70 * DAY)).done
        put_back = kept(unit, *HOLDS)
        unit.passes(1)
        assert unit.command(unit.hold(record, unit.clock.utc_ns() + 300 * DAY)).done
        put_back()
        unit.restart()
        unit.passes(100)
        assert unit.is_whole(record)
        assert broken.names() == [f"{record.call_id}/hold.json"]
        unit.passes(400)
        assert unit.is_whole(record), "what the log names is not here, and nobody has said what is right"
        later = unit.hold(record, unit.clock.utc_ns() + 20 * DAY)
        assert unit.command(later).code == "hold_shorter", "one person alone does not end it"
        later = unit.cosigned(unit.hold(record, unit.clock.utc_ns() + 20 * DAY), "second")
        assert unit.command(later).done
        unit.restart()
        unit.passes(21)
        assert unit.destroyed() == [record.call_id]

    def test_one_of_the_log_before_is_missed_too(self, unit: Keeper) -> None:
        record, put_back = unit.call(), kept(unit, *HOLDS)
        assert unit.command(unit.hold(record, unit.clock.utc_ns() + 300 * DAY)).done
        another_log(unit)
        put_back()
        unit.restart()
        unit.log.publish()
        unit.passes(100)
        assert unit.is_whole(record)

    def test_an_older_copy_of_their_times_alone_ends_none_early(self, unit: Keeper) -> None:
        """Two officers who set a wrong date end no hold whose length was not counted."""
        record = unit.call()
        assert unit.command(unit.hold(record, unit.clock.utc_ns() + 70 * DAY)).done
        put_back = kept(unit, "holdtimes.json")
        unit.passes(69)
        assert unit.command(unit.hold(record, unit.clock.utc_ns() + 300 * DAY)).done
        put_back()
        unit.restart()
        unit.clock.step_utc(400 * DAY)
        assert unit.confirm_time().done
        unit.passes(20)
        assert unit.is_whole(record)
        unit.passes(290)
        assert unit.destroyed() == [record.call_id]

    def test_nothing_is_destroyed_before_all_leaves_are_read(
        self, unit: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record, other, put_back = unit.call(), unit.call(suffix="-2"), kept(unit, *HOLDS)
        assert unit.command(unit.hold(record, unit.clock.utc_ns() + 300 * DAY)).done
        put_back()
        with_long_log(unit, monkeypatch)
        unit.passes(100)
        assert unit.is_whole(record)
        assert unit.is_whole(other)
        for _ in range(5):
            unit.log.publish()
        unit.ticks()
        assert unit.is_whole(record)
        assert unit.destroyed() == [other.call_id]

    def test_what_has_ended_needs_no_file(self, unit: Keeper) -> None:
        record = unit.call()
        assert unit.command(unit.hold(record, unit.clock.utc_ns() + 20 * DAY)).done
        unit.passes(30)
        unit.restart()
        unit.passes(40)
        assert unit.destroyed() == [record.call_id]
        assert not broken.names()


class TestCommands:
    def test_an_older_copy_of_their_counters_repeats_none(self, unit: Keeper) -> None:
        put_back = kept(unit, "commands.json")
        data = unit.envelope("identify", "desk", {"seconds": "5"})
        assert unit.command(data).done
        put_back()
        unit.restart()
        assert unit.command(data).code == "command_repeated"
        assert broken.names() == ["vault/commands.json"]
        unit.restart()
        broken.forget()
        assert unit.command(data).code == "command_repeated"
        assert unit.command(unit.envelope("identify", "desk", {"seconds": "5"})).done
        assert not broken.names(), "the file is whole again"

    def test_a_copy_of_the_moment_of_its_deed_does_it_no_more(
        self, unit: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = unit.call()
        data, copies = unit.hold(record, unit.clock.utc_ns() + 100 * DAY), list[Callable[[], None]]()
        accept = Holds.accept

        def copied(holds: Holds, *args: Any) -> Hold:
            copies.append(kept(unit, "commands.json"))
            return accept(holds, *args)

        with monkeypatch.context() as patch:
            patch.setattr(Holds, "accept", copied)
            assert unit.command(data).done
        unit.passes(1)
        assert unit.command(unit.hold(record, unit.clock.utc_ns() + 300 * DAY)).done
        copies[0]()
        unit.restart()
        unit.passes(1)
        assert [leaf["counter"] for leaf in unit.leaves("command")] == [1, 2, 3]
        assert unit.upkeep.holds.until(record.call_id) == unit.clock.utc_ns() + 299 * DAY

    def test_one_of_the_log_before_is_not_repeated_either(self, unit: Keeper) -> None:
        put_back = kept(unit, "commands.json")
        data = unit.envelope("identify", "desk", {"seconds": "5"})
        assert unit.command(data).done
        another_log(unit)
        put_back()
        unit.restart()
        unit.log.publish()
        assert unit.command(data).code == "command_repeated"

    def test_until_all_leaves_are_read_they_wait_and_are_then_refused(
        self, unit: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data, other = (unit.envelope("identify", "desk", {"seconds": "5"}) for _ in range(2))
        put_back = kept(unit, "commands.json")
        assert unit.command(data).done
        put_back()
        with_long_log(unit, monkeypatch)
        unit.give(data)
        unit.tick()
        with pytest.raises(FileNotFoundError):
            unit.answer()
        unit.clock.advance(PATIENCE_NS)
        unit.tick()
        assert unit.answer().code == "command_counting"
        assert unit.command(other).code == "command_counting"
        assert unit.upkeep.commands.refused.count == 0, "nobody lacked a right"
        for _ in range(5):
            unit.log.publish()
        assert unit.command(data).code == "command_repeated"
        assert unit.command(other).done


ROLES = ("roles.json", "roles.json.sig")


class TestRoles:
    @pytest.mark.parametrize("copied", [False, True], ids=["from the copy", "nowhere"])
    def test_an_older_copy_of_them_names_nobody_again(self, unit: Keeper, copied: bool) -> None:
        """The copy beside them has the newer list, unless it was put back too."""
        dismissed = unit.people.operator
        put_back = kept(unit, *ROLES, *(["roles.copy"] if copied else []))
        unit.people.operator = keys.new_unit_key()
        unit.take_roles(2)
        newer = [(unit.vault / name).read_bytes() for name in ROLES]
        put_back()
        unit.restart()
        unit.people.operator, successor = dismissed, unit.people.operator
        data = unit.envelope("config", "operator", {})
        assert unit.command(data).code == "command_signer"
        assert "vault/roles.json" in broken.names()
        unit.people.operator = successor
        answer = unit.command(unit.envelope("config", "operator", {}))
        assert answer.code == ("command_signer" if copied else "command_malformed")
        assert ([(unit.vault / name).read_bytes() for name in ROLES] == newer) is not copied
        if copied:
            unit.restart()
            assert unit.command(data).code == "command_signer"
            unit.take_roles(2)
            unit.restart()
            assert unit.command(unit.envelope("config", "operator", {})).code == "command_malformed"

    def test_the_last_one_of_the_log_before_is_known_too(self, unit: Keeper) -> None:
        put_back = kept(unit, *ROLES, "roles.copy")
        unit.take_roles(3)
        unit.log.publish()
        path = unit.vault / "log" / LEAVES
        path.write_bytes(path.read_bytes().replace(b'"role":"authority"', b'"role":"authoriti"'))
        unit.restart()
        shutil.rmtree(unit.vault / "log.before-1")
        put_back()
        unit.restart()
        assert unit.command(unit.envelope("time", "desk", {})).code == "command_signer"

    def test_a_cut_between_the_leaf_and_the_list_takes_the_list(
        self, unit: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The command is completed first, and is not mistaken for an older list."""
        unit.give(unit.signed("roles", "authority", unit.people.roles(2), "linetap-roles"))
        with monkeypatch.context() as patch:
            patch.setattr(RolesFile, "write", _cut)
            with pytest.raises(KeyboardInterrupt):
                unit.tick()
        assert [leaf["version"] for leaf in unit.leaves("roles")] == [1, 2]
        unit.restart()
        unit.tick()
        assert unit.answer().done
        assert b'"version":2' in (unit.vault / "roles.json").read_bytes()
        assert unit.command(unit.envelope("time", "desk", {})).code == "command_malformed"
        assert not broken.names()


def _cut(*_: object) -> None:
    raise KeyboardInterrupt
