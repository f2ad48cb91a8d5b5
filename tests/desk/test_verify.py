# SPDX-License-Identifier: Apache-2.0
"""Every change of a sealed call is detected and named."""

from __future__ import annotations

import argparse
import errno
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linetap.recorder.vault.callfolder.folder import seal_without_audio
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import ActualTime, Audio, CallRecord, Gap, NoticeProof, NoticeRecord, Part, UnitKeyRecord
from linetap_desk.commands import verify
from linetap_desk.proofs import callfolder, verifycall
from sealing_rig import CALL_ID, UNIT, Rig, noise, record
from unreadable import Unreadable


def codes(rig: Rig, path: Path) -> list[str]:
    return [p.code for p in verifycall.verify_call(path, callfolder.load_signers(rig.signers_file)).problems]


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    verify.add_arguments(parser)
    return verify.run(parser.parse_args([str(a) for a in arguments]))


def reseal(rig: Rig, path: Path, change: Callable[[CallRecord], None]) -> None:
    """Signs a changed record with the unit's own key: only its contradictions can reveal it."""
    whole = msgspec.json.decode((path / "record.json").read_bytes(), type=CallRecord)
    change(whole)
    data = sealed.public_json(whole)
    (path / "record.json").write_bytes(data)
    (path / "record.json.sig").write_text(rig.sign(data))


