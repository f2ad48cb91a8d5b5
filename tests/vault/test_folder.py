# SPDX-License-Identifier: Apache-2.0
"""The folder of one call, written like the recorder's and opened with stock tools."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linetap.recorder.vault.callfolder.folder import CallFolder, seal_without_audio
from linetap_core.codecs import mulaw
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallRecord, Part
from sealing_rig import CALL_ID, UNIT, Rig, noise, record, run

HEADER = len(mulaw.HEADER)
CHUNK = age.CHUNK_BYTES
WRITER = Path(__file__).with_name("killed_writer.py")
DEADLINE_S = 120


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def tear(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def write_all(folder: CallFolder, audio: bytes, tick: int = 2000) -> None:
    """Writes the rest of the audio, in ticks of 250 ms."""
    for at in range(folder.samples, len(audio), tick):
        folder.write(audio[at : at + tick])


# --- an undisturbed call --------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, CHUNK - HEADER - 1, CHUNK - HEADER, CHUNK - HEADER + 1, 3 * CHUNK + 5])
def test_recipe_of_every_user_opens_a_sealed_call(rig: Rig, samples: int) -> None:
    audio = noise(samples)
    folder = rig.create()
    write_all(folder, audio)
    folder.seal(record(samples), rig.sign)
    assert folder.path == rig.vault / "2026/11/24" / CALL_ID
    assert names(folder.path) == ["audio.001.age", "key.age", "meta.age", "record.json", "record.json.sig"]
    assert rig.joined(folder.path) == mulaw.HEADER + audio
    assert folder.parts == [Part("audio.001.age", 0, samples)]


def test_joined_stream_is_played_by_ffmpeg_and_sox(rig: Rig) -> None:
    path = rig.sealed_call(200_000)
    stream = rig.joined(path)
    pcm = run(["ffmpeg", "-v", "error", "-i", "-", "-f", "mulaw", "-"], stdin=stream).stdout
    assert len(pcm) == 200_000
    assert len(run(["sox", "-t", "au", "-", "-t", "ul", "-"], stdin=stream).stdout) == 200_000


def test_one_key_alone_opens_nothing(rig: Rig) -> None:
    key_age = (rig.sealed_call(1000) / "key.age").read_bytes()
    for custodian in rig.custodian_files:
        assert run(["age", "-d", "-i", str(custodian)], stdin=key_age).returncode == 1
    inner = run(["age", "-d", "-i", str(rig.epoch_file)], stdin=key_age).stdout
    assert run(["age", "-d", "-i", str(rig.epoch_file)], stdin=inner).returncode == 1
    for custodian in rig.custodian_files:
        assert run(["age", "-d", "-i", str(custodian)], stdin=inner).stdout.startswith(b"AGE-SECRET-KEY-1")


def test_key_is_on_disk_before_any_audio_and_nothing_secret_is(rig: Rig) -> None:
    folder = rig.create()
    assert names(folder.path) == ["key.age"]
    folder.write(noise(100_000))
    assert names(folder.path) == ["audio.001.age", "key.age"]
    assert folder.inner == run(["age", "-d", "-i", str(rig.epoch_file), str(folder.path / "key.age")]).stdout
    for entry in folder.path.iterdir():
        assert b"AGE-SECRET-KEY" not in entry.read_bytes()
    assert not [name for name in vars(folder) if "SECRET" in repr(getattr(folder, name))]


def test_record_json_is_signed_names_every_file_and_nobody(rig: Rig) -> None:
    path = rig.sealed_call(100_000)
    data = (path / "record.json").read_bytes()
    public = json.loads(data)
    assert data == msgspec.json.encode(public, order="deterministic")
    assert not {"dialled", "caller", "smdr"} & set(public)
    for personal in ("0212345678", "01012345678", "홍길동", "raw line"):
        assert personal.encode() not in data
    done = run(["sha256sum", "audio.001.age", "key.age", "meta.age"], cwd=path).stdout.decode()
    assert {line.split()[1]: line.split()[0] for line in done.splitlines()} == public["files"]
    command = ["ssh-keygen", "-Y", "verify", "-f", str(rig.signers_file), "-I", UNIT, "-n", "linetap-record"]
    assert run([*command, "-s", str(path / "record.json.sig")], stdin=data).returncode == 0


def test_meta_holds_the_whole_record(rig: Rig) -> None:
    path = rig.sealed_call(100_000)
    rig.joined(path)  # leaves call.key
    meta = run(["age", "-d", "-i", str(rig.root / "call.key"), str(path / "meta.age")]).stdout
    whole, wanted = msgspec.json.decode(meta, type=CallRecord), record(100_000)
    assert (whole.caller, whole.dialled, whole.smdr) == (wanted.caller, wanted.dialled, wanted.smdr)
    public = json.loads((path / "record.json").read_bytes())
    assert public["audio"] == msgspec.to_builtins(whole.audio)
    assert public["audio"]["parts"] == [{"file": "audio.001.age", "first": 0, "samples": 100_000}]


def test_call_without_audio_is_a_record_alone(rig: Rig) -> None:
    missed = record(0)
    missed.disposition = "missed"
    path = seal_without_audio(rig.vault, missed, rig.sign)
    assert names(path) == ["record.json", "record.json.sig"]
    public = json.loads((path / "record.json").read_bytes())
    assert (public["files"], public["audio"]) == ({}, None)
    assert "caller" not in public
    before = (path / "record.json").read_bytes()
    (path / "record.json.sig").unlink()
    seal_without_audio(rig.vault, missed, rig.sign)
    assert (path / "record.json").read_bytes() == before
    sshsig.check(before, (path / "record.json.sig").read_bytes(), namespaces.RECORD)


# --- restarts ---------------------------------------------------------------------------------------------------


def test_created_again_when_killed_before_the_first_checkpoint(rig: Rig) -> None:
    lost = rig.create()
    (lost.path / ".record.json.tmp").write_bytes(b"half")
    folder = rig.create()
    assert folder.recipient != lost.recipient
    folder.write(noise(1000))
    folder.seal(record(1000), rig.sign)
    assert rig.joined(folder.path) == mulaw.HEADER + noise(1000)


def test_never_created_over_audio_or_a_record(rig: Rig) -> None:
    folder = rig.create()
    folder.write(noise(10))
    with pytest.raises(Refusal, match=r"audio\.001\.age"):
        rig.create()
    missed = record(0, "20261124T225600.123Z-L04")
    path = seal_without_audio(rig.vault, missed, rig.sign)
    with pytest.raises(Refusal, match=r"record\.json"):
        rig.create(path.name)
    with pytest.raises(Refusal):
        seal_without_audio(rig.vault, record(0), rig.sign)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 150_000), st.integers(0, 80_000)), min_size=1, max_size=5), st.data())
def test_killed_anywhere_and_resumed_joins_to_what_was_said(
    tmp_path_factory: pytest.TempPathFactory, kills: list[tuple[int, int]], data: st.DataObject
) -> None:
    """A kill leaves any prefix of the newest file after its last synced chunk, or unfinished bytes."""
    rig = Rig.make(tmp_path_factory.mktemp("kill"))
    audio = noise(sum(written for written, _ in kills) + 70_000)
    folder = rig.create()
    for written, garbage in kills:
        folder.write(audio[folder.samples : folder.samples + written])
        kept = folder.durable_samples
        newest = sorted(folder.path.glob("audio.*.age"))[-1:]
        for path in newest:
            if any(part.file == path.name for part in folder.parts):
                with path.open("ab") as file:
                    file.write(noise(garbage % age.SEALED_CHUNK_BYTES))
            else:
                tear(path, data.draw(st.integers(0, path.stat().st_size)))
        folder = rig.resume(folder)
        assert folder.samples == folder.durable_samples == kept
    write_all(folder, audio)
    folder.seal(record(len(audio)), rig.sign)
    assert rig.joined(folder.path) == mulaw.HEADER + audio
    assert [part.first for part in folder.parts] == [
        sum(part.samples for part in folder.parts[:at]) for at in range(len(folder.parts))
    ]
    assert sum(part.samples for part in folder.parts) == len(audio)


def test_writer_killed_with_sigkill_ten_times_loses_no_sample(rig: Rig) -> None:
    total, budget, seed = 4_000_000, 350_000, random.Random(7)
    folder = rig.create()
    call = [str(rig.vault), CALL_ID, folder.recipient, folder.inner.hex()]
    command = [sys.executable, str(WRITER), *call, str(total), str(budget)]
    for _ in range(10):
        aim = size_on_disk(folder.path) + seed.randrange(1, 200_000)
        with subprocess.Popen(command) as child:
            deadline = time.monotonic() + DEADLINE_S
            while size_on_disk(folder.path) < aim and child.poll() is None:
                if time.monotonic() > deadline:
                    break
            child.kill()
        assert size_on_disk(folder.path) >= aim, "the writer did not get on"
        assert child.returncode == -signal.SIGKILL
    folder = rig.resume(folder)
    assert 0 < folder.samples < total
    audio = noise(total)
    write_all(folder, audio, 100_000)
    folder.seal(record(total), rig.sign)
    assert len(folder.parts) > 5
    assert rig.joined(folder.path) == mulaw.HEADER + audio


def size_on_disk(path: Path) -> int:
    return sum(part.stat().st_size for part in path.glob("audio.*.age"))


def test_every_part_has_a_file_key_of_its_own(rig: Rig) -> None:
    folder = rig.create()
    stanzas = set()
    for _ in range(5):
        folder.write(noise(1000))  # no whole chunk: the number is used again
        stanzas.add((folder.path / "audio.001.age").read_bytes().splitlines()[1])
        folder = rig.resume(folder)
        assert names(folder.path) == ["key.age"]
    assert len(stanzas) == 5


def test_finished_but_not_sealed_goes_on_from_the_last_whole_chunk(rig: Rig) -> None:
    audio = noise(100_000)
    folder = rig.create()
    folder.write(audio)
    folder.finish_audio()
    with pytest.raises(ValueError, match="finished"):
        folder.write(b"x")
    folder = rig.resume(folder)
    assert folder.samples == CHUNK - HEADER
    write_all(folder, audio)
    folder.seal(record(100_000), rig.sign)
    assert rig.joined(folder.path) == mulaw.HEADER + audio


@pytest.mark.parametrize("lost", [["record.json.sig"], ["record.json.sig", "record.json"]])
def test_sealing_goes_on_where_it_was_killed(rig: Rig, lost: list[str]) -> None:
    audio = noise(100_000)
    folder = rig.create()
    folder.write(audio)
    folder.seal(record(100_000), rig.sign)
    before = (folder.path / "record.json").read_bytes()
    for name in lost:
        (folder.path / name).unlink()
    (folder.path / ".meta.age.tmp").write_bytes(b"half")
    again = rig.resume(folder)
    if len(lost) == 1:
        assert (again.samples, again.sealed) == (100_000, False)
    write_all(again, audio)
    again.seal(record(100_000), rig.sign)
    assert again.sealed
    assert ((folder.path / "record.json").read_bytes() == before) == (len(lost) == 1)
    parts = [part.file for part in again.parts]
    assert names(folder.path) == [*parts, "key.age", "meta.age", "record.json", "record.json.sig"]
    assert rig.joined(folder.path) == mulaw.HEADER + audio
    for name, digest in json.loads((folder.path / "record.json").read_bytes())["files"].items():
        assert run(["sha256sum", name], cwd=folder.path).stdout.decode().split()[0] == digest


def test_sealed_twice_changes_nothing(rig: Rig) -> None:
    folder = rig.create()
    folder.write(noise(1000))
    folder.seal(record(1000), rig.sign)
    before = {p.name: p.read_bytes() for p in folder.path.iterdir()}
    folder.seal(record(1000), rig.sign)
    rig.resume(folder).seal(record(1000), rig.sign)
    assert {p.name: p.read_bytes() for p in folder.path.iterdir()} == before


def test_key_that_cannot_sign_leaves_no_record(rig: Rig) -> None:
    def broken(_: bytes) -> str:
        raise BadInput("no key")

    folder = rig.create()
    folder.write(noise(1000))
    with pytest.raises(BadInput, match="no key"):
        folder.seal(record(1000), broken)
    assert not (folder.path / "record.json").exists()
    folder.seal(record(1000), rig.sign)
    assert rig.joined(folder.path) == mulaw.HEADER + noise(1000)


def test_folder_that_cannot_be_continued_gives_the_reason(rig: Rig) -> None:
    folder = rig.create()
    for _ in range(3):
        folder.write(noise(CHUNK * 2))
        folder = rig.resume(folder)
    (folder.path / "audio.002.age").rename(rig.root / "away")
    with pytest.raises(Refusal, match="a part is missing"):
        rig.resume(folder)
    (folder.path / "audio.002.age").write_bytes(b"")
    with pytest.raises(Refusal, match=r"audio\.002\.age is damaged"):
        rig.resume(folder)
    (folder.path / "key.age").unlink()
    with pytest.raises(Refusal, match=r"no key\.age"):
        rig.resume(folder)


@pytest.mark.parametrize("call_id", ["../../etc", "20261332T225600.123Z-L03", "", "20261124T225600.123Z-L03/x"])
def test_call_id_that_is_none_never_becomes_a_path(rig: Rig, call_id: str) -> None:
    with pytest.raises(BadInput, match="not a call id"):
        rig.create(call_id)
    assert names(rig.vault) == []


def test_record_of_another_call_is_refused(rig: Rig) -> None:
    folder = rig.create()
    with pytest.raises(BadInput, match="the record is of call"):
        folder.seal(record(0, "20261124T225600.123Z-L04"), rig.sign)


# --- disk errors --------------------------------------------------------------------------------------------------


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Writes beyond `size` are truncated and then fail with EFBIG: a real disk error at an exact byte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300_000), st.integers(1, 100_000))
def test_disk_error_at_any_byte_keeps_whole_chunks_and_the_call_goes_on(
    tmp_path_factory: pytest.TempPathFactory, limit: int, tick: int
) -> None:
    rig = Rig.make(tmp_path_factory.mktemp("error"))
    audio = noise(330_000)
    folder = rig.create()
    with files_limited_to(limit), pytest.raises(OSError, match="File too large"):
        write_all(folder, audio, tick)
    header = len(age.AgeWriter([folder.recipient]).header)
    chunks = max(0, limit - header) // age.SEALED_CHUNK_BYTES
    assert folder.samples == folder.durable_samples == max(0, chunks * CHUNK - HEADER)
    assert size_on_disk(folder.path) == (header + chunks * age.SEALED_CHUNK_BYTES if chunks else 0)
    write_all(folder, audio, tick)
    folder.seal(record(len(audio)), rig.sign)
    assert rig.joined(folder.path) == mulaw.HEADER + audio
    assert len(folder.parts) == (2 if chunks else 1)


@pytest.mark.parametrize("limit", [0, 100, 400])
def test_disk_error_while_sealing_can_be_made_good(rig: Rig, limit: int) -> None:
    audio = noise(90_000)
    folder = rig.create()
    folder.write(audio)
    folder.finish_audio()
    with files_limited_to(limit), pytest.raises(OSError, match="File too large"):
        folder.seal(record(90_000), rig.sign)
    assert names(folder.path) == ["audio.001.age", "key.age"]
    assert folder.samples == 90_000
    folder.seal(record(90_000), rig.sign)
    assert rig.joined(folder.path) == mulaw.HEADER + audio


def test_disk_error_in_the_last_chunk_asks_for_the_tail_again(rig: Rig) -> None:
    audio = noise(90_000)
    folder = rig.create()
    folder.write(audio)
    with files_limited_to(70_000), pytest.raises(OSError, match="File too large"):
        folder.finish_audio()
    assert folder.samples == CHUNK - HEADER
    write_all(folder, audio)
    folder.seal(record(90_000), rig.sign)
    assert rig.joined(folder.path) == mulaw.HEADER + audio


def test_leftover_that_could_not_be_removed_is_removed_later_unless_it_holds_audio(rig: Rig) -> None:
    folder = rig.create()
    leftover = folder.path / "audio.001.age"
    leftover.write_bytes(age.AgeWriter([folder.recipient]).header + b"torn")
    folder.write(noise(1000))
    other = rig.create("20261124T225600.123Z-L04")
    audio = age.encrypt(noise(100_000), [other.recipient])
    (other.path / "audio.001.age").write_bytes(audio)
    with pytest.raises(FileExistsError):
        other.write(noise(1000))
    assert (other.path / "audio.001.age").read_bytes() == audio
    folder.seal(record(1000), rig.sign)
    assert rig.joined(folder.path) == mulaw.HEADER + noise(1000)


def test_disk_error_before_the_key_is_written_leaves_a_folder_that_can_be_used(rig: Rig) -> None:
    with files_limited_to(100), pytest.raises(OSError, match="File too large"):
        rig.create()
    folder = rig.create()
    assert names(folder.path) == ["key.age"]
