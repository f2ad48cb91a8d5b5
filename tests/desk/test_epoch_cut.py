# SPDX-License-Identifier: Apache-2.0
"""A power cut or a full disk during a destruction: the same command completes it, and no key is gone without a
certificate."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from epoch_desk import DAY, NEXT_DAY, Desk
from linetap.recorder.vault.commands.certificates import Certificate as OfUnit
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import keys
from linetap_desk.ceremony import certificate
from linetap_desk.ceremony.certificate import Certificate
from linetap_desk.custody.program import ceremony, settings
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder

LATE = "2027-02-01T09:00:00Z"


class Cut(BaseException):
    """The power fails."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.make(tmp_path)


def second_words(desk: Desk) -> list[object]:
    """The options for a second person, whom a signers' file names."""
    key, officer = keys.new_unit_key(), keys.load_unit_key((desk.folder / "officer.key").read_bytes())
    path, named = desk.folder / "second.key", desk.folder / "named"
    path.write_bytes(keys.unit_key_file(key))
    path.chmod(0o600)
    people = (("officer-kim", officer), ("officer-lee", key))
    lines = [f'{name} namespaces="linetap-certificate" {keys.public_line(of.public_key())}\n' for name, of in people]
    named.write_text("".join(lines))
    return ["--second", path, "--signers", named]


def on_sync(monkeypatch: pytest.MonkeyPatch, do: Callable[[int, Path], None]) -> None:
    """Calls `do` with descriptor and path before each sync."""
    sync = os.fsync

    def synced(fd: int) -> None:
        do(fd, Path(os.readlink(f"/proc/self/fd/{fd}")))
        sync(fd)

    monkeypatch.setattr(os, "fsync", synced)


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The power fails at that sync: of a new file only its name is on the disk."""
    numbers = count()

    def cut(fd: int, path: Path) -> None:
        if next(numbers) == number:
            if stat.S_ISREG(os.fstat(fd).st_mode) and path.suffix != ".txt":
                os.ftruncate(fd, 0)
            raise Cut

    on_sync(monkeypatch, cut)


def full_at(monkeypatch: pytest.MonkeyPatch, name: str, which: int = 0) -> None:
    """The disk is full when that file is written, the `which`-th time."""
    numbers = count()

    def full(_: int, path: Path) -> None:
        if path.name == name and next(numbers) == which:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    on_sync(monkeypatch, full)


def copied(desk: Desk, day: str) -> list[Path]:
    """The day's files, and their copies on another medium."""
    other = desk.folder / "other"
    other.mkdir(exist_ok=True)
    for path in desk.keys_of(day):
        (other / path.name).write_bytes(path.read_bytes())
    return [*desk.keys_of(day), *sorted(other.glob(f"{day}*"))]


def begun(desk: Desk) -> list[Path]:
    return list(desk.certificates.glob("*.destroying.json"))


def test_after_a_cut_at_any_sync_the_same_command_writes_the_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk.make(tmp_path, 60)
    words = second_words(desk)
    whole = lost = 0
    for number, day in zip(count(), strict_days(desk), strict=False):
        index, *media, call = copied(desk, day)  # one key on each medium
        index.unlink()
        call.unlink()
        with monkeypatch.context() as patch:
            cut_at(patch, number)
            try:
                desk.destroy(day, *words, media=media, at=LATE)
                break
            except Cut:
                pass
        place = certificate.path_of(desk.certificates, day)
        for journal in begun(desk):
            nothing_reads_it(desk, journal, day)
        other = desk.folder / "other"
        if any(b"SECRET" in path.read_bytes() for path in other.glob(f"{day}*")):
            whole += 1
            other.rename(desk.folder / "unplugged")
            with pytest.raises((Refusal, BadInput), match=r"missing|No such file"):
                desk.destroy(day, *words, media=media, at=LATE)
            assert not place.exists()
            (desk.folder / "unplugged").rename(other)
        lost += not any(path.exists() for path in media)
        is_done = place.exists() and not begun(desk)
        assert is_done or desk.destroy(day, *words, media=media, at=LATE) == 0
        assert not any(path.exists() for path in media)
        found = certificate.read(place, None)
        assert (found.files, found.copies) == ([path.name for path in media], 1)
        assert found.second is not None
        assert desk.signature_is_good(place, "linetap-certificate")
        assert begun(desk) == []
    else:
        raise AssertionError("more syncs than days")
    assert whole > 5
    assert lost > 5, "cuts after the last key"
    assert {path.name[10:] for path in desk.certificates.glob("2*")} == {
        ".destroyed.json", ".destroyed.json.sig", ".destroyed.json.second.sig"
    }  # fmt: skip
    capsys.readouterr()