def test_call_as_it_was_sealed(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    path = rig.sealed_call(70_000)
    assert run(path, "--signers", rig.signers_file) == 0
    assert capsys.readouterr().out == f"ok   {CALL_ID}\n?    witness: not witnessed (no --policy)\n1 checked, 1 good\n"


def test_record_that_boasts_of_a_tpm(rig: Rig) -> None:
    path = rig.sealed_call(1000)
    reseal(rig, path, lambda record: setattr(record, "unit_key", UnitKeyRecord("file")))
    assert codes(rig, path) == []
    reseal(rig, path, lambda record: setattr(record, "unit_key", UnitKeyRecord("tpm")))
    assert codes(rig, path) == ["unit_key"]


def test_call_named_by_a_relative_path(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(rig.sealed_call(1000))
    assert run(".", "--signers", rig.signers_file) == 0
    assert run(f"../{CALL_ID}/../{CALL_ID}", "--signers", rig.signers_file) == 0


def test_without_signers_it_is_consistent_and_the_answer_is_no(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(rig.sealed_call(1000)) == 1
    assert "consistent, signer not trusted" in capsys.readouterr().out


def test_every_byte_of_every_file_matters(rig: Rig) -> None:
    path = rig.sealed_call(200)
    signers = callfolder.load_signers(rig.signers_file)
    for file in sorted(path.iterdir()):
        good = file.read_bytes()
        for at in range(len(good)):
            file.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
            assert verifycall.verify_call(path, signers).problems, f"byte {at} of {file.name}"
        for changed in (good[:-1], good + b"\n", b""):
            file.write_bytes(changed)
            assert verifycall.verify_call(path, signers).problems, f"length of {file.name}"
        file.write_bytes(good)
    assert verifycall.verify_call(path, signers).good


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("audio.001.age", "missing_file"),
        ("meta.age", "missing_file"),
        ("key.age", "missing_file"),
        ("record.json", "not_sealed"),
        ("record.json.sig", "file_unreadable"),
    ],
)
def test_removed_file(rig: Rig, name: str, code: str) -> None:
    path = rig.sealed_call(1000)
    (path / name).unlink()
    assert codes(rig, path) == [code]


def test_files_swapped_between_calls_and_within_one(rig: Rig) -> None:
    first, second = rig.sealed_call(1000), rig.sealed_call(1000, "20261124T225600.123Z-L04")
    shutil.copy(second / "audio.001.age", first / "audio.001.age")
    assert codes(rig, first) == ["wrong_hash"]
    for name in ("record.json", "record.json.sig"):
        shutil.copy(first / name, second / name)
    assert codes(rig, second)[0] == "wrong_folder"
    third = rig.sealed_call(1000, "20261124T225600.123Z-L05")
    data = (third / "meta.age").read_bytes()
    shutil.copy(third / "key.age", third / "meta.age")
    (third / "key.age").write_bytes(data)
    assert codes(rig, third) == ["wrong_hash", "wrong_hash"]


@pytest.mark.parametrize("name", ["audio.002.age", "note.txt", ".record.json.tmp"])
def test_added_file(rig: Rig, name: str) -> None:
    path = rig.sealed_call(1000)
    (path / name).write_bytes(b"x")
    assert codes(rig, path) == ["extra_file"]


def test_links_folders_and_pipes_are_not_files(rig: Rig) -> None:
    path = rig.sealed_call(1000)
    (path / "key.age").rename(rig.root / "key.age")
    (path / "key.age").symlink_to(rig.root / "key.age")
    assert codes(rig, path) == ["not_a_file"]
    (path / "key.age").unlink()
    os.mkfifo(path / "key.age")
    assert codes(rig, path) == ["not_a_file"]


def test_file_that_cannot_be_that_large_is_not_read(rig: Rig) -> None:
    path = rig.sealed_call(1000)
    with (path / "record.json.sig").open("r+b") as file:
        file.truncate(1 << 40)
    assert codes(rig, path) == ["file_too_large"]
    with (path / "record.json").open("r+b") as file:
        file.truncate(1 << 40)
    assert codes(rig, path) == ["file_too_large"]


@pytest.mark.parametrize(
    "name", ["audio.001.age", "key.age", "record.json", "record.json.sig", "head.json", "head.json.sig", "tree.bin"]
)
def test_file_that_the_medium_cannot_read(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It is named, and everything else is judged."""
    call, other = rig.sealed_call(100), rig.sealed_call(100, "20261124T225700.000Z-L03")
    rig.publish()
    Unreadable(monkeypatch, call / name if (call / name).exists() else rig.vault / "log" / name)
    assert run(rig.vault, "--signers", rig.signers_file) == 1
    out = capsys.readouterr().out
    assert f"ok   {other.name}\n" in out
    assert f"{name}: Input/output error" in out or f"{name} cannot be read: Input/output error" in out
    assert "does not fit" not in out


def test_part_before_an_unreadable_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that meets a bad block gives what stands before it (read(2)), and only the next one fails."""
    path = tmp_path / "record.json"
    path.write_bytes(b"x" * 9000)

    def opened(fd: int, *_: object, **named: bool) -> io.BufferedReader:
        return io.BufferedReader(BadBlock(fd, closefd=named["closefd"]))

    monkeypatch.setattr(os, "fdopen", opened)
    for of in (callfolder.digest, lambda path: callfolder.read(path, 10_000)):
        with pytest.raises(callfolder.Damaged, match="Input/output error"):
            of(path)
    assert callfolder.read_head(path, 4) == b"xxxx"


class BadBlock(io.FileIO):
    def readinto(self, buffer: Any) -> int:
        if self.tell() >= 4096:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().readinto(memoryview(buffer)[: 4096 - self.tell()])


def test_signed_again_with_a_strangers_key(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    path = rig.sealed_call(1000)
    data = (path / "record.json").read_bytes().replace(b'"line":3', b'"line":4')
    (path / "record.json").write_bytes(data)
    (path / "record.json.sig").write_text(sshsig.sign(data, keys.new_unit_key(), namespaces.RECORD))
    assert run(path, "--signers", rig.signers_file) == 1
    assert "[signer_not_trusted]" in capsys.readouterr().out
    assert run(path) == 1


def test_unit_may_not_speak_for_another(rig: Rig) -> None:
    other = keys.new_unit_key()
    with rig.signers_file.open("a") as file:
        file.write(f"closet-4f {keys.public_line(other.public_key())}\n")
    path = rig.sealed_call(1000)
    data = (path / "record.json").read_bytes()
    (path / "record.json.sig").write_text(sshsig.sign(data, other, namespaces.RECORD))
    assert codes(rig, path) == ["signer_not_trusted"]


def test_key_counts_at_the_time_of_the_call(rig: Rig) -> None:
    path = rig.sealed_call(1000)
    line = keys.public_line(rig.unit_key.public_key())
    rig.signers_file.write_text(f'{UNIT} valid-before="20261125Z" {line}\n')
    assert codes(rig, path) == []
    rig.signers_file.write_text(f'{UNIT} valid-before="20261124Z" {line}\n')
    assert codes(rig, path) == ["signer_expired"]


def test_signature_of_another_kind_of_message(rig: Rig) -> None:
    path = rig.sealed_call(1000)
    data = (path / "record.json").read_bytes()
    (path / "record.json.sig").write_text(sshsig.sign(data, rig.unit_key, "linetap-event"))
    assert codes(rig, path) == ["signature_namespace"]


def audio_of(whole: CallRecord) -> Audio:
    assert whole.audio is not None
    return whole.audio


def other_call(whole: CallRecord) -> None:
    whole.call_id = "20261124T225600.123Z-L07"


def other_unit(whole: CallRecord) -> None:
    whole.unit = "closet-9f"


def no_call(whole: CallRecord) -> None:
    whole.call_id = "hello"


def more_samples(whole: CallRecord) -> None:
    audio_of(whole).samples += 1


def longer_part(whole: CallRecord) -> None:
    audio_of(whole).parts = [Part("audio.001.age", 0, 70_001)]
    audio_of(whole).samples = 70_001


def hole_between_parts(whole: CallRecord) -> None:
    audio_of(whole).parts = [Part("audio.001.age", 5, 69_995)]


def path_outside(whole: CallRecord) -> None:
    whole.files["../../../../../etc/passwd"] = "0" * 64


def part_not_signed_for(whole: CallRecord) -> None:
    del whole.files["audio.001.age"]


def key_not_signed_for(whole: CallRecord) -> None:
    del whole.files["key.age"]


def shorter_call(whole: CallRecord) -> None:
    whole.duration_s = 3.0


def gap_outside(whole: CallRecord) -> None:
    audio_of(whole).gaps = [Gap(100.0, 5.0, "overrun")]


def unknown_codec(whole: CallRecord) -> None:
    audio_of(whole).codec = "g729"


def other_codec(whole: CallRecord) -> None:
    audio_of(whole).codec = "opus"


def no_counted_time(whole: CallRecord) -> None:
    whole.actual = ActualTime(began_at="before", ended_at="2026-11-24T22:57:00Z", uncertainty_s=None)


def no_audio(whole: CallRecord) -> None:
    whole.audio, whole.files = None, {}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (other_call, "wrong_folder"),
        (other_unit, "signer_not_trusted"),
        (no_call, "bad_call_id"),
        (no_counted_time, "actual_time"),
        (more_samples, "samples"),
        (longer_part, "part_size"),
        (hole_between_parts, "parts"),
        (path_outside, "unknown_file"),
        (part_not_signed_for, "not_signed_for"),
        (key_not_signed_for, "not_signed_for"),
        (shorter_call, "duration"),
        (gap_outside, "gaps"),
        (unknown_codec, "codec"),
        (other_codec, "part_size"),
        (no_audio, "audio_missing"),
    ],
)
def test_record_that_contradicts_itself_or_its_files(rig: Rig, change: Callable[[CallRecord], None], code: str) -> None:
    path = rig.sealed_call(70_000)
    reseal(rig, path, change)
    assert code in codes(rig, path)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "record_unreadable"),
        (b"[]", "record_unreadable"),
        (b"\xff", "record_unreadable"),
        (b"[" * 100_000, "record_unreadable"),
        (b'{"call_id":"x"}', "suite_unknown"),
        (b'{"call_id":"x","suite":"linetap-1"}', "record_unreadable"),
    ],
)
def test_signed_bytes_that_are_no_record(rig: Rig, data: bytes, code: str) -> None:
    path = rig.sealed_call(1000)
    (path / "record.json").write_bytes(data)
    (path / "record.json.sig").write_text(rig.sign(data))
    assert codes(rig, path) == [code]


