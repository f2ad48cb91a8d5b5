# SPDX-License-Identifier: Apache-2.0
"""The end of a day: its keys are destroyed exactly when required, and data sealed to them cannot be opened any more."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from epoch_desk import DAY, ENDS, NEXT_DAY, Desk
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.records import ClockRecord, CountedMoment
from linetap_desk.ceremony import keygen
from sealing_rig import CALL_ID
from unreadable import Unreadable

OTHER_ID = "20261125T010203.456Z-L04"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.make(tmp_path)


def certificate(desk: Desk, name: str = DAY) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((desk.certificates / f"{name}.destroyed.json").read_text())
    return found


def nothing_destroyed(desk: Desk, name: str = DAY) -> bool:
    return len(desk.keys_of(name)) == (2 if name[0] == "2" else 1) and not list(
        desk.certificates.glob("*.destroyed.json")
    )


def test_what_was_sealed_to_a_day_opens_no_more(desk: Desk) -> None:
    call, other = desk.call(DAY), desk.call(NEXT_DAY, OTHER_ID)
    identity, index = desk.keys_of(DAY)[1], desk.keys_of(DAY)[0]
    kept = os.open(identity, os.O_RDONLY)  # the same blocks, under any name
    assert "index" in index.name
    assert desk.opens(call, identity)
    assert desk.destroy(DAY, "--rule", "office order 12") == 0
    assert not desk.keys_of(DAY)
    assert set(os.read(kept, 1000)) == {0}
    os.close(kept)
    assert not desk.opens(call, identity)
    assert desk.opens(other, desk.media / f"{NEXT_DAY}.txt")
    said = certificate(desk)
    assert (said["epoch"], said["ended_at"], said["destroyed_at"]) == (DAY, ENDS, "2026-12-02T09:00:00.000Z")
    assert (said["rule"], said["recipient"]) == ("office order 12", desk.recipient(DAY))
    assert said["canaries"].keys() == {f"{DAY}.age", f"{DAY}.index.age"}
    assert desk.signature_is_good(desk.certificates / f"{DAY}.destroyed.json", "linetap-certificate")
    with pytest.raises(BadInput, match="exists and is not overwritten"):
        desk.destroy(DAY)


def test_nothing_is_destroyed_before_its_time(desk: Desk) -> None:
    with pytest.raises(Refusal, match=f"{DAY} ends at {ENDS}"):
        desk.destroy(DAY, at="2026-12-01T14:59:59.999Z")
    assert nothing_destroyed(desk)
    assert desk.destroy(DAY, at=ENDS) == 0


def test_a_day_ends_when_its_calls_were_told_that_it_does(desk: Desk) -> None:
    """Zone data have changed since, or differ on this machine: the record's end counts. No record keeps a key for
    longer than zones can differ.
    """
    said = "2026-12-01T16:00:00.000Z"
    desk.call(DAY, until=said)
    desk.call(DAY, OTHER_ID, until="2999-12-01T15:00:00.000Z")
    with pytest.raises(Refusal, match=f"{DAY} ends at {said}"):
        desk.destroy(DAY, at="2026-12-01T15:59:59.999Z")
    assert nothing_destroyed(desk)
    assert desk.destroy(DAY, at=said) == 0
    assert certificate(desk)["ended_at"] == said


def test_every_key_of_the_day_and_no_key_of_another(desk: Desk) -> None:
    with pytest.raises(Refusal, match=rf"{DAY}\.index\.age: no medium opens it"):
        desk.destroy(DAY, media=desk.keys_of(DAY)[1:])
    with pytest.raises(Refusal, match="the key of another epoch"):
        desk.destroy(DAY, media=[*desk.keys_of(DAY), desk.media / f"{NEXT_DAY}.txt"])
    link = desk.folder / "copy.txt"
    link.hardlink_to(desk.keys_of(DAY)[1])
    with pytest.raises(BadInput, match="has 2 names"):
        desk.destroy(DAY)
    link.unlink()
    link.symlink_to(desk.keys_of(DAY)[1])
    with pytest.raises(BadInput, match="not a regular file"):
        desk.destroy(DAY, media=[link])
    with pytest.raises(BadInput, match="2026-12-01 to 2026-12-03 expected"):
        desk.destroy("2027-12-01", media=[])
    (desk.folder / "canary" / f"{DAY}.age").rename(desk.folder / "away")
    with pytest.raises(BadInput, match="the canary made with the key list"):
        desk.destroy(DAY)
    assert nothing_destroyed(desk)


def test_a_medium_that_keeps_its_key_gets_no_certificate(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privatefile, "overwrite", lambda _: None)
    with pytest.raises(Refusal, match=r"still opens 2026-12-01\.age|still opens 2026-12-01\.index\.age"):
        desk.destroy(DAY)
    assert nothing_destroyed(desk)


# --- sheets -------------------------------------------------------------------------------------------------------


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def secret(path: Path) -> str:
    return path.read_text().splitlines()[-1]


def test_sheets_alone_are_proven_by_typing_and_confirmed_by_their_day(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, call = map(secret, desk.keys_of(DAY))
    typed(monkeypatch, call, index, "2026-12-11", DAY, DAY)
    assert desk.destroy(DAY, "--sheets", 2, media=[]) == 0
    said = certificate(desk)
    assert (said["sheets"], said["files"], said["copies"]) == (2, [], 2)


def test_two_media_are_destroyed_together_and_one_is_remarked_on(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    second = desk.folder / "second"
    second.mkdir()
    for path in desk.keys_of(DAY):
        (second / path.name).write_bytes(path.read_bytes())
    assert desk.destroy(DAY, media=[*desk.keys_of(DAY), *second.iterdir()]) == 0
    assert list(second.iterdir()) == desk.keys_of(DAY) == []
    assert certificate(desk)["copies"] == 2
    assert "one copy" not in capsys.readouterr().err
    assert desk.destroy(NEXT_DAY, at="2026-12-03T00:00:00Z") == 0
    assert certificate(desk, NEXT_DAY)["copies"] == 1
    assert "one copy" in capsys.readouterr().err


@pytest.mark.parametrize("lines", [[], ["", "", ""], ["yes", NEXT_DAY, "2"]])
def test_a_sheet_that_is_not_confirmed_destroys_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    typed(monkeypatch, *lines)
    with pytest.raises(Refusal, match="sheet 1 is not confirmed"):
        desk.destroy(DAY, "--sheets", 2)
    assert nothing_destroyed(desk)


def test_a_sheet_that_is_shredded_and_not_confirmed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power fails between the two: the key was proven, and cannot be typed any more."""
    index, call = map(secret, desk.keys_of(DAY))
    typed(monkeypatch, call, index)
    with pytest.raises(Refusal, match="sheet 1 is not confirmed"):
        desk.destroy(DAY, "--sheets", 1, media=[])
    typed(monkeypatch, DAY)
    assert desk.destroy(DAY, "--sheets", 1, media=[]) == 0
    assert certificate(desk)["copies"] == 1


