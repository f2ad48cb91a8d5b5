# SPDX-License-Identifier: Apache-2.0
"""A stolen unit key and a dishonest custodian: their record of call A contains B's key, is signed, closed and approved.

The unit's signatures cannot prevent that; the sealed key itself names its call.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from swapped_rig import approved, closed, forged, hold_key, opens, refused, trusted

from linetap_core.errors import Refusal
from linetap_core.evidence.calls import callkey, sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age, group, grouptar, members
from linetap_desk.ceremony import hold
from release_rig import HAN, Desk
from sealing_rig import CALL_ID, NOW, UNIT, run

CALL, LATER = OfCall(UNIT, CALL_ID), "2026-0043"


def thief(desk: Desk, name: str = "floor-9") -> Ed25519PrivateKey:
    """The key of a unit that the desk trusts."""
    key = keys.new_unit_key()
    trusted(desk, name, key)
    return key


def of_version_0_1(desk: Desk, call: Path) -> None:
    """The call as sealed by a unit of version 0.1, whose key does not name its call."""
    secret = run(["age", "-d", "-i", str(desk.rig.epoch_file), str(call / sealed.KEY)]).stdout
    secret = run(["age", "-d", "-i", str(desk.rig.custodian_files[0])], stdin=secret).stdout
    inner = age.encrypt(secret, desk.rig.custodians)
    (call / sealed.KEY).write_bytes(age.encrypt(inner, [desk.rig.epoch]))
    record = sealed.decode_record((call / sealed.RECORD).read_bytes())
    record.files[sealed.KEY] = hashlib.sha256((call / sealed.KEY).read_bytes()).hexdigest()
    record.inner_sha256 = hashlib.sha256(inner).hexdigest()
    data = sealed.public_json(record)
    (call / sealed.RECORD).write_bytes(data)
    (call / sealed.SIGNATURE).write_text(desk.rig.sign(data))


@pytest.mark.parametrize("unit", [UNIT, "floor-9"], ids=["the unit's own key", "another unit's"])
def test_the_officers_tool_gives_nothing_of_another_calls_key(desk: Desk, unit: str) -> None:
    """Record, signature, close and both approvals are valid; the approvers used stock ssh-keygen without looking. The
    tool checks what they did not.
    """
    key = desk.rig.unit_key if unit == UNIT else thief(desk)
    folder = forged(desk, key, unit)
    proof = closed(desk, folder, key, unit)
    with pytest.raises(Refusal, match=rf"the key of {UNIT} {desk.other.name}, not of {unit} {CALL_ID}"):
        desk.unwrap(folder, approved(desk, folder, LATER), "inner.age", None, "--closing", proof)
    assert not (desk.root / "inner.age").exists()
    assert [step[1:] for step in desk.steps()[-2:]] == [("granted", ""), ("failed", "key_of_another_call")]
    request = desk.approved(desk.other)
    desk.unwrap(desk.other, request, "inner.age")
    assert opens(desk, desk.other), "and what was refused keeps nobody from opening the call itself"


def test_a_hold_of_it_opens_no_other_call(desk: Desk) -> None:
    key, (_, to) = thief(desk), hold_key(desk)
    folder = forged(desk, key, "floor-9")
    words = ["--to", to, "--case", "1", "--basis", "law", "--until", "2027-06-30", "--key", desk.root / HAN]
    words += ["--identity", desk.rig.epoch_file, "-o", desk.root / "out", "--desk", desk.folder]
    with pytest.raises(Refusal, match=r"\[key_of_another_call\]"):
        desk.run(hold, "wrap", folder, *words, "--closing", closed(desk, folder, key, "floor-9"))
    assert not (desk.root / "out" / sealed.KEY).exists()


def test_a_custodian_opens_nothing_that_a_dishonest_officer_took_from_another_call(desk: Desk) -> None:
    inner, to = desk.root / "their.age", desk.one_time_key()
    inner.write_bytes(run(["age", "-d", "-i", str(desk.rig.epoch_file), str(desk.other / sealed.KEY)]).stdout)
    with pytest.raises(Refusal, match=r"\[key_of_another_call\]"):
        desk.open(desk.call, inner, "call.wav")
    assert not (desk.root / "call.wav").exists()
    inner.write_bytes(age.encrypt(inner.read_bytes(), [to]))
    with pytest.raises(Refusal, match=r"\[key_of_another_call\]"):
        desk.open(desk.call, inner, "call.wav")


def test_a_call_of_version_0_1_opens_and_its_key_opens_for_no_second_call(desk: Desk) -> None:
    """Such a key does not name its call. The remaining check: whether it was opened under another name."""
    of_version_0_1(desk, desk.other)
    proof = closed(desk, desk.other, desk.rig.unit_key, UNIT)
    inner = desk.unwrap(desk.other, approved(desk, desk.other), "inner.age", None, "--closing", proof)
    assert opens(desk, desk.other)
    inner.unlink()
    key = thief(desk)
    folder = forged(desk, key, "floor-9")
    shutil.rmtree(desk.root / "their-vault")
    theirs = closed(desk, folder, key, "floor-9")
    said = refused(desk, folder, approved(desk, folder, LATER), "--closing", theirs)
    assert f"as the key of {desk.other.name}, and cannot be {CALL_ID}'s too [key_of_another_call]" in said


@pytest.mark.parametrize("needed", [1, 2, 3])
def test_stock_age_and_rage_pass_over_it(tmp_path: Path, needed: int) -> None:
    """The recipe is unchanged, for one custodian and for a group."""
    identities = [keys.new_identity() for _ in range(3)]
    files = [tmp_path / f"{n}.txt" for n in range(3)]
    for path, identity in zip(files, identities, strict=True):
        path.write_text(keys.identity_file(identity, NOW))
    who = members.Group(tuple(each.recipient for each in identities), needed)
    recipient, inner = callkey.new_sealed_key([str(who)] if needed > 1 else list(who.recipients), CALL)
    assert callkey.read(inner) == CALL
    (tmp_path / "inner").write_bytes(inner)
    first = {1: f"cat {tmp_path}/inner", 2: f"tar xOf {tmp_path}/inner 1.age | age -d -i {files[0]}"}
    recipe = first.get(needed, f"tar xOf {tmp_path}/inner 1-2.age | age -d -i {files[0]} | age -d -i {files[1]}")
    opened = run(["sh", "-c", f"{recipe} | age -d -i {files[2]}"]).stdout.decode()
    assert keys.decode_secret(opened.strip()).recipient == recipient
    if needed == 1:
        mine = pyrage.x25519.Identity.from_str(identities[1].secret)
        assert pyrage.decrypt(inner, [mine]).decode() == opened
    epoch = keys.new_identity()
    sizes = members.key_bytes(who, members.parse(epoch.recipient))
    assert 0 <= sizes - len(group.seal(inner, epoch.recipient)) < 600, "what the configuration reckons with"


def test_whoever_changes_it_makes_a_file_that_no_age_opens(tmp_path: Path) -> None:
    """The header's MAC covers it: with the custodian's key alone nobody can move it to another call."""
    identity = keys.new_identity()
    (tmp_path / "c.txt").write_text(keys.identity_file(identity, NOW))
    _, inner = callkey.new_sealed_key([identity.recipient], CALL)
    moved = inner.replace(b"-L03", b"-L04", 1)
    assert callkey.read(moved) == OfCall(UNIT, CALL_ID.replace("-L03", "-L04"))
    done = run(["age", "-d", "-i", str(tmp_path / "c.txt")], stdin=moved)
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize(
    "stanza",
    [
        b"-> linetap-call\n\n",
        b"-> linetap-call closet-3f\n\n",
        b"-> linetap-call closet-3f 20261124T225600.123Z-L03 x\n\n",
        b"-> linetap-call closet-3f 20261124\n\n",
        b"-> linetap-call CLOSET 20261124T225600.123Z-L03\n\n",
        CALL.stanza() * 2,
    ],
)
def test_what_names_no_one_call_is_refused(stanza: bytes) -> None:
    with pytest.raises(Refusal, match="does not name one unit and one call"):
        callkey.read(age.encrypt(b"x", [keys.new_identity().recipient], stanza))


def test_an_archive_of_files_of_several_calls_is_refused() -> None:
    who = members.Group(tuple(keys.new_identity().recipient for _ in range(3)), 2)
    ours, other = (group.seal(b"x", who, OfCall(UNIT, f"{CALL_ID}-{n}").stanza()) for n in "ab")
    files = {**grouptar.read(ours), "1.age": grouptar.read(other)["1.age"]}
    with pytest.raises(Refusal, match="of different calls"):
        callkey.read(grouptar.write(files))
