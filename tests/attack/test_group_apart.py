# SPDX-License-Identifier: Apache-2.0
"""Officers and custodians of groups in different places, the first of them dishonest.

The partial result opens nothing by itself, belongs to this very call, and is logged correctly.
"""

from __future__ import annotations

import dataclasses
import wave
from pathlib import Path

import pytest

import sealing_rig
from group_rig import Members
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.release import NotReleased
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import group
from linetap_core.evidence.sealing.group import OtherLayer
from linetap_desk.accesslog import command
from linetap_desk.ceremony import hold
from linetap_desk.release import unwrap
from release_rig import Desk
from sealing_rig import CALL_ID, Rig


@dataclasses.dataclass(frozen=True)
class House:
    desk: Desk
    custodians: Members
    officers: Members

    def unwrap(self, call: Path, request: Path, output: str, *officers: int, partial: Path | None = None) -> Path:
        words: list[object] = ["--request", request, "-o", self.desk.root / output, "--desk", self.desk.folder]
        words += [word for path in self.officers.some(*officers) for word in ("--identity", path)]
        words += [] if partial is None else ["--partial", partial]
        assert self.desk.run(unwrap, call, *words) == (0, "")
        return self.desk.root / output

    def peel(self, call: Path, request: Path, inner: Path, output: str, *identities: Path) -> Path:
        words: list[object] = [word for path in identities for word in ("--identity", path)]
        self.desk.release("peel", call, *words, "--inner", inner, "--request", request, "-o", self.desk.root / output)
        return self.desk.root / output


@pytest.fixture
def house(tmp_path: Path) -> House:
    custodians, officers = Members.make(tmp_path, 2, 3, "custodian-"), Members.make(tmp_path, 2, 3, "officer-")

    def change(rig: Rig) -> Rig:
        return dataclasses.replace(
            rig, custodians=[custodians.text], epoch=officers.text, custodian_files=custodians.files
        )

    return House(Desk.make(tmp_path, change), custodians, officers)


def test_four_people_in_four_places(house: House) -> None:
    """Officer 1, officer 3, custodian 1 with the one-time key, custodian 2; the requester listens."""
    desk = house.desk
    request = desk.approved(desk.call)
    part = house.unwrap(desk.call, request, "part.age", 1)
    for alone in (house.officers.files[0], *house.custodians.files, desk.one_time_file(), desk.root / "requester.txt"):
        assert sealing_rig.run(["age", "-d", "-i", str(alone), str(part)]).returncode == 1
    inner = house.unwrap(desk.call, request, "inner.age", 3, partial=part)
    for alone in (*house.officers.files, *house.custodians.files):
        assert sealing_rig.run(["age", "-d", "-i", str(alone), str(inner)]).returncode == 1
    own = house.peel(desk.call, request, inner, "own.age", house.custodians.files[0], desk.one_time_file())
    for alone in (house.custodians.files[0], desk.one_time_file(), *house.officers.files):
        assert sealing_rig.run(["age", "-d", "-i", str(alone), str(own)]).returncode == 1
    words: list[object] = ["--for", desk.requester.recipient, "--request", request]
    opened = desk.open(desk.call, own, "call.wav.age", *words, custodian=1)
    heard = sealing_rig.run(["age", "-d", "-i", str(desk.root / "requester.txt"), str(opened)]).stdout
    (desk.root / "heard.wav").write_bytes(heard)
    with wave.open(str(desk.root / "heard.wav"), "rb") as wav:
        assert wav.getnframes() == 20_000
    assert [(entry.verb, entry.left) for entry in desk.log()[-4:]] == [
        ("unwrap", 1), ("unwrap", 0), ("peel", 0), ("open", 0),
    ]  # fmt: skip
    shown = [command.line_of(entry).split("\t") for entry in desk.log()[-4:-2]]
    assert [[word for word in words if word.startswith("left=")] for words in shown] == [["left=1"], []]
    with pytest.raises(NotReleased, match="request_used"):  # once for each call, by anybody
        house.unwrap(desk.call, request, "again.age", 2)


def test_all_in_one_place(house: House) -> None:
    desk = house.desk
    request = desk.approved(desk.call)
    inner = house.unwrap(desk.call, request, "inner.age", 3, 2)
    opened = desk.open(desk.call, inner, "call.wav", "--identity", house.custodians.files[2])
    assert opened.read_bytes()[:4] == b"RIFF"