def test_a_confirmed_sheet_is_not_asked_for_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first sheet is shredded, and the repetition asks for the second alone."""
    index, call = map(secret, desk.keys_of(DAY))
    typed(monkeypatch, call, index, DAY)
    with pytest.raises(Refusal, match="sheet 2 is not confirmed"):
        desk.destroy(DAY, "--sheets", 2, media=[])
    with pytest.raises(Refusal, match="begun with other sheets"):
        desk.destroy(DAY, "--sheets", 1, media=[])
    typed(monkeypatch, DAY)
    assert desk.destroy(DAY, "--sheets", 2, media=[]) == 0
    assert (certificate(desk)["sheets"], certificate(desk)["copies"]) == (2, 2)


def test_a_file_named_twice_is_destroyed_and_counted_once(desk: Desk) -> None:
    (desk.folder / "again").symlink_to(desk.media, target_is_directory=True)
    again = [desk.folder / "again" / path.name for path in desk.keys_of(DAY)]
    assert desk.destroy(DAY, media=[*desk.keys_of(DAY), *desk.keys_of(DAY), *again]) == 0
    assert (len(certificate(desk)["files"]), certificate(desk)["copies"]) == (2, 1)


def test_another_days_sheet_is_found_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, secret(desk.media / f"{NEXT_DAY}.txt"), DAY)
    with pytest.raises(Refusal, match="does not open with what was typed"):
        desk.destroy(DAY, "--sheets", 1, media=[])


# --- later uses of a day's key ------------------------------------------------------------------------------------


def hold_epoch(desk: Desk) -> tuple[Path, str]:
    identity = keys.new_identity()
    path = desk.folder / "hold.txt"
    path.write_text(f"{identity.secret}\n")
    return path, identity.recipient


def test_a_held_call_opens_with_the_holds_key_after_its_day_is_gone(desk: Desk) -> None:
    call = desk.call(DAY)
    private, public = hold_epoch(desk)
    held = desk.hold(call, desk.media / f"{DAY}.txt", public)
    assert desk.signature_is_good(held / "hold.json", "linetap-hold")
    said = json.loads((held / "hold.json").read_text())
    assert (said["kind"], said["call_id"], said["from_epoch"], said["case"]) == ("hold", CALL_ID, DAY, "2026-117")
    assert said["until"] == "2027-06-30T15:00:00.000Z"
    assert desk.destroy(DAY) == 0
    (held / "audio.001.age").symlink_to(call / "audio.001.age")
    assert desk.opens(held, private)
    assert not desk.opens(call, private)


@pytest.mark.parametrize(
    ("place", "name", "content", "words"),
    [
        ("held", "key.age", None, "key.age: No such file"),
        ("held", "key.age", b"another", "not the one it names"),
        ("held", "hold.json", b"{", "the signature does not fit"),
        ("call", "audio.001.age", None, "audio.001.age: No such file"),
        ("call", "meta.age", b"", "not as it was sealed"),
        ("call", "record.json", b"{}", "not the record that was held"),
        ("call", "record.json", None, "is not in the copy of the vault"),
    ],
)
def test_a_held_call_that_is_not_whole_at_the_desk_keeps_the_day(
    desk: Desk, place: str, name: str, content: bytes | None, words: str
) -> None:
    call = desk.call(DAY)
    held = desk.hold(call, desk.media / f"{DAY}.txt", hold_epoch(desk)[1])
    path = {"held": held, "call": call}[place] / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(Refusal, match="not destroyed") as told:
        desk.destroy(DAY)
    assert words in str(told.value)
    assert nothing_destroyed(desk)


def test_a_hold_that_is_over_or_of_another_day_keeps_nothing(desk: Desk) -> None:
    call = desk.call(DAY)
    held = desk.hold(call, desk.media / f"{DAY}.txt", hold_epoch(desk)[1], "--until", "2026-12-02T08:00:00Z")
    (held / "key.age").unlink()
    assert desk.destroy(NEXT_DAY, at="2026-12-03T00:00:00Z") == 0
    with pytest.raises(Refusal):
        desk.destroy(DAY, at="2026-12-02T07:59:59Z")
    assert desk.destroy(DAY) == 0


def test_a_call_whose_class_is_pending_keeps_the_day_until_it_is_rewrapped(desk: Desk) -> None:
    call = desk.call(DAY, pending=True)
    with pytest.raises(Refusal, match="until it is re-wrapped"):
        desk.destroy(DAY)
    desk.rewrap(call, desk.media / f"{DAY}.txt", "2026-12-03")
    assert desk.destroy(DAY) == 0


def test_a_call_is_not_rewrapped_for_an_earlier_day(desk: Desk) -> None:
    call = desk.call(NEXT_DAY, pending=True, until="2026-12-02T15:00:00.000Z")
    with pytest.raises(Refusal, match=f"--to {DAY}: by its unit the call is kept until {NEXT_DAY}"):
        desk.rewrap(call, desk.media / f"{NEXT_DAY}.txt", DAY)
    assert not list(desk.holds.rglob("*.*"))
    desk.rewrap(call, desk.media / f"{NEXT_DAY}.txt", "2026-12-03")


@pytest.mark.parametrize("name", ["key.age", "audio.001.age"])
def test_a_call_that_is_held_after_it_was_rewrapped_keeps_the_day_of_its_rewrapping(desk: Desk, name: str) -> None:
    """Such a hold names the record's epoch, whose key is destroyed already."""
    call, day = desk.call(DAY, pending=True), "2026-12-03"
    wrapped = desk.rewrap(call, desk.media / f"{DAY}.txt", day)
    assert desk.destroy(DAY) == 0
    held, words = desk.holds / "case-117", ["--wrapped", wrapped, "-o", desk.holds / "case-117"]
    desk.hold(call, desk.media / f"{day}.txt", hold_epoch(desk)[1], *words, at="2026-12-02T09:30:00Z")
    assert json.loads((held / "hold.json").read_text())["from_epoch"] == DAY
    path = (held if name == "key.age" else call) / name
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(Refusal, match=rf"case-117.*{name}: No such file"):
        desk.destroy(day, at="2026-12-04T09:00:00Z")
    assert len(desk.keys_of(day)) == 2
    path.write_bytes(content)
    assert desk.destroy(day, at="2026-12-04T09:00:00Z") == 0


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_call_of_another_unit_with_the_same_id_is_another_call(desk: Desk, order: str) -> None:
    """Two units began a call on lines of the same number in the same millisecond; one call is re-wrapped."""
    vault, copy = desk.rig.vault, ["--vault", desk.folder / "vaults"]
    desk.rewrap(desk.call(DAY, pending=True), desk.media / f"{DAY}.txt", "2026-12-03")
    (desk.folder / "vaults").mkdir()
    vault.rename(desk.folder / "vaults" / order[0])
    vault.mkdir()
    desk.call(DAY, pending=True, unit="closet-4f")
    vault.rename(desk.folder / "vaults" / order[1])
    vault.mkdir()
    alone = desk.folder / "vaults" / order[1] / sealed.call_path(CALL_ID)
    with pytest.raises(Refusal, match=f"not destroyed:\n{alone}: sealed to {DAY} until it is re-wrapped[^\n]*$"):
        desk.destroy(DAY, *copy)
    assert nothing_destroyed(desk)
    shutil.rmtree(alone)
    assert desk.destroy(DAY, *copy) == 0


