# SPDX-License-Identifier: Apache-2.0
"""An officer's desk from which somebody removes the policy of witnesses: the removal is detected."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "desk"))  # the rigs of the desk's pages

from custody_rig import CALL, Helper, marked_call, released
from witnessed_house import name_policy

from linetap_core.cli import main
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.authorization.roles import Person, Roles, Witnesses, changes
from linetap_core.evidence.keys import keys
from linetap_desk.accesslog import roles
from linetap_desk.bundle import command as bundle
from linetap_desk.ceremony import hold
from linetap_desk.proofs import callfolder
from linetap_desk.release import command as release
from linetap_desk.release import open as opening
from linetap_desk.release import unwrap
from linetap_desk.witnessing import options
from release_rig import Desk
from witnessed_rig import Site, site


@pytest.fixture
def unit(desk: Desk) -> Iterator[tuple[Desk, Site]]:
    """The policy and the cosignatures are in the desk's folder, and the roles in force name the policy."""
    root = desk.root / "witnessed"
    root.mkdir()
    with site(root, "2026-11-24T23:10:00.000Z", desk.rig) as made:
        assert made.carry() == 0
        shutil.copy(root / "policy", desk.folder)
        shutil.copytree(made.heads, desk.folder / "heads")
        shutil.copy(desk.rig.signers_file, desk.folder)
        name_policy(desk, root / "policy")
        desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
        yield desk, made


def refused(desk: Desk, tool: ModuleType, *words: object) -> str:
    """The code of the refusal, which is also in the access log."""
    with pytest.raises(LinetapError) as caught:
        desk.run(tool, *words, "--desk", desk.folder)
    assert desk.log()[-1].outcome == "refused"
    assert desk.log()[-1].code == caught.value.code
    return caught.value.code


