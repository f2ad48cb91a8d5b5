# SPDX-License-Identifier: Apache-2.0
"""An attacker writes into the officer's folder of holds without a signature: no such document releases a day's key,
with which a held call would be lost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from epoch_desk import DAY, NEXT_DAY, Desk
from linetap_core.clock import parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import hold
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.ceremony import destructionchecks

NOW = "2026-12-02T09:00:00Z"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.make(tmp_path)


def held(desk: Desk) -> Path:
    """A held call, wrapped and signed by the officer."""
    call = desk.call(DAY)
    return desk.hold(call, desk.media / f"{DAY}.txt", keys.new_identity().recipient)


def rewritten(folder: Path, **fields: Any) -> None:
    path = folder / hold.HOLD
    found = json.loads(path.read_text()) | fields
    path.write_bytes(hold.encode(hold.decode(json.dumps(found, sort_keys=True).encode())))


@pytest.mark.parametrize(
    "fields",
    [{"until": "2026-11-30T15:00:00.000Z"}, {"from_epoch": NEXT_DAY}, {"call_id": "20261124T225600.123Z-L09"}],
    ids=["over already", "of another day", "of another call"],
)
def test_a_paper_that_was_changed_lets_no_key_go(desk: Desk, fields: dict[str, Any]) -> None:
    """The key beside it is removed too, so that nothing else would keep the day."""
    folder = held(desk)
    rewritten(folder, **fields)
    (folder / "key.age").unlink()
    with pytest.raises(Refusal, match="signature"):
        desk.destroy(DAY)
    assert len(desk.keys_of(DAY)) == 2


def test_an_unsigned_rewrap_stands_for_no_call(desk: Desk) -> None:
    call = desk.call(DAY, pending=True)
    folder = desk.rewrap(call, desk.media / f"{DAY}.txt", "2026-12-03")
    (folder / f"{hold.REWRAP}.sig").unlink()
    with pytest.raises(Refusal, match="not destroyed"):
        desk.destroy(DAY)


def test_where_roles_are_in_force_a_vault_officer_has_to_have_signed(desk: Desk) -> None:
    held(desk)
    folder, _ = desk.with_roles("privacy")
    with pytest.raises(Refusal, match="not signed by a vault officer"):
        desk.destroy(DAY, "--desk", folder)
    assert len(desk.keys_of(DAY)) == 2


def test_the_officers_own_are_believed(desk: Desk) -> None:
    held(desk)
    folder, roles = desk.with_roles("vault")
    stranger = keys.new_unit_key()
    paper = next(desk.holds.rglob(hold.HOLD))
    signature = paper.with_name(f"{paper.name}.sig")
    good = signature.read_bytes()
    signature.write_text(sshsig.sign(paper.read_bytes(), stranger, namespaces.HOLD))
    said = [*destructionchecks.missing(DAY, desk.rig.vault, desk.holds, parse_rfc3339(NOW), None, roles)]
    assert len(said) == 1
    assert "not signed by a vault officer" in said[0]
    signature.write_bytes(good)
    officer = keys.load_unit_key((desk.folder / "officer.key").read_bytes())
    checked = sshsig.sign(paper.read_bytes(), officer, namespaces.HOLD_CHECK)
    paper.with_name(f"{paper.name}.check.sig").write_text(checked)
    assert desk.destroy(DAY, "--desk", folder) == 0
