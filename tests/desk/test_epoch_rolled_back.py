# SPDX-License-Identifier: Apache-2.0
"""A day's keys, and a folder of holds that is older than the newest hold: the unit's log in the copy has it, and keeps
the day. A second signature counts only by somebody who is named."""

from __future__ import annotations

import hashlib
import shutil
from itertools import count
from pathlib import Path

import pytest

from epoch_desk import DAY, NEXT_DAY, Desk
from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import SigningKey
from sealing_rig import CALL_ID

UNTIL = "2027-06-30T15:00:00.000Z"
MOMENTS = count(parse_rfc3339("2026-11-25T00:00:00.000Z"), NS_PER_S)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.make(tmp_path)


def log_hold(desk: Desk, until: str = UNTIL, ended: bool = False) -> None:
    """The unit holds the call, or ends the hold, and says so in its log."""
    log = desk.rig.log()
    more = {"ended": True} if ended else {"until": until, "sha256": hashlib.sha256(b"a hold").hexdigest()}
    log.append("hold", at=rfc3339(next(MOMENTS)), call_id=CALL_ID, **more)
    log.publish()
    log.close()


def held(desk: Desk, day: str = DAY) -> Path:
    """A call of that day that is held, by its unit too."""
    call = desk.call(day)
    desk.hold(call, desk.media / f"{day}.txt", keys.new_identity().recipient)
    log_hold(desk)
    return call


def refused(desk: Desk) -> str:
    with pytest.raises(Refusal) as caught:
        desk.destroy(DAY)
    assert len(desk.keys_of(DAY)) == 2
    return str(caught.value)


def test_a_folder_of_holds_of_before_the_hold_keeps_the_day(desk: Desk) -> None:
    call = held(desk)
    (desk.holds / CALL_ID).rename(desk.folder / "away")
    assert f"{call}: its unit's log holds it until {UNTIL}, and no hold that stands is in {desk.holds}" in refused(desk)
    (desk.folder / "away").rename(desk.holds / CALL_ID)
    assert desk.destroy(DAY) == 0


def test_a_folder_of_holds_with_the_hold_that_was_renewed_keeps_the_day(desk: Desk) -> None:
    call = desk.call(DAY)
    recipient = keys.new_identity().recipient
    desk.hold(call, desk.media / f"{DAY}.txt", recipient, "--until", "2026-12-02T08:00:00Z")
    log_hold(desk)
    assert f"{call}: its unit's log holds it until {UNTIL}" in refused(desk)


def test_a_log_that_was_set_aside_says_it_too(desk: Desk) -> None:
    held(desk)
    shutil.rmtree(desk.holds / CALL_ID)
    (desk.rig.vault / "log").rename(desk.rig.vault / "log.before-1")
    assert "its unit's log holds it" in refused(desk)


def test_each_unit_of_a_folder_of_vaults_is_asked(desk: Desk) -> None:
    held(desk)
    shutil.rmtree(desk.holds / CALL_ID)
    vaults = desk.folder / "vaults"
    vaults.mkdir()
    desk.rig.vault.rename(vaults / "closet-3f")
    desk.rig.vault.mkdir()
    with pytest.raises(Refusal, match="its unit's log holds it"):
        desk.destroy(DAY, "--vault", vaults)


@pytest.mark.parametrize("why", ["ended", "over", "of another day", "destroyed", "not in the copy"])
def test_a_hold_that_keeps_nothing(desk: Desk, why: str) -> None:
    call = held(desk, NEXT_DAY if why == "of another day" else DAY)
    shutil.rmtree(desk.holds / CALL_ID)
    if why == "ended":
        log_hold(desk, ended=True)
    elif why == "over":
        log_hold(desk, "2026-12-02T08:00:00.000Z")
    elif why == "destroyed":
        log = desk.rig.log()
        log.append("destruction", call_id=CALL_ID, record_sha256=desk.rig.sealed_record_sha256())
        log.close()
    elif why == "not in the copy":
        (call / sealed.RECORD).unlink()
    assert desk.destroy(DAY) == 0


def test_a_log_that_cannot_be_read_keeps_the_day(desk: Desk) -> None:
    held(desk)
    shutil.rmtree(desk.holds / CALL_ID)
    leaves = desk.rig.vault / "log" / "leaves.jsonl"
    leaves.unlink()
    leaves.mkdir()
    assert f"{leaves}: Is a directory: it may have holds" in refused(desk)


# --- the second person --------------------------------------------------------------------------------------------


def key_file(desk: Desk, name: str) -> tuple[Path, SigningKey]:
    key = keys.new_unit_key()
    path = desk.folder / f"{name}.key"
    path.write_bytes(keys.unit_key_file(key))
    path.chmod(0o600)
    return path, key


def signers_of(desk: Desk, *lines: tuple[str, SigningKey]) -> Path:
    officer = keys.load_unit_key((desk.folder / "officer.key").read_bytes())
    path = desk.folder / "allowed_signers"
    named = [("officer-kim", officer), *lines]
    path.write_text(
        "".join(
            f'{name} namespaces="linetap-certificate" {keys.public_line(key.public_key())}\n' for name, key in named
        )
    )
    return path


def test_without_roles_a_second_person_whom_nobody_names_is_refused(desk: Desk) -> None:
    path, key = key_file(desk, "second")
    with pytest.raises(BadInput, match=r"^--second: without roles in force, --signers .* expected$"):
        desk.destroy(DAY, "--second", path)
    with pytest.raises(Refusal, match=f"^{path}: no signer is named for linetap-certificate in .*allowed_signers$"):
        desk.destroy(DAY, "--second", path, "--signers", signers_of(desk))
    with pytest.raises(Refusal, match=f"^{path}: a key of officer-kim, as --key is; another person's expected$"):
        desk.destroy(DAY, "--second", path, "--signers", signers_of(desk, ("officer-kim", key)))
    assert len(desk.keys_of(DAY)) == 2
    assert desk.destroy(DAY, "--second", path, "--signers", signers_of(desk, ("officer-lee", key))) == 0
    assert (desk.certificates / f"{DAY}.destroyed.json.second.sig").exists()


def test_nor_the_officer(desk: Desk) -> None:
    path, key = key_file(desk, "second")
    signers = desk.folder / "allowed_signers"
    signers.write_text(f'officer-lee namespaces="linetap-certificate" {keys.public_line(key.public_key())}\n')
    with pytest.raises(Refusal, match=r"officer\.key: no signer is named for linetap-certificate"):
        desk.destroy(DAY, "--second", path, "--signers", signers)
