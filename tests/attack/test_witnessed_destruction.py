# SPDX-License-Identifier: Apache-2.0
"""The keys of a day are destroyed only when a quorum of witnesses confirms that the day is over and no log was
rewritten.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from epoch_desk import DAY, Desk
from linetap_core.errors import BadInput
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_desk.witnessing.judge import NotWitnessed
from sealing_rig import CALL_ID, UNIT
from witnessed_rig import Site, site

AFTER = "2026-12-01T15:30:00.000Z"  # the day ends at 15:00Z


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.make(tmp_path)


@pytest.fixture
def seen(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A call, logged and seen by two witnesses on its day."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "w").mkdir()
    with site(tmp_path / "w", "2026-11-24T23:00:00.000Z", desk.rig) as made:
        desk.call(DAY)
        log = made.log("2026-11-24T22:57:00.000Z")
        log.close_call(CALL_ID)
        log.publish()
        log.close()
        assert made.carry() == 0
        yield made


def destroy(desk: Desk, seen: Site, *more: object) -> int:
    words = ["--policy", seen.root / "policy", "--heads", seen.heads, "--signers", seen.rig.signers_file]
    return desk.destroy(DAY, *words, *more)


def beat(seen: Site, at: str) -> None:
    """A heartbeat of the unit, sent to the witnesses."""
    seen.at(at)
    log = seen.log(at)
    log.append("heartbeat", at=at)
    log.publish()
    log.close()
    assert seen.carry() == 0


def refused(desk: Desk, seen: Site, code: str) -> bool:
    with pytest.raises(NotWitnessed) as caught:
        destroy(desk, seen)
    return caught.value.code == code and len(desk.keys_of(DAY)) == 2 and not list(desk.certificates.glob("*.json"))


def test_the_number_of_witnesses_is_printed_and_certified(
    desk: Desk, seen: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    beat(seen, AFTER)
    capsys.readouterr()
    assert destroy(desk, seen) == 0
    said = f"{UNIT}: witnessed by 2 of 2, 2 leaves at {AFTER}"
    assert f"{DAY}: {said}\n" in capsys.readouterr().out
    document = json.loads((desk.certificates / f"{DAY}.destroyed.json").read_text())
    assert document["witnessed"] == {UNIT: said.partition(": ")[2]}


def test_without_a_policy_it_is_reported(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.call(DAY)
    assert desk.destroy(DAY) == 0
    assert f"{DAY}: not witnessed (no --policy)\n" in capsys.readouterr().out


def test_a_desk_whose_clock_was_put_forward_destroys_nothing(desk: Desk, seen: Site) -> None:
    """Its clock is at 2 December; the witnesses have seen nothing since November."""
    assert refused(desk, seen, "day_not_over")
    beat(seen, AFTER)
    assert destroy(desk, seen) == 0


def test_one_witness_is_not_enough(desk: Desk, seen: Site) -> None:
    whole = (seen.root / "policy").read_text()
    (seen.root / "policy").write_text(whole.replace(seen.witnesses[1].url, ""))
    seen.at(AFTER)
    log = seen.log(AFTER)
    log.append("heartbeat", at=AFTER)
    log.publish()
    log.close()
    assert seen.carry() == 1, "one of two"
    assert refused(desk, seen, "day_not_over")


def test_a_log_that_was_rewritten_stops_it(desk: Desk, seen: Site) -> None:
    beat(seen, AFTER)
    leaves = (seen.rig.vault / "log" / LEAVES).read_bytes()
    shutil.rmtree(seen.rig.vault / "log")
    (seen.rig.vault / "log").mkdir()
    (seen.rig.vault / "log" / LEAVES).write_bytes(leaves.replace(b"22:57:00", b"22:57:01"))
    log = seen.log(AFTER)
    log.publish()
    log.close()
    assert refused(desk, seen, "forked")


def test_no_checkpoint_at_all_is_not_enough(desk: Desk, seen: Site) -> None:
    shutil.rmtree(seen.heads / UNIT)
    assert refused(desk, seen, "not_witnessed")


def test_a_policy_in_the_desks_folder_is_in_force(desk: Desk, seen: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It applies without an option, and omitting the option does not bypass it."""
    folder, _ = desk.with_roles("vault")
    (folder / "policy").write_bytes((seen.root / "policy").read_bytes())
    monkeypatch.setenv("LINETAP_DESK", str(folder))
    with pytest.raises(BadInput, match="--signers: missing; --policy needs"):
        desk.destroy(DAY)
    (folder / "allowed_signers").write_bytes(seen.rig.signers_file.read_bytes())
    shutil.copytree(seen.heads, folder / "heads")
    with pytest.raises(NotWitnessed, match="by their clocks the day is not over"):
        desk.destroy(DAY)
    beat(seen, AFTER)
    shutil.rmtree(folder / "heads")
    shutil.copytree(seen.heads, folder / "heads")
    assert desk.destroy(DAY) == 0


def test_where_no_log_is_the_kept_checkpoints_say_it(
    desk: Desk, seen: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """A desk's store has copies of calls and no log."""
    beat(seen, AFTER)
    shutil.rmtree(seen.rig.vault / "log")
    path = seen.heads / UNIT / "000000002.checkpoint"
    good = path.read_bytes()
    path.write_bytes(good.replace(b"\n2\n", b"\n3\n"))
    assert refused(desk, seen, "bad_note")
    path.write_bytes(good)
    capsys.readouterr()
    assert destroy(desk, seen) == 0
    assert f"{UNIT}: witnessed by 2 of 2, 2 leaves at {AFTER}" in capsys.readouterr().out
