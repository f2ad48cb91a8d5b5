# SPDX-License-Identifier: Apache-2.0
"""The doctor's line `roles`, and what `linetap roles check` prints of an office that nobody holds; roles.json is signed
by stock ssh-keygen."""

from __future__ import annotations

import os
import shutil

import pytest

from linetap_desk.accesslog import roles
from linetap_desk.config.desk import DeskConfig, ServeConfig
from linetap_desk.doctor import rolesfile
from release_rig import HAN, KIM, PARK, YUN, Desk

OPERATOR, OWN = "operator", "desk.key"  # names of files of keys, and of people
ALL = {KIM: "privacy", PARK: "legal", HAN: "vault", YUN: "custodian", OPERATOR: "operator", OWN: "desk"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk.make(tmp_path_factory.mktemp("desk"))
    made.ssh_key(OPERATOR)
    made.ssh_key(OWN)
    return made


@pytest.fixture(autouse=True)
def all_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The users of a desk are not on this machine."""
    monkeypatch.setattr(rolesfile, "as_user", lambda _user, *words: words)


def config(desk: Desk, **serve: str | None) -> DeskConfig:
    named = {"roles": str(desk.root / "roles.json"), "authority": str(desk.root / "authority.pub")} | serve
    return DeskConfig(key=str(desk.root / OWN), serve=ServeConfig(**named))  # type: ignore[arg-type]


def said(desk: Desk, **serve: str | None) -> list[str]:
    return [str(one) for one in rolesfile.roles(config(desk, **serve))]


def test_a_file_that_names_every_office(desk: Desk) -> None:
    path = desk.sign_roles(2, ALL)
    assert said(desk) == [f"ok    roles: {path}: version 2, every office is held"]
    assert "nobody" not in desk.run(roles, "check", path, "--authority", desk.root / "authority.pub")[1]


@pytest.mark.parametrize(("who", "office"), [(HAN, "vault"), (YUN, "custodian"), (OPERATOR, "operator"), (OWN, "desk")])
def test_an_office_that_nobody_holds(desk: Desk, who: str, office: str) -> None:
    path = desk.sign_roles(3, {name: role for name, role in ALL.items() if name != who})
    (found,) = said(desk)
    assert found.startswith(f"WRONG roles: {path}: nobody holds {office}: ")
    assert found.endswith("; the authority signs a next roles.json: docs/release.md")
    printed = desk.run(roles, "check", path, "--authority", desk.root / "authority.pub")[1]
    assert [line.split(":")[0] for line in printed.splitlines() if line.startswith("nobody")] == [f"nobody   {office}"]


def test_a_desk_with_another_key_than_the_file_names(desk: Desk) -> None:
    desk.ssh_key("other-desk")
    desk.sign_roles(4, {**{name: role for name, role in ALL.items() if name != OWN}, "other-desk": "desk"})
    (found,) = said(desk)
    assert f"{desk.root}/{OWN}.pub is of no person of role desk" in found


def test_one_role_of_approvers(desk: Desk) -> None:
    desk.sign_roles(5, {name: role for name, role in ALL.items() if name != PARK})
    (found,) = said(desk)
    assert "approvers of 2 roles are needed for a release without a rule; there are: privacy" in found


def test_a_file_of_another_authority(desk: Desk) -> None:
    desk.sign_roles(6, ALL)
    (found,) = said(desk, authority=str(desk.root / "stranger.pub"))
    assert found.startswith(f"WRONG roles: {desk.root}/roles.json: not signed as the authority signs")
    shutil.copy(desk.root / "roles.json", desk.root / "unsigned.json")
    (found,) = said(desk, roles=str(desk.root / "unsigned.json"))
    assert found.startswith(f"WRONG roles: {desk.root}/unsigned.json.sig: {os.strerror(2)}; ")


def test_a_file_that_a_service_cannot_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied by a root with umask 077: this check runs as root and could read it."""
    path = desk.sign_roles(7, ALL)
    hidden = f"{path}.sig"
    mine = lambda user, *words: ("false",) if (user, words[-1]) == ("linetap-pages", hidden) else ("true",)  # noqa: E731
    monkeypatch.setattr(rolesfile, "as_user", mine)
    assert said(desk) == [f"WRONG roles: {hidden} is not readable by linetap-pages; chmod 644 {hidden}"]


def test_before_the_first_roles_and_half_of_them(desk: Desk) -> None:
    (found,) = said(desk, roles=None, authority=None)
    assert found == "ok    roles: none yet: no releases, holds or commands on the pages"
    (found,) = said(desk, authority=None)
    assert found == "WRONG roles: desk.toml lacks serve.authority; serve.authority in desk.toml: docs/install-desk.md"