def test_the_policy_in_force_is_the_one_that_was_compared(
    unit: tuple[Desk, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who may write there exchanges the file as soon as it was read."""
    desk, policy = unit[0], unit[0].folder / options.POLICY
    named, read = policy.read_bytes(), callfolder.read

    def exchanged(path: Path, limit_bytes: int) -> bytes:
        data = read(path, limit_bytes)
        if path == policy:
            policy.write_bytes(named.partition(b"quorum")[0] + b"quorum none\n")
        return data

    monkeypatch.setattr(callfolder, "read", exchanged)
    assert options.of_desk(desk.folder).required


def unwrapping(desk: Desk, request: Path, *more: object) -> tuple[object, ...]:
    output = desk.root / "out.age"
    return (unwrap, desk.call, "--identity", desk.rig.epoch_file, "--request", request, "-o", output, *more)


def change(policy: Path, how: str) -> None:
    if how == "gone":
        policy.unlink()
    elif how == "emptied":
        policy.write_bytes(b"")
    elif how == "a fifo":
        policy.unlink()
        policy.parent.joinpath("x").touch()
        policy.symlink_to("/dev/null")
    else:
        policy.write_text(policy.read_text().replace("group together 2", "group together 1"))


@pytest.mark.parametrize(("how", "code"), [("gone", "policy_missing"), ("emptied", "policy_differs"),
                                           ("a fifo", "policy_missing"), ("older", "policy_differs")])  # fmt: skip
def test_a_policy_that_is_gone_emptied_or_older_opens_nothing(unit: tuple[Desk, Site], how: str, code: str) -> None:
    desk, _ = unit
    request = desk.approved(desk.call)
    inner = desk.unwrap(desk.call, request)
    change(desk.folder / "policy", how)
    assert refused(desk, *unwrapping(desk, request)) == code  # type: ignore[arg-type]
    identities = ("--identity", desk.rig.custodian_files[0], "--identity", desk.one_time_file())
    words = (*identities, "--inner", inner, "--request", request)
    output = ("--for", desk.requester.recipient, "-o", desk.root / "call.wav.age")
    assert refused(desk, opening, desk.call, *words, *output) == code
    assert refused(desk, release, "peel", desk.call, *words, "-o", desk.root / "part.age") == code
    asked = ("--id", "2026-0043", "--one-time", desk.requester.recipient, "--purpose", "dispute", "--case", "1")
    more = ("--requester", "Jung", "--for", desk.requester.recipient, "-o", desk.root / "new.json")
    assert refused(desk, release, "request", desk.call, *asked, *more) == code
    bundled = ("--signers", desk.rig.signers_file, "-o", desk.root / "case.zip")
    assert refused(desk, bundle, desk.call, *bundled) == code
    assert not [path for path in desk.root.iterdir() if path.name in ("out.age", "call.wav.age", "case.zip")]
    keep = ("--to", desk.requester.recipient, "--case", "1", "--basis", "2", "--until", "2099-01-01")
    held = ("--identity", desk.rig.epoch_file, "-o", desk.root / "held")
    assert desk.run(hold, "wrap", desk.call, *held, *keep, "--desk", desk.folder)[0] == 0, "what keeps goes on"


def test_another_policy_or_a_longer_time_on_the_command_line(unit: tuple[Desk, Site]) -> None:
    desk, made = unit
    request = desk.approved(desk.call)
    weaker = desk.root / "weaker"
    weaker.write_text("quorum none\n")
    assert refused(desk, *unwrapping(desk, request, "--policy", weaker)) == "policy_differs"  # type: ignore[arg-type]
    assert refused(desk, *unwrapping(desk, request, "--within", 10_000)) == "within_too_long"  # type: ignore[arg-type]
    tool, *words = unwrapping(desk, request, "--policy", made.root / "policy", "--within", 2)
    assert desk.run(tool, *words, "--desk", desk.folder)[0] == 0  # type: ignore[arg-type]


def test_the_custodians_helper_misses_it_too(desk: Desk) -> None:
    call = marked_call(desk)
    members = released(desk, call)
    (desk.root / "policy").write_text("quorum none\n")
    name_policy(desk, desk.root / "policy")
    desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
    with Helper(desk, members) as helper:
        page = helper.post(helper.inside(), f"/call/{CALL}/listen")
        assert (page.status_code, desk.log()[-1].code) == (409, "policy_missing")
        assert helper.case.opened(CALL) is None


def test_a_folder_that_was_emptied(unit: tuple[Desk, Site], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its roles it is a desk that has lost them; an empty folder is no desk, although one was named."""
    desk, _ = unit
    request = desk.approved(desk.call)
    monkeypatch.setenv("LINETAP_DESK", str(desk.folder))
    line = ["verify", str(desk.rig.vault), "--signers", str(desk.rig.signers_file)]
    assert main(line) == 0
    (desk.folder / "policy").unlink()
    assert main(line) == 1
    shutil.copy(desk.root / "witnessed/policy", desk.folder)
    (desk.folder / "roles.json").unlink()
    assert refused(desk, *unwrapping(desk, request)) == "roles_missing"  # type: ignore[arg-type]
    assert main(line) == 1
    for path in desk.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    tool, *words = unwrapping(desk, request)
    with pytest.raises(BadInput, match="not a desk's folder"):
        desk.run(tool, *words)  # type: ignore[arg-type]


def test_who_reads_by_a_policy_of_their_own_may(unit: tuple[Desk, Site], monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` opens nothing: a court may use its own policy."""
    desk, made = unit
    monkeypatch.setenv("LINETAP_DESK", str(desk.folder))
    (desk.folder / "policy").unlink()
    other = desk.root / "court"
    other.write_text((made.root / "policy").read_text() + "# the court's\n")
    line = ["verify", str(desk.rig.vault), "--signers", str(desk.rig.signers_file), "--policy", str(other)]
    assert main([*line, "--heads", str(made.heads)]) == 0


@pytest.mark.parametrize(("field", "value"), [("policy_sha256", "abc"), ("within_hours", 0), ("more", 1)])
def test_roles_that_name_none(desk: Desk, field: str, value: object) -> None:
    (desk.root / "policy").write_text("quorum none\n")
    name_policy(desk, desk.root / "policy", **{field: value})
    with pytest.raises(BadInput, match=field):
        desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)


def test_a_unit_says_that_the_roles_name_no_policy_any_more() -> None:
    """Only the authority can put it out of force, and the units' alert shows that."""
    people = [Person("Han", "vault", keys.public_line(keys.new_unit_key().public_key()))]
    old = Roles(1, people, [], Witnesses("0" * 64))
    assert changes(old, Roles(2, people, [], Witnesses("0" * 64))) == []
    assert changes(old, Roles(2, people, [])) == ["no policy of witnesses"]
    assert changes(old, Roles(2, people, [], Witnesses("1" * 64))) == ["another policy of witnesses"]