def test_a_hold_that_cannot_be_looked_at_keeps_every_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another user, which a glob leaves out in silence: it may have a hold of this day."""
    held = desk.hold(desk.call(DAY), desk.media / f"{DAY}.txt", hold_epoch(desk)[1])
    (held / "key.age").unlink()
    entries = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path == held:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return entries(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", iterdir)
        with pytest.raises(Refusal, match=f"{held}: Permission denied"):
            desk.destroy(DAY)
    assert nothing_destroyed(desk)


def test_overflow_calls_get_their_days_and_then_that_key_goes(desk: Desk) -> None:
    call, other = desk.call("overflow-2"), desk.call("overflow-2", OTHER_ID)
    identity = desk.media / "overflow-2.txt"
    wrapped = desk.rewrap(call, identity, NEXT_DAY)
    said = json.loads((wrapped / "rewrap.json").read_text())
    assert (said["from_epoch"], said["epoch"], said["until"]) == ("overflow-2", NEXT_DAY, "2026-12-02T15:00:00.000Z")
    assert desk.opens(wrapped, desk.media / f"{NEXT_DAY}.txt")
    with pytest.raises(Refusal, match="overflow-2 is in use"):
        desk.destroy("overflow-2")
    longer = ["--extend", desk.key_list, "--days", 0, "--overflow", 3, "-o", desk.folder / "second.json"]
    desk.run(keygen, "epochs", *longer, "--all-on-one-medium", desk.media)
    (desk.folder / "second.json").rename(desk.key_list)
    with pytest.raises(Refusal, match=OTHER_ID):
        desk.destroy("overflow-2")
    desk.rewrap(other, identity, desk.recipient("2026-12-03"))
    (desk.rig.vault / "2026/11/26" / "20261126T010203.456Z-L04").mkdir(parents=True)
    strange = desk.rig.vault / "2026/11/26" / "20261126T010203.456Z-L04" / "record.json"
    strange.write_bytes(b"?")
    with pytest.raises(Refusal, match="cannot be read"):
        desk.destroy("overflow-2")
    strange.unlink()
    assert desk.destroy("overflow-2") == 0
    assert not desk.opens(call, identity)
    assert desk.opens(wrapped, desk.media / f"{NEXT_DAY}.txt")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--until", "2026-11-01"], "is past"),
        (["--until", "soon"], "a day such as 2027-06-30"),
        (["--until", "2027-02-30"], "a day such as 2027-06-30"),
        (["--to", "age1nonsense"], "--to: not an age recipient"),
        (["--identity", "/absent"], "No such file"),
    ],
)
def test_a_hold_that_cannot_be(desk: Desk, words: list[str], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        desk.hold(desk.call(DAY), desk.media / f"{DAY}.txt", hold_epoch(desk)[1], *words)
    assert not list(desk.holds.rglob("*.json"))


def test_the_wrong_key_or_a_changed_folder_wraps_nothing(desk: Desk) -> None:
    call = desk.call(DAY)
    with pytest.raises(Refusal, match="epoch's layer does not open"):
        desk.hold(call, desk.media / f"{NEXT_DAY}.txt", hold_epoch(desk)[1])
    (call / "key.age").write_bytes((desk.call(NEXT_DAY, OTHER_ID) / "key.age").read_bytes())
    with pytest.raises(Refusal, match=r"key\.age is not what was sealed"):
        desk.hold(call, desk.media / f"{NEXT_DAY}.txt", hold_epoch(desk)[1])
    assert not list(desk.holds.rglob("*.*"))
    with pytest.raises(BadInput, match="no day of"):
        desk.rewrap(call, desk.media / f"{DAY}.txt", "2027-12-01")


# --- overdue ------------------------------------------------------------------------------------------------------


def test_a_day_without_a_certificate_is_overdue_after_24_hours(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.overdue(at="2026-12-02T15:00:00.000Z") == 0
    assert desk.overdue(at="2026-12-02T15:00:00.001Z") == 1
    assert "critical epoch_overdue: 2026-12-01 ended at 2026-12-01T15:00Z" in capsys.readouterr().out
    desk.destroy(DAY)
    signers = ["--signers", desk.folder / "officers"]
    assert desk.overdue(*signers, at="2026-12-02T15:00:01Z") == 0
    assert desk.overdue(*signers, at="2026-12-03T15:00:01Z") == 1
    capsys.readouterr()
    path = desk.certificates / f"{DAY}.destroyed.json"
    whole = path.read_bytes()
    (desk.folder / "nobody").write_text("# nobody\n")
    assert desk.overdue("--signers", desk.folder / "nobody", at="2026-12-02T16:00:00Z") == 1
    assert "no signer is named for it" in capsys.readouterr().out
    path.write_bytes(whole.replace(b"2026", b"2025"))
    assert desk.overdue(at="2026-12-02T16:00:00Z") == 1
    assert "does not fit" in capsys.readouterr().out
    path.write_bytes(whole)
    path.with_name(f"{path.name}.sig").unlink()
    assert desk.overdue(at="2026-12-02T16:00:00Z") == 1


def test_a_certificate_of_another_day_does_not_count(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.destroy(DAY)
    for suffix in ("", ".sig"):
        (desk.certificates / f"{DAY}.destroyed.json{suffix}").rename(
            desk.certificates / f"{NEXT_DAY}.destroyed.json{suffix}"
        )
    assert desk.overdue(at="2026-12-04T00:00:00Z") == 1
    said = capsys.readouterr().out.splitlines()
    assert "2026-12-01 ended" in said[-2]
    assert "it is of other keys" in said[-1]


def counted(days: float, memory: str = "m") -> CountedMoment:
    return CountedMoment(memory=memory, boot=1, ms=round(days * 86_400_000))


def test_a_clock_that_was_put_forward_destroys_no_day(desk: Desk) -> None:
    """No unit has counted that long, and the officer's watch does not confirm the date."""
    until, ended = "2026-12-01T15:00:00.000Z", "2026-11-24T22:57:00.000Z"
    call = desk.call(DAY, until=until, ended_at=ended, counted=counted(0))
    desk.call(NEXT_DAY, "20341201T150000.000Z-L04", counted=counted(6))  # of a unit whose clock is put forward too
    desk.call(NEXT_DAY, "20341202T150000.000Z-L04", counted=counted(900, "another count"))
    for today in ("2026-11-28", "2027-02-02", ""):
        with pytest.raises(Refusal, match="only clocks show that it is over, 1 of its 1 calls"):
            desk.destroy(DAY, "--today", today, at="2027-02-01T09:00:00Z")
    assert nothing_destroyed(desk)
    assert desk.opens(call, desk.media / f"{DAY}.txt")
    desk.call(NEXT_DAY, "20261201T150000.000Z-L04", counted=counted(7))
    assert desk.destroy(DAY, "--today", "", at="2027-02-01T09:00:00Z") == 0