def test_personal_data_in_the_public_record(rig: Rig) -> None:
    path = rig.sealed_call(1000)
    data = (path / "record.json").read_bytes().replace(b'"direction"', b'"dialled":"0212345678","direction"')
    (path / "record.json").write_bytes(data)
    (path / "record.json.sig").write_text(rig.sign(data))
    assert codes(rig, path) == ["personal_data"]


def test_fields_of_a_later_version_are_no_defect(rig: Rig) -> None:
    path = rig.sealed_call(1000)
    data = (path / "record.json").read_bytes().replace(b'"direction"', b'"colour":"red","direction"')
    (path / "record.json").write_bytes(data)
    (path / "record.json.sig").write_text(rig.sign(data))
    assert codes(rig, path) == []


def test_cut_parts_are_good_when_the_record_knows_them(rig: Rig) -> None:
    folder = rig.create()
    folder.write(noise(150_000))
    folder = rig.resume(folder)
    folder.write(noise(150_000)[folder.samples :])
    folder.seal(record(150_000), rig.sign)
    assert len(folder.parts) == 2
    assert codes(rig, folder.path) == []


def test_vault(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    rig.sealed_call(1000)
    missed = record(0, "20261125T000000.000Z-L01-2")
    missed.disposition = "missed"
    seal_without_audio(rig.vault, missed, rig.sign)
    rig.publish()
    for name in ("journal", "holds", "outbox"):
        (rig.vault / name).mkdir()
    (rig.vault / "calls.jsonl").write_text("{}\n")
    assert run(rig.vault, "--signers", rig.signers_file) == 0
    assert "3 checked, 3 good" in capsys.readouterr().out
    rig.create("20261125T000001.000Z-L01")
    (rig.vault / "2026/11/25/note.txt").write_text("x")
    (rig.vault / "2026/11/note.txt").write_text("x")
    (rig.vault / "2026/11/26").mkdir()
    shutil.copytree(rig.vault / "2026/11/24" / CALL_ID, rig.vault / "2026/11/26" / CALL_ID)
    assert run(rig.vault, "--signers", rig.signers_file) == 1
    out = capsys.readouterr().out
    for code, times in (("not_sealed", 1), ("stray", 2), ("wrong_day", 1)):
        assert out.count(f"[{code}]") == times
    assert "7 checked, 3 good" in out


@pytest.mark.parametrize("make", ["", "file", "folder"])
def test_path_that_is_neither(rig: Rig, make: str) -> None:
    path = rig.root / "there"
    if make == "file":
        path.write_text("x")
    if make == "folder":
        path.mkdir()
    with pytest.raises(BadInput, match="expected"):
        run(path, "--signers", rig.signers_file)


@pytest.mark.parametrize(("text", "says"), [(None, "No such file"), ("hello\n", "line 1"), (b"\xff\xff", "not text")])
def test_signers_file_that_cannot_be_used(rig: Rig, text: str | bytes | None, says: str) -> None:
    path = rig.root / "signers"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadInput, match=f"signers: .*{says}"):
        run(rig.sealed_call(10), "--signers", path)


