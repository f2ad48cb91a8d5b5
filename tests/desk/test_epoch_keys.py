# SPDX-License-Identifier: Apache-2.0
"""The keys of many days: on sheets that reach no disk, or on one medium on request; and their list."""

from __future__ import annotations

import errno
import os
import re
import resource
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from epoch_desk import DAY, Desk
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.sealing.keylist import KeyList
from linetap_desk.ceremony import keygen
from sealing_rig import Rig, run

WORDS = ["keygen", "epochs", "--from", "2028-02-28", "--days", "3"]


def linetap(folder: Path, *words: object, out: object = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "linetap", *map(str, words)]
    return subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.PIPE, timeout=120, check=False)  # type: ignore[call-overload,no-any-return]


def read(folder: Path, name: str = "keylist.json") -> KeyList:
    return keylist.sound((folder / name).read_bytes())


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    path = tmp_path / "authority.key"
    path.with_suffix(".pub").write_bytes(linetap(tmp_path, "keygen", "authority", "-o", path).stdout)
    return path


def test_a_sheet_for_each_day_and_copy_and_no_key_on_the_disk(tmp_path: Path, authority: Path) -> None:
    done = linetap(tmp_path, *WORDS, "--authority", authority)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert text.endswith("\f")
    sheets = text.split("\f")[:-1]
    epochs = ["2028-02-28", "2028-02-29", "2028-03-01", "overflow-2"]
    heads = [sheet.splitlines()[0] for sheet in sheets]
    assert heads == [f"linetap  EPOCH {name}    COPY {copy} OF 2" for copy in (1, 2) for name in epochs]
    assert all(f"사본 {copy}/2" in sheet for copy in (1, 2) for sheet in sheets[4 * (copy - 1) : 4 * copy])
    assert all(len(sheet.splitlines()) == 60 for sheet in sheets)
    assert all(len(line) <= 80 for line in text.splitlines())
    secrets = [re.findall("AGE-SECRET-KEY-1[0-9A-Z]+", sheet) for sheet in sheets]
    assert [len(each) for each in secrets] == [2, 2, 2, 1] * 2
    assert secrets[:4] == secrets[4:]
    made = read(tmp_path)
    public = [[epoch.recipient, epoch.index] for epoch in made.epochs] + [[made.overflow[0].recipient]]
    assert [[keys.decode_secret(secret).recipient for secret in each] for each in secrets[:4]] == public
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"AGE-SECRET-KEY" in path.read_bytes()]


def test_the_signature_is_what_ssh_keygen_makes(tmp_path: Path, authority: Path) -> None:
    assert linetap(tmp_path, *WORDS, "--authority", authority).returncode == 0
    path = tmp_path / "keylist.json"
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(authority), "-n", "linetap-keylist"]
    assert run(command, stdin=path.read_bytes()).stdout == path.with_name("keylist.json.sig").read_bytes()
    line = authority.with_suffix(".pub").read_text()
    keylist.read(path.read_bytes(), path.with_name("keylist.json.sig").read_bytes(), roles.public_key(line))
    assert b"\n" not in path.read_bytes()


def test_left_to_ssh_keygen_it_says_how(tmp_path: Path, authority: Path) -> None:
    said = linetap(tmp_path, *WORDS).stderr.decode()
    assert "ssh-keygen -Y sign -f KEY -n linetap-keylist keylist.json" in said
    assert "keylist.json: 3 days; the longest class of 60 days and 400 more would be 460" in said
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(authority), "-n", "linetap-keylist", "keylist.json"]
    assert run(command, cwd=tmp_path).returncode == 0
    key = roles.public_key(authority.with_suffix(".pub").read_text())
    keylist.read((tmp_path / "keylist.json").read_bytes(), (tmp_path / "keylist.json.sig").read_bytes(), key)


def test_standard_output_to_a_file_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    with (tmp_path / "keys.txt").open("wb") as file:
        done = linetap(tmp_path, *WORDS, out=file)
    assert done.returncode == 2
    assert b"private keys go to a printer" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["keys.txt"]
    assert (tmp_path / "keys.txt").read_bytes() == b""