def test_a_clock_that_was_put_forward_ends_no_hold(desk: Desk) -> None:
    """The units' counted time proves that the day is over, not that a hold of months is. Without the hold's key the
    call would be lost.
    """
    call = desk.call(DAY, until=ENDS, ended_at="2026-11-24T22:57:00.000Z", counted=counted(0))
    desk.call(NEXT_DAY, "20261201T150000.000Z-L04", counted=counted(7))
    held = desk.hold(call, desk.media / f"{DAY}.txt", hold_epoch(desk)[1])
    key = (held / "key.age").read_bytes()
    (held / "key.age").unlink()
    for at in ("2026-12-02T09:00:00Z", "2027-07-02T09:00:00Z"):  # the hold is until 2027-06-30
        with pytest.raises(Refusal, match=r"key\.age: No such file"):
            desk.destroy(DAY, "--today", "", at=at)
    assert nothing_destroyed(desk)
    (held / "key.age").write_bytes(key)
    assert desk.destroy(DAY, "--today", "", at="2027-07-02T09:00:00Z") == 0


def test_no_clock_ends_a_hold_of_a_call_of_an_overflow_epoch(desk: Desk) -> None:
    """An overflow epoch has no end by which a hold could be over."""
    call = desk.call("overflow-2")
    longer = ["--extend", desk.key_list, "--days", 0, "--overflow", 3, "-o", desk.folder / "second.json"]
    desk.run(keygen, "epochs", *longer, "--all-on-one-medium", desk.media)
    (desk.folder / "second.json").rename(desk.key_list)
    desk.rewrap(call, desk.media / "overflow-2.txt", NEXT_DAY)
    held = desk.holds / "case-117"
    desk.hold(call, desk.media / "overflow-2.txt", hold_epoch(desk)[1], "-o", held)
    (held / "key.age").unlink()
    with pytest.raises(Refusal, match=r"case-117.*key\.age: No such file"):
        desk.destroy("overflow-2", at="2027-07-02T09:00:00Z")
    assert nothing_destroyed(desk, "overflow-2")