def strict_days(desk: Desk) -> list[str]:
    return sorted(path.stem for path in desk.media.glob("2*.txt") if ".index" not in path.name)


def nothing_reads_it(desk: Desk, journal: Path, day: str) -> None:
    data = journal.read_bytes()
    for kind in (Certificate, OfUnit):
        with pytest.raises(ValueError, match=r"missing required field|Expected `str`"):
            strict.decode(data, kind)
    with pytest.raises(Refusal):
        certificate.read(journal, None)
    place = certificate.path_of(desk.certificates, day)
    assert place.exists() or certificate.named_gone(desk.certificates, day, 1) == set()
    shown = ceremony.certificates(settings.Settings(output=str(desk.folder)))
    assert journal.name not in shown


@pytest.mark.parametrize("part", ["", ".sig", ".second.sig"])
def test_a_disk_that_is_full_for_the_certificate(desk: Desk, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    words, media = second_words(desk), desk.keys_of(DAY)
    with monkeypatch.context() as patch:
        full_at(patch, f"{DAY}.destroyed.json{part}")
        with pytest.raises(BadInput, match="No space left"):
            desk.destroy(DAY, *words, media=media)
    assert desk.keys_of(DAY) == []
    assert desk.overdue(at=LATE) == 1
    assert desk.destroy(DAY, *words, media=media, at=LATE) == 0
    found = certificate.read(certificate.path_of(desk.certificates, DAY), None)
    assert found.destroyed_at == "2026-12-02T09:00:00.000Z", "when the keys were destroyed"
    assert begun(desk) == []


def test_without_room_for_the_journal_nothing_is_destroyed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        full_at(patch, f".{DAY}.destroying.json.new")
        with pytest.raises(BadInput, match="No space left"):
            desk.destroy(DAY)
    assert all(b"SECRET" in path.read_bytes() for path in desk.keys_of(DAY))
    assert [path.name for path in desk.certificates.iterdir()] == [".destroying.lock"]
    assert desk.destroy(DAY) == 0


def test_a_rule_that_no_certificate_can_name_destroys_nothing(desk: Desk) -> None:
    with pytest.raises(BadInput, match="not UTF-8"):
        desk.destroy(DAY, "--rule", os.fsdecode(b"\xff"))
    assert len(desk.keys_of(DAY)) == 2


def stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch, media: list[Path], which: int) -> None:
    """A destruction that a full disk stops at that writing of its journal."""
    with monkeypatch.context() as patch:
        full_at(patch, f".{DAY}.destroying.json.new", which)
        with pytest.raises(BadInput, match="No space left"):
            desk.destroy(DAY, media=media)


