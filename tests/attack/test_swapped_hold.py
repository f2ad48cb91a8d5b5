# SPDX-License-Identifier: Apache-2.0
"""A key wrapped again for another call than its document states; and a forged call that is to be held."""

from __future__ import annotations

import shutil

import pytest
from swapped_rig import closed, forged, hold_key, opens, refused, wrapped

from linetap_core.errors import Refusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_desk.ceremony import hold
from linetap_desk.ceremony import rewrap as overflow
from release_rig import HAN, Desk
from sealing_rig import NOW, UNIT


def test_the_hold_of_another_call(desk: Desk) -> None:
    request, (identity, to) = desk.approved(desk.call), hold_key(desk)
    folder = wrapped(desk, desk.other, desk.other, to)
    assert "is of another call" in refused(desk, desk.call, request, "--wrapped", folder, identity=identity)


@pytest.mark.parametrize("rewrap", [False, True], ids=["hold", "rewrap"])
def test_a_paper_that_names_a_over_the_key_of_b(desk: Desk, rewrap: bool) -> None:
    """One dishonest vault officer: the record has the hash of the inner key at sealing."""
    request, (identity, to) = desk.approved(desk.call), hold_key(desk)
    folder = wrapped(desk, desk.other, desk.call, to, rewrap)
    with pytest.raises(Refusal, match=r"not what this call was sealed with \[other_inner\]"):
        desk.unwrap(desk.call, request, "inner.age", identity, "--wrapped", folder)
    assert not (desk.root / "inner.age").exists()
    assert [step[1:] for step in desk.steps()[-2:]] == [("granted", ""), ("failed", "other_inner")]
    shutil.rmtree(folder)
    folder = wrapped(desk, desk.call, desk.call, to, rewrap)
    desk.unwrap(desk.call, request, "inner.age", identity, "--wrapped", folder)
    assert opens(desk, desk.call)


def test_a_forged_call_is_neither_held_nor_wrapped_anew(desk: Desk) -> None:
    stranger = keys.new_unit_key()
    folder = forged(desk, stranger)
    made = keylist.KeyList(
        version=1, made_at=NOW, zone="Asia/Seoul", epochs=[keylist.Epoch("2027-01-24", hold_key(desk)[1], "")],
        overflow=[], custodians=[],
    )  # fmt: skip
    identity, index = hold_key(desk)[1], keys.new_identity().recipient
    made.epochs[0] = keylist.Epoch("2027-01-24", identity, index)
    made.overflow.append(keylist.Overflow(1, keys.new_identity().recipient))
    (desk.root / "keylist.json").write_bytes(keylist.encode(made))
    common = ["--identity", desk.rig.epoch_file, "--key", desk.root / HAN, "-o", desk.root / "out", "--desk"]
    common += [desk.folder, "--closing", closed(desk, folder, stranger, UNIT)]
    to = ["--to", identity, "--case", "1", "--basis", "law", "--until", "2027-06-30"]
    with pytest.raises(Refusal, match=r"\[call_not_as_sealed\]"):
        desk.run(hold, "wrap", folder, *to, *common)
    assert desk.steps()[-1] == ("hold", "refused", "call_not_as_sealed")
    with pytest.raises(Refusal, match=r"\[call_not_as_sealed\]"):
        desk.run(overflow, "rewrap", folder, "--to", "2027-01-24", "--list", desk.root / "keylist.json", *common)
    assert desk.steps()[-1] == ("rewrap", "refused", "call_not_as_sealed")
    assert not (desk.root / "out").exists()