def test_header_of_a_part_is_looked_at(rig: Rig) -> None:
    path = rig.sealed_call(1000)
    junk = b"x" * (path / "audio.001.age").stat().st_size
    (path / "audio.001.age").write_bytes(junk)

    def rehash(whole: CallRecord) -> None:
        whole.files["audio.001.age"] = callfolder.digest(path / "audio.001.age").sha256

    reseal(rig, path, rehash)
    assert codes(rig, path) == [age.NotAge.code]


@pytest.mark.parametrize("proof", ["full", "partial", "early", "absent"])
def test_a_notice_before_the_answer_is_never_called_heard(
    rig: Rig, capsys: pytest.CaptureFixture[str], proof: NoticeProof
) -> None:
    def announced_early(whole: CallRecord) -> None:
        notice = NoticeRecord(id="ko", started_at="2026-11-24T22:56:05.123Z", proof=proof, began_after_answer=False)
        whole.notice, whole.notices = notice, [notice]

    path = rig.sealed_call(1000)
    reseal(rig, path, announced_early)
    assert codes(rig, path) == (["notice_contradicts"] if proof in ("full", "partial") else [])
    run(path, "--signers", rig.signers_file)
    assert "2026-11-24T22:56:05.123Z was played before anybody was known to have answered" in capsys.readouterr().out