def test_media_whose_paths_have_changed_since(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    media = copied(desk, DAY)
    stopped(desk, monkeypatch, media, 5)
    first, second = desk.media, desk.folder / "other"
    assert [path.exists() for path in media] == [False, False, True, True]
    first.rename(desk.folder / "was-first")
    second.rename(first)
    with pytest.raises(Refusal, match=r"other/2026-12-01\.index\.txt: is missing, and was not destroyed"):
        desk.destroy(DAY, media=[])
    assert desk.destroy(DAY, media=media) == 0
    found = certificate.read(certificate.path_of(desk.certificates, DAY), None)
    assert (len(found.files), found.copies) == (4, 2)
    assert desk.keys_of(DAY) == []


def test_a_journal_that_names_another_days_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed by somebody else: a file that is not recorded as destroyed has to open its canary."""
    media, other = desk.keys_of(DAY), desk.media / f"{NEXT_DAY}.txt"
    stopped(desk, monkeypatch, media, 2)
    (journal,) = begun(desk)
    data = journal.read_bytes()
    for old, new in zip(sha256s(media[1]), sha256s(other), strict=True):
        assert old.encode() in data
        data = data.replace(old.encode(), new.encode())
    journal.write_bytes(data)
    with pytest.raises(Refusal, match="the key of another epoch"):
        desk.destroy(DAY, media=[other])
    assert b"SECRET" in other.read_bytes()


def sha256s(path: Path) -> tuple[str, str]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), str(path)


def test_a_copy_that_is_found_later_is_destroyed_and_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    media = copied(desk, DAY)
    stopped(desk, monkeypatch, media[:2], 3)
    with pytest.raises(Refusal, match="the key of another epoch"):
        desk.destroy(DAY, media=[*media, desk.media / f"{NEXT_DAY}.txt"])
    assert desk.destroy(DAY, media=media) == 0
    assert not any(path.exists() for path in media)
    assert certificate.read(certificate.path_of(desk.certificates, DAY), None).copies == 2


def test_a_destruction_that_no_key_is_left_to_prevent_needs_no_check(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that came to the copy meanwhile keeps a key that can still open it, and no other."""
    media = sorted(desk.keys_of(DAY), key=lambda path: "index" in path.name)
    stopped(desk, monkeypatch, media, 1)
    call = desk.call(DAY, pending=True)
    with pytest.raises(Refusal, match="until it is re-wrapped"):
        desk.destroy(DAY, media=media)
    call.rename(desk.folder / "away")
    stopped(desk, monkeypatch, media, 3)
    (desk.folder / "away").rename(call)
    assert [path.exists() for path in media] == [False, True]
    assert desk.destroy(DAY, media=media) == 0


def test_officers_of_a_group_who_are_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk.make(tmp_path, 3, "--officers", 3, "--needed", 2)
    media = desk.officers_keys(DAY, 1, 3)
    with monkeypatch.context() as patch:
        full_at(patch, f".{DAY}.officer-1-3.destroying.json.new", 5)
        with pytest.raises(BadInput, match="No space left"):
            desk.destroy(DAY, media=media)
    assert sum(path.exists() for path in media) == 2
    assert certificate.named_gone(desk.certificates, DAY, 3) == set()
    assert desk.destroy(DAY, media=desk.officers_keys(DAY, 2)) == 0, "another officer's, meanwhile"
    assert desk.destroy(DAY, media=media) == 0
    found = certificate.read(certificate.path_of(desk.certificates, DAY, [1, 3]), None)
    assert (found.officers, len(found.files)) == ([1, 3], 4)
    assert callfolder.read(certificate.path_of(desk.certificates, DAY, [2]), 1 << 20)


@pytest.mark.parametrize("other", [DAY, NEXT_DAY])
def test_a_second_run_at_the_same_time_is_refused_and_changes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Without the lock both find no journal, and the second one's says of a destroyed file that it is whole."""
    refused: list[str] = []

    def second(_: int, path: Path) -> None:
        if path.suffix == ".txt" and not refused:
            before = {each: each.read_bytes() for each in [*begun(desk), *desk.keys_of(other)]}
            refused.append("")
            with pytest.raises(BadInput, match="another `linetap epoch destroy` is at work") as error:
                desk.destroy(other, at=LATE)
            refused[0] = str(error.value)
            assert {each: each.read_bytes() for each in before} == before

    on_sync(monkeypatch, second)
    assert desk.destroy(DAY, at=LATE) == 0
    assert str(desk.certificates) in refused[0]
    assert not begun(desk)
    assert certificate.path_of(desk.certificates, DAY).exists()
    if other != DAY:
        assert desk.destroy(other, at=LATE) == 0
