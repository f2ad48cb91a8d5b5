# SPDX-License-Identifier: Apache-2.0
"""Roles that an earlier version accepted, with a name or text that this one refuses: they stay in force at the unit, a
line names the entry, and the authority's next version replaces them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from keeping_rig import Keeper
from linetap_core.evidence.authorization.roles import Purpose, Roles
from linetap_core.evidence.signing import document, namespaces, sshsig

Change = Callable[[Roles], Roles]


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Keeper:
    keeper = Keeper(tmp_path, run_dir)
    keeper.upkeep.time.tick()
    keeper.take_roles()
    return keeper


def renamed(roles: Roles, number: int, name: str) -> Roles:
    people = [*roles.people]
    people[number] = msgspec.structs.replace(people[number], name=name)
    return msgspec.structs.replace(roles, people=people)


def stored(unit: Keeper, change: Change) -> None:
    """Lays the roles as an earlier version has stored them, with log and copy, and starts this one."""
    roles = change(msgspec.json.decode(unit.people.roles(1), type=Roles))
    data = document.encode(roles)
    unit.log.append("roles", version=1, sha256=hashlib.sha256(data).hexdigest())
    path = unit.vault / "roles.json"
    path.write_bytes(data)
    namespaces.signature_path(path).write_text(sshsig.sign(data, unit.people.authority, namespaces.ROLES))
    (unit.vault / "roles.copy").unlink()
    unit.restart()


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (lambda roles: renamed(roles, 1, "김소라\u3164"), "people[2].name: character 4 is U+3164, which nobody sees"),
        (
            lambda roles: msgspec.structs.replace(roles, purposes=[Purpose("p", "가\u3000나", "a", "b")]),
            "purposes[1].text_ko: character 2 is U+3000, which nobody sees",
        ),
    ],
    ids=["a name", "a text"],
)
def test_they_stay_in_force_and_the_entry_is_named(
    unit: Keeper, caplog: pytest.LogCaptureFixture, change: Change, entry: str
) -> None:
    stored(unit, change)
    assert f"roles.json: {entry}; they stay in force: the authority's next version without it replaces them" in (
        caplog.text
    )
    assert unit.command(unit.envelope("identify", "desk", {"seconds": "1"})).done
    assert list(unit.vault.glob("roles.json.broken-*")) == []
    caplog.clear()
    unit.take_roles(2)
    unit.restart()
    assert "they stay in force" not in caplog.text
    assert unit.command(unit.envelope("identify", "desk", {"seconds": "1"})).done


def test_a_person_who_is_two_by_it_commands_nothing(unit: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    stored(unit, lambda roles: renamed(roles, 1, f"{roles.people[0].name}\u200b"))
    assert "people[2] is people[1] once more" in caplog.text
    assert not unit.command(unit.envelope("identify", "desk", {"seconds": "1"})).done
    unit.take_roles(2)
    assert unit.command(unit.envelope("identify", "desk", {"seconds": "1"})).done


def test_the_authority_sends_no_such_version_again(unit: Keeper) -> None:
    roles = msgspec.json.decode(unit.people.roles(2), type=Roles)
    answer = unit.command(unit.signed("roles", "authority", document.encode(renamed(roles, 1, "김소라\u3164")),
                                      "linetap-roles"))  # fmt: skip
    assert "people[2].name: character 4 is U+3164, which nobody sees" in answer.text
    assert not answer.done