def test_the_first_officer_hands_on_the_key_of_another_call(house: House) -> None:
    """Call A is approved; officer 1 brings a layer of call B, which is not."""
    desk = house.desk
    request = desk.approved(desk.call)
    key = (desk.other / "key.age").read_bytes()
    forged = desk.root / "forged.age"

    def alone(layer: bytes) -> bytes:
        done = sealing_rig.run(["age", "-d", "-i", str(house.officers.files[0])], stdin=layer)
        if done.returncode:
            raise Refusal("no")
        return done.stdout

    forged.write_bytes(group.peel(key, alone, 1).data)
    with pytest.raises(OtherLayer, match="group_other_layer"):
        house.unwrap(desk.call, request, "inner.age", 3, partial=forged)
    assert not (desk.root / "inner.age").exists()
    assert (desk.log()[-1].verb, desk.log()[-1].outcome) == ("unwrap", "refused")
    forged.write_bytes(b"age-encryption.org/v1\n" + b"x" * 500)
    with pytest.raises(OtherLayer):
        house.unwrap(desk.call, request, "inner.age", 3, partial=forged)
    assert house.unwrap(desk.call, request, "inner.age", 2, 3).exists()  # and nothing was used up


def test_the_first_custodian_hands_on_the_key_of_another_call(house: House) -> None:
    """Two requests are approved for two people; a custodian mixes them, and the second one's machine opens nothing."""
    desk = house.desk
    one, two = desk.approved(desk.call), desk.approved(desk.other, request_id="2026-0043")
    inner = house.unwrap(desk.other, two, "inner-2.age", 1, 2)
    key = desk.one_time_file("2026-0043")
    part = house.peel(desk.other, two, inner, "part-2.age", house.custodians.files[0], key)
    words: list[object] = ["--for", desk.requester.recipient, "--request", one]
    with pytest.raises(Refusal, match="key_of_another_call"):
        desk.open(desk.call, part, "call.wav.age", *words, custodian=1)
    assert not (desk.root / "call.wav.age").exists()


def test_a_partial_takes_the_request_as_everything_does(house: House) -> None:
    desk = house.desk
    request = desk.ask(desk.call)  # not approved
    with pytest.raises(NotReleased, match="approvals_missing"):
        house.unwrap(desk.call, request, "part.age", 1)
    assert not (desk.root / "part.age").exists()


def test_members_come_in_their_order_and_are_told_so(house: House) -> None:
    desk = house.desk
    request = desk.approved(desk.call)
    with pytest.raises(Refusal, match="the lowest in number comes first"):
        house.unwrap(desk.call, request, "part.age", 3)
    part = house.unwrap(desk.call, request, "part.age", 2)
    with pytest.raises(Refusal, match="does not open"):
        house.unwrap(desk.call, request, "inner.age", 1, partial=part)
    inner = house.unwrap(desk.call, request, "inner.age", 3, partial=part)
    both = house.custodians.some(1, 2)
    with pytest.raises(Refusal, match="linetap open"):
        house.peel(desk.call, request, inner, "x.age", *both, desk.one_time_file())
    with pytest.raises(BadInput, match="one-time key alone"):
        house.peel(desk.call, request, inner, "x.age", desk.one_time_file())


def test_a_hold_by_officers_apart(house: House) -> None:
    desk = house.desk
    held = keys.new_identity()
    folder = desk.root / "holds" / CALL_ID
    words: list[object] = ["--to", held.recipient, "--case", "2026-117", "--basis", "Act 12", "--until", "2099-06-30"]
    words += ["-o", folder, "--desk", desk.folder]
    assert desk.run(hold, "wrap", desk.call, *words, "--identity", house.officers.files[1]) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == ["partial-1.age"]
    more = ["--identity", house.officers.files[2], "--partial", folder / "partial-1.age"]
    assert "is held until" in desk.run(hold, "wrap", desk.call, *words, *more)[1]
    assert [(entry.verb, entry.left) for entry in desk.log()[-2:]] == [("hold", 1), ("hold", 0)]
    (desk.root / "held.txt").write_text(f"{held.secret}\n")
    done = sealing_rig.run(["age", "-d", "-i", str(desk.root / "held.txt"), str(folder / "key.age")])
    (desk.root / "inner").write_bytes(done.stdout)
    opens = sealing_rig.run(["bash", "-c", house.custodians.stock_recipe(str(desk.root / "inner"), (1, 3))])
    assert opens.stdout.startswith(b"AGE-SECRET-KEY-1")


def test_a_partial_of_a_call_that_one_person_opens_is_refused(tmp_path: Path) -> None:
    desk = Desk.make(tmp_path)
    request = desk.approved(desk.call)
    (tmp_path / "part.age").write_bytes((desk.call / "key.age").read_bytes())
    words: list[object] = ["--identity", desk.rig.epoch_file, "--request", request, "--partial", tmp_path / "part.age"]
    with pytest.raises(OtherLayer, match="one person opens it"):
        desk.run(unwrap, desk.call, *words, "-o", tmp_path / "inner.age", "--desk", desk.folder)
