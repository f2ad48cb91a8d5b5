# SPDX-License-Identifier: Apache-2.0
"""Two people approve call A, and an attacker wants to open call B with it: a forged record, another
key.age, no close.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from swapped_rig import approved, closed, forged, hold_key, refused, trusted, wrapped

from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from release_rig import HAN, ID, Desk
from sealing_rig import CALL_ID, UNIT


def test_a_record_of_a_forged_by_an_unknown_key(desk: Desk) -> None:
    stranger = keys.new_unit_key()
    folder = forged(desk, stranger)
    request = approved(desk, folder)
    proof = closed(desk, folder, stranger, UNIT)
    assert f"the key that signed is not one of '{UNIT}'" in refused(desk, folder, request, "--closing", proof)


def test_the_right_record_beside_the_key_of_another_call(desk: Desk) -> None:
    request = desk.approved(desk.call)
    folder = desk.root / "mixed" / CALL_ID
    shutil.copytree(desk.call, folder)
    shutil.copy(desk.other / sealed.KEY, folder)
    assert "key.age is not what was sealed" in refused(desk, folder, request, "--log", desk.rig.vault / "log")


def test_a_call_in_the_folder_of_another(desk: Desk) -> None:
    """Possible content of a page's tar: the ticket names A, and the files are B's."""
    request = desk.approved(desk.call)
    folder = desk.root / "calls" / CALL_ID
    shutil.copytree(desk.other, folder)
    assert f"the record is of call {desk.other.name}" in refused(desk, folder, request)


@pytest.mark.parametrize("name", ["witness", "desk", "vault", "officer", "custodian", "access-01234567"])
def test_whoever_is_no_unit_seals_no_call(desk: Desk, name: str) -> None:
    """The signers' file also names witnesses and officers, often without a namespace."""
    key = keys.new_unit_key()
    trusted(desk, name, key)
    folder = forged(desk, key, name)
    request = approved(desk, folder)
    said = refused(desk, folder, request, "--closing", closed(desk, folder, key, name))
    assert f"{name!r} is reserved" in said or f"{name!r} is the name of no unit" in said


def test_a_person_of_the_roles_seals_no_call(desk: Desk) -> None:
    """Under any name in the signers' file."""
    key = keys.load_unit_key((desk.root / HAN).read_bytes())
    trusted(desk, "floor-9", key)
    folder = forged(desk, key, "floor-9")
    request = approved(desk, folder)
    proof = closed(desk, folder, key, "floor-9")
    assert f"signed with the key of {HAN} (vault)" in refused(desk, folder, request, "--closing", proof)


def test_the_key_of_one_unit_seals_no_call_of_another(desk: Desk) -> None:
    other = keys.new_unit_key()
    trusted(desk, "floor-9", other)
    folder = forged(desk, other)
    request = approved(desk, folder)
    assert f"not one of '{UNIT}'" in refused(desk, folder, request, "--closing", closed(desk, folder, other, UNIT))


def test_a_key_that_may_sign_heads_alone_seals_no_call(desk: Desk) -> None:
    key = keys.new_unit_key()
    trusted(desk, "city-audit", key, 'namespaces="linetap-head" ')
    folder = forged(desk, key, "city-audit")
    request = approved(desk, folder)
    assert "may not sign for 'linetap-record'" in refused(desk, folder, request)


def test_the_units_own_word_of_another_record_is_not_what_was_approved(desk: Desk) -> None:
    folder = forged(desk, desk.rig.unit_key)
    request = approved(desk, folder)
    assert "its record is not the one" in refused(desk, desk.call, request)


def test_a_call_that_the_log_never_closed(desk: Desk) -> None:
    """The unit's stolen key signs a record, which is missing in the published log."""
    folder = forged(desk, desk.rig.unit_key)
    request = approved(desk, folder)
    assert "--closing with what the desk keeps" in refused(desk, folder, request)
    assert desk.log()[-1].code == "closing_needed"
    assert "the leaf is not the close of" in refused(desk, folder, request, "--log", desk.rig.vault / "log")
    assert desk.log()[-1].code == "closing_differs"


def test_a_closing_of_another_call_or_of_another_unit(desk: Desk) -> None:
    request = desk.approved(desk.call)
    log = desk.rig.log()
    other = log.closing(desk.other.name)
    log.close()
    assert other is not None
    proof = desk.root / f"{CALL_ID}.json"
    proof.write_bytes(closing.encode(other))
    assert "the leaf is not the close of" in refused(desk, desk.call, request, "--closing", proof)
    unnamed = proof.rename(proof.with_name("closing.json"))
    with pytest.raises(BadInput, match=r"closing\.json: CALL_ID\.json expected"):
        desk.unwrap(desk.call, request, "inner.age", None, "--closing", unnamed)
    floor = keys.new_unit_key()
    trusted(desk, "floor-9", floor)
    proof = closed(desk, desk.call, floor, "floor-9")
    assert f"the head is of floor-9, the call of {UNIT}" in refused(desk, desk.call, request, "--closing", proof)


def test_a_call_that_the_log_says_is_destroyed(desk: Desk) -> None:
    request = desk.approved(desk.call)
    log = desk.rig.log()
    log.append("destruction", call_id=CALL_ID)
    log.publish()
    log.close()
    assert "by the unit's log 20261124T225600.123Z-L03 was destroyed" in refused(desk, desk.call, request)


def _link(path: Path, target: Path) -> None:
    path.unlink()
    path.symlink_to(target)


def _fifo(path: Path, _target: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@pytest.mark.parametrize("lay", [_link, _fifo], ids=["link", "fifo"])
@pytest.mark.parametrize("name", [sealed.KEY, sealed.RECORD, sealed.SIGNATURE, sealed.META, "audio.001.age"])
def test_a_link_or_a_fifo_in_the_call(desk: Desk, name: str, lay: Callable[[Path, Path], None]) -> None:
    """It ends; reading a FIFO would not."""
    request = desk.approved(desk.call)
    lay(desk.call / name, desk.other / name)
    assert "is not a regular file" in refused(desk, desk.call, request)


def test_a_fifo_beside_the_call(desk: Desk) -> None:
    request, (identity, to) = desk.approved(desk.call), hold_key(desk)
    folder = wrapped(desk, desk.call, desk.call, to)
    for name in ("hold.json.sig", "hold.json", "key.age"):
        kept = (folder / name).read_bytes()
        _fifo(folder / name, folder)
        refused(desk, desk.call, request, "--wrapped", folder, identity=identity)
        (folder / name).unlink()
        (folder / name).write_bytes(kept)
    head = desk.rig.vault / "log" / "leaves.jsonl"
    _fifo(head, head)
    assert "is not a regular file" in refused(desk, desk.call, request)
    _fifo(desk.root / f"{ID}.json.x.sig", head)
    with pytest.raises(LinetapError, match="not a regular file"):
        desk.unwrap(desk.call, request)