@pytest.mark.parametrize(
    ("out", "words"),
    [("> /dev/null", "is /dev/null: private"), (">&-", "no standard output"), ("> /dev/full", "space")],
)
@pytest.mark.parametrize("command", ["epochs --from 2026-12-01 --days 2", "custodian --group 2/3 --sheets -o group"])
def test_keys_that_reach_no_paper_leave_nothing_public(tmp_path: Path, command: str, out: str, words: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m linetap keygen {command} {out}"], cwd=tmp_path, capture_output=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert list(tmp_path.iterdir()) == []


def test_a_printer_that_fails_leaves_no_list(tmp_path: Path) -> None:
    """More than a pipe holds, without a reader."""
    command = f"{sys.executable} -m linetap keygen epochs --from {DAY} --days 100 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == 141
    assert list(tmp_path.iterdir()) == []


def test_all_on_one_medium_where_that_was_asked_for(tmp_path: Path) -> None:
    desk = Desk.make(tmp_path)
    names = sorted(path.name for path in desk.media.iterdir())
    days = ["2026-12-01", "2026-12-02", "2026-12-03"]
    assert names == sorted([*(f"{day}{kind}.txt" for day in days for kind in ("", ".index")), "overflow-2.txt"])
    made = read(tmp_path)
    for name, recipient in [(epoch.day, epoch.recipient) for epoch in made.epochs] + [
        (f"{epoch.day}.index", epoch.index) for epoch in made.epochs
    ]:
        path = desk.media / f"{name}.txt"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert run(["age-keygen", "-y", str(path)]).stdout.decode().strip() == recipient
        assert run(["age", "-d", "-i", str(path), str(tmp_path / "canary" / f"{name}.age")]).stdout.endswith(b"\n")
    assert stat.S_IMODE(desk.media.stat().st_mode) == 0o700


def test_a_list_is_extended_and_its_custodians_rotate(tmp_path: Path) -> None:
    desk = Desk.make(tmp_path)
    new = keys.new_identity().recipient
    words = ["--extend", desk.key_list, "--days", 2, "--custodian", new, "--all-on-one-medium", desk.media]
    assert desk.run(keygen, "epochs", *words, "-o", tmp_path / "second.json") == 0
    old, made = read(tmp_path), read(tmp_path, "second.json")
    keylist.require_follows(made, old)
    assert (made.version, made.custodians, made.overflow) == (2, [new], old.overflow)
    assert made.epochs[:3] == old.epochs
    assert made.epochs[-1].day == "2026-12-05"
    assert msgspec.json.decode((tmp_path / "second.json").read_bytes())["made_at"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--days", 5], "--from is missing"),
        (["--from", "9999-12-30", "--days", 5], "after the year 9999"),
        (["--from", "2027-01-01", "--days", 0], "1 to 20000 expected"),
        (["--from", "2027-01-01", "--days", 99_999], "1 to 20000 expected"),
        (["--from", "2027-01-01", "--days", 1, "--overflow", 3, "--zone", "Asia/Seul"], "Seul"),
        (["--from", "2027-01-01", "--days", 1, "--overflow", 3, "--custodian", "age1x"], "custodian 1"),
        (["--from", "2027-01-01", "--days", 1], "the keys of overflow-2 were made already"),
        (["--from", "2027-01-01", "--days", 1, "--authority", "/absent"], "No such file"),
        (["--from", "2027-01-01", "--days", 1, "--extend", "/absent"], "a key list expected"),
        (["--from", DAY, "--days", 1], "the keys of 2026-12-01 were made already"),
        (["--from", "2027-01-01", "--days", 1, "-o", "keylist.json"], "exists and is not overwritten"),
    ],
)
def test_what_cannot_be_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[object], complaint: str
) -> None:
    desk = Desk.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=complaint):
        desk.run(keygen, "epochs", "-o", "other.json", "--all-on-one-medium", desk.media, *words)
    assert sorted(tmp_path.rglob("*")) == before


def test_days_that_leave_a_hole_are_no_extension(tmp_path: Path) -> None:
    desk = Desk.make(tmp_path)
    words = ["--extend", desk.key_list, "--from", "2026-12-05", "--days", 1, "--all-on-one-medium", desk.media]
    with pytest.raises(BadInput, match="2026-12-03 is followed by 2026-12-05"):
        desk.run(keygen, "epochs", *words, "-o", tmp_path / "second.json")


def test_a_key_with_a_passphrase_is_left_to_ssh_keygen(tmp_path: Path) -> None:
    path = tmp_path / "locked"
    assert run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(path)]).returncode == 0
    done = linetap(tmp_path, *WORDS, "--authority", path)
    assert done.returncode == 2
    assert b"has a passphrase" in done.stderr
    assert done.stdout == b""


def test_a_full_medium_gets_no_part_of_a_key(tmp_path: Path) -> None:
    """The rest of a write fails once more when the file is closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(BadInput, match=r"key\.txt: File too large"):
            privatefile.write(tmp_path / "key.txt", bytes(189))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["canary/2026-12-03.age", "keylist.json.sig", "keylist.json"])
def test_a_list_that_does_not_fit_on_the_disk_can_be_made_again(
    tmp_path: Path, authority: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    sync = os.fsync

    def full(fd: int) -> None:
        if os.readlink(f"/proc/self/fd/{fd}") == str(tmp_path / name):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(fd)

    desk = Desk(tmp_path, Rig.make(tmp_path))
    words = ["--from", DAY, "--days", 3, "--authority", authority, "-o", desk.key_list, "--all-on-one-medium"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BadInput, match="No space left"):
            desk.run(keygen, "epochs", *words, tmp_path / "first")
    assert not list((tmp_path / "canary").iterdir())
    assert not list(tmp_path.glob("keylist.json*"))
    assert desk.run(keygen, "epochs", *words, tmp_path / "second") == 0
    assert len(list((tmp_path / "canary").iterdir())) == 7


def test_lists_are_merged_once_the_missing_canary_is_there(tmp_path: Path) -> None:
    lists = []
    for officer in (1, 2):
        home = tmp_path / f"officer-{officer}"
        home.mkdir()
        desk = Desk.make(home)
        lists.append(desk.key_list)
    missing = desk.folder / "canary" / "2026-12-03.index.age"
    missing.rename(tmp_path / "away")
    words = ["epochs", "--merge", *lists, "--needed", 2, "-o", tmp_path / "keylist.json"]
    with pytest.raises(BadInput, match=r"2026-12-03\.index\.age: No such file"):
        desk.run(keygen, *words)
    (tmp_path / "away").rename(missing)
    assert desk.run(keygen, *words) == 0
    assert len(list((tmp_path / "canary").iterdir())) == 14
