# SPDX-License-Identifier: Apache-2.0
"""roles.json: its forbidden content, and its author."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sealing_rig
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog import roles as command
from release_rig import HAN, KIM, PARK, PEOPLE, PURPOSES, Desk

AUTHORITY = keys.new_unit_key()
KEYS = [keys.public_line(keys.new_unit_key().public_key(), "a comment") for _ in range(2)]


def document(**changes: Any) -> dict[str, Any]:
    people = [
        {"key": KEYS[0], "name": "김소라", "role": "privacy"},
        {"key": KEYS[1], "name": "Park Min", "role": "legal"},
    ]
    return {"people": people, "purposes": PURPOSES, "version": 3} | changes


def text(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def person(**changes: str) -> bytes:
    first, second = document()["people"]
    return text(document(people=[first | changes, second]))


def purpose(**changes: str) -> bytes:
    return text(document(purposes=[PURPOSES[0] | changes]))


def check(data: bytes, key: Any = AUTHORITY, namespace: str = namespaces.ROLES, at_least: int = 1) -> roles.Roles:
    return roles.check(data, sshsig.sign(data, key, namespace).encode(), AUTHORITY.public_key(), at_least)


def test_a_good_one_with_and_without_the_lines_end() -> None:
    for data in (text(document()), text(document()) + b"\n"):
        found = check(data, at_least=3)
        assert found.version == 3
        assert found.approver_roles == ["legal", "privacy"]
        who = found.person("PARK  MIN")
        assert who is not None
        assert who.name == "Park Min"
        assert found.purpose("dispute") is not None
        assert found.purpose("curiosity") is None


RULE = {"approvals": [["privacy"], ["legal"]], "max_age_days": 14, "party": "court", "purpose": "dispute"}
POLICY = {"policy_sha256": "6f" * 32}
BAD = {
    "written default of a rule": (
        text(document(rules=[RULE, RULE | {"may": "copy"}])),
        r'^rules\[2\]\.may: "copy" is the default, which is left out',
    ),
    "written default of the policy": (
        text(document(witnesses=POLICY | {"within_hours": 24})),
        r"^witnesses\.within_hours: 24 is the default",
    ),
    "written default of the file": (text(document(lines=[])), r"^lines: \[\] is the default"),
    "twice a key of JSON": (text(document()).replace(b'"version":3', b'"version":2,"version":3'), "jq -cS"),
    "spaces": (json.dumps(document(), ensure_ascii=False, sort_keys=True).encode(), "jq -cS"),
    "two lines' ends": (text(document()) + b"\n\n", "jq -cS"),
    "unknown field": (text(document(extra=1)), "unknown field"),
    "no field": (b"{}", "missing required field"),
    "not text": (b"\xff", "malformed|utf-8|Invalid"),
    "version": (text(document(version=0)), "version 0"),
    "role": (person(role="Privacy"), "people\\[1\\].role"),
    "name": (person(name="김소라 "), "people\\[1\\].name"),
    "escape in a name": (person(name="\x1b[2J"), "people\\[1\\].name"),
    "decomposed name": (person(name="\u1100\u1161"), "NFC"),
    "one name": (person(name="parkMIN"), "people\\[2\\] is people\\[1\\] once more"),
    "one key": (person(key=KEYS[1].rpartition(" a")[0]), "a key is one person's"),
    "no key": (person(key="ssh-ed25519 AAAA"), "people\\[1\\].key: not a public key"),
    "rsa key": (person(key="ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQC"), "people\\[1\\].key: not a"),
    "purpose id": (purpose(id="a b"), "purposes\\[1\\].id"),
    "purpose text": (purpose(text_ko=""), "purposes\\[1\\].text_ko"),
    "purpose basis": (purpose(basis="a\nb"), "purposes\\[1\\].basis"),
    "purpose twice": (text(document(purposes=[PURPOSES[0], PURPOSES[0]])), "purposes\\[2\\] is purposes\\[1\\]"),
    "too large": (b" " * (1 << 20) + b"{}", "larger than"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_it_may_not_say(name: str) -> None:
    data, says = BAD[name]
    with pytest.raises(BadInput, match=says):
        check(data)


def test_what_it_may_leave_out() -> None:
    found = check(text(document(rules=[RULE | {"may": "listen"}], witnesses=POLICY)))
    assert found.witnesses is not None
    assert (found.rules[0].may, found.rules[0].expires_days, found.witnesses.within_hours) == ("listen", 31, 24)


def test_whose_word_it_is() -> None:
    data = text(document())
    cases: dict[str, Callable[[], object]] = {
        "roles_signer": lambda: check(data, keys.new_unit_key()),
        "roles_signature": lambda: check(data, namespace="linetap-keylist"),
        "roles_rollback": lambda: check(data, at_least=4),
    }
    for code, case in cases.items():
        with pytest.raises(roles.RolesFault, match=rf"\[{code}\]") as caught:
            case()
        assert caught.value.code == code
    signature = sshsig.sign(data, AUTHORITY, namespaces.ROLES).encode()
    for at in range(0, len(data), 11):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(roles.RolesFault):
            roles.check(bytes(changed), signature, AUTHORITY.public_key())


# --- the command ------------------------------------------------------------------------------------------------


def test_check_says_what_is_in_it(desk: Desk) -> None:
    path = desk.root / "roles.json"
    for authority in (desk.root / "authority.pub", (desk.root / "authority.pub").read_text().strip()):
        status, said = desk.run(command, "check", path, "--authority", authority)
        assert status == 0
    shown = sealing_rig.run(["ssh-keygen", "-l", "-f", str(desk.root / f"{KIM}.pub")]).stdout.decode().split()[1]
    assert f"person   {KIM} (privacy) {shown}\n" in said
    assert "purpose  dispute: A caller disputes what was said | 통화 내용 분쟁 | Terms 12\n" in said
    assert "warning" not in said
    few = desk.sign_roles(2, {KIM: "privacy", HAN: "vault"})
    assert (
        "warning: approvers of 2 roles are needed"
        in desk.run(command, "check", few, "--authority", desk.root / "authority.pub")[1]
    )


def test_use_never_goes_back(desk: Desk) -> None:
    desk.run(command, "use", desk.sign_roles(5), "--desk", desk.folder)
    with pytest.raises(roles.RolesFault, match=r"version 4 is older than version 5, which was in use"):
        desk.run(command, "use", desk.sign_roles(4), "--desk", desk.folder)
    for name in ("roles.json", "roles.json.sig"):
        (desk.folder / name).unlink()
    with pytest.raises(roles.RolesFault, match="version 4 is older"):
        desk.run(command, "use", desk.root / "roles.json", "--desk", desk.folder)
    with pytest.raises(roles.RolesFault, match="roles_version_taken"):
        desk.run(command, "use", desk.sign_roles(5, {PARK: PEOPLE[PARK]}), "--desk", desk.folder)
    desk.run(command, "use", desk.sign_roles(5), "--desk", desk.folder)  # repeating it repairs it
    assert [entry.outcome for entry in desk.log()] == ["granted", "granted", *["refused"] * 3, "granted"]


def test_use_knows_one_authority(desk: Desk, tmp_path: Path) -> None:
    new = tmp_path / "new"
    with pytest.raises(BadInput, match="needed the first time"):
        desk.run(command, "use", desk.root / "roles.json", "--desk", new)
    with pytest.raises(roles.RolesFault, match="roles_signer"):
        desk.run(command, "use", desk.root / "roles.json", "--authority", desk.root / "stranger.pub", "--desk", new)
    assert not new.exists()
    path = desk.sign_roles(9)
    desk.stock_sign(path, "stranger", path.with_name("roles.json.sig"), namespaces.ROLES)
    with pytest.raises(roles.RolesFault, match="authority_differs"):
        desk.run(command, "use", path, "--authority", desk.root / "stranger.pub", "--desk", desk.folder)
    with pytest.raises(roles.RolesFault, match="roles_signer"):
        desk.run(command, "use", path, "--desk", desk.folder)
    path.with_name("roles.json.sig").unlink()
    with pytest.raises(BadInput, match=r"roles\.json\.sig: No such file"):
        deskfolder.read_roles(path, AUTHORITY.public_key())