def test_a_day_without_calls_is_over_when_a_unit_has_counted_past_it(desk: Desk) -> None:
    kept = ClockRecord(synced=True)
    desk.call(NEXT_DAY, ended_at="2026-11-24T22:57:00.000Z", counted=counted(0), clock=kept)
    desk.call(NEXT_DAY, "20261201T150000.000Z-L04", counted=counted(6.5), clock=kept)
    with pytest.raises(Refusal, match="so much older than another"):
        desk.destroy(DAY, "--today", "", at="2027-02-01T09:00:00Z")
    desk.call(NEXT_DAY, "20261202T150000.000Z-L04", counted=counted(6.8), clock=kept)
    assert desk.destroy(DAY, "--today", "", at="2027-02-01T09:00:00Z") == 0


@pytest.mark.parametrize("name", ["overflow-2", DAY])
def test_a_record_whose_inode_is_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It may be sealed to the overflow epoch; a day is destroyed without it, as with a damaged record."""
    lost = desk.call(DAY, until=ENDS)
    longer = ["--extend", desk.key_list, "--days", 0, "--overflow", 3, "-o", desk.folder / "second.json"]
    desk.run(keygen, "epochs", *longer, "--all-on-one-medium", desk.media)
    (desk.folder / "second.json").rename(desk.key_list)
    Unreadable(monkeypatch, lost / "record.json", inode=True)
    if name == DAY:
        assert desk.destroy(name) == 0
    else:
        with pytest.raises(Refusal, match=r"record\.json: cannot be read"):
            desk.destroy(name)
