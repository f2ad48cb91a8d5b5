# SPDX-License-Identifier: Apache-2.0
"""Opening with both keys, with the vault officer's half, and all cases that must not open."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import wave
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pyrage
import pytest

import sealing_rig
from broker import until
from linetap.recorder.vault.callfolder.folder import seal_without_audio
from linetap_core.codecs import g711, mulaw
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.records import Audio, CallRecord
from linetap_desk.ceremony import keygen
from linetap_desk.release import open as opening
from linetap_desk.release import unwrap
from sealing_rig import CALL_ID, UNIT, Rig, noise, record


def run(command: ModuleType, *arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    code: int = command.run(parser.parse_args([str(a) for a in arguments]))
    return code


def open_both(rig: Rig, path: Path, name: str = "call.wav") -> dict[str, Any]:
    out = rig.root / name
    identities = ["--identity", rig.epoch_file, "--identity", rig.custodian_files[1]]
    assert run(opening, path, *identities, "--signers", rig.signers_file, "-o", out) == 0
    whole: dict[str, Any] = json.loads(out.with_suffix(".json").read_bytes())
    return whole


def wav_is(path: Path, audio: bytes) -> bool:
    with wave.open(str(path), "rb") as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (8000, 1, 2)
        assert wav.getnframes() == len(audio)
        return wav.readframes(len(audio)) == g711.decode(np.frombuffer(audio, np.uint8)).tobytes()


def test_both_keys_in_one_hand_open_and_it_is_noted(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    whole = open_both(rig, rig.sealed_call(200_000))
    assert wav_is(rig.root / "call.wav", noise(200_000))
    assert whole["unreleased"] is True
    assert "without a release" in capsys.readouterr().err
    assert whole["caller"] == {"number": "01012345678", "name": "홍길동", "by": "caller_id"}
    assert sorted(whole["files"]) == ["audio.001.age", "key.age", "meta.age"]
    for name in ("call.wav", "call.json"):
        assert stat.S_IMODE((rig.root / name).stat().st_mode) == 0o600


def test_vault_officer_and_custodian_one_after_the_other(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    path, inner, out = rig.sealed_call(70_000), rig.root / "inner.age", rig.root / "call.wav"
    assert run(unwrap, path, "--identity", rig.epoch_file, "-o", inner) == 0
    assert stat.S_IMODE(inner.stat().st_mode) == 0o600
    assert b"AGE-SECRET" not in inner.read_bytes()
    custodian = ["--identity", rig.custodian_files[0], "--inner", inner]
    assert run(opening, path, *custodian, "--signers", rig.signers_file, "-o", out) == 0
    assert wav_is(out, noise(70_000))
    assert "unreleased" not in json.loads((rig.root / "call.json").read_bytes())
    assert capsys.readouterr().out == ""


def test_parts_cut_by_restarts_are_joined(rig: Rig) -> None:
    audio = noise(400_000)
    folder = rig.create()
    while folder.samples < len(audio):
        folder.write(audio[folder.samples : folder.samples + 100_000])
        if folder.durable_samples < 300_000:
            folder = rig.resume(folder)
    folder.seal(record(len(audio)), rig.sign)
    assert len(folder.parts) > 3
    rig.joined(folder.path)
    call_key = (rig.root / "call.key").read_text().strip()
    with pytest.raises(pyrage.DecryptError):  # these parts really are cut
        pyrage.decrypt((folder.path / "audio.001.age").read_bytes(), [pyrage.x25519.Identity.from_str(call_key)])
    assert open_both(rig, folder.path)["audio"]["samples"] == len(audio)
    assert wav_is(rig.root / "call.wav", audio)


def test_recording_of_no_sample_is_an_empty_wav(rig: Rig) -> None:
    folder = rig.create()
    folder.seal(record(0), rig.sign)
    open_both(rig, folder.path)
    assert wav_is(rig.root / "call.wav", b"")


@pytest.mark.parametrize("who", ["epoch", "custodian", "stranger"])
def test_one_key_does_not_open(rig: Rig, who: str) -> None:
    stranger = rig.root / "stranger.txt"
    stranger.write_text(keys.identity_file(keys.new_identity(), "now"))
    file = {"epoch": rig.epoch_file, "custodian": rig.custodian_files[0], "stranger": stranger}[who]
    with pytest.raises(Refusal, match="layer does not open: no identity matched"):
        run(
            opening, rig.sealed_call(10), "--identity", file, "--signers", rig.signers_file, "-o", rig.root / "call.wav"
        )
    assert not (rig.root / "call.wav").exists()


def test_custodian_cannot_unwrap(rig: Rig) -> None:
    with pytest.raises(Refusal, match="epoch's layer does not open"):
        run(unwrap, rig.sealed_call(10), "--identity", rig.custodian_files[0], "-o", rig.root / "inner.age")
    assert not (rig.root / "inner.age").exists()


def test_key_age_without_a_custodians_layer_is_refused(rig: Rig) -> None:
    path = rig.sealed_call(10)
    resealed(rig, path, key=age.encrypt(b"AGE-SECRET-KEY-1...", [rig.epoch]))
    with pytest.raises(Refusal, match="no custodians' layer"):
        run(unwrap, path, "--identity", rig.epoch_file, "-o", rig.root / "inner.age")


def test_call_without_a_key_cannot_be_unwrapped(rig: Rig) -> None:
    path = rig.sealed_call(10)
    (path / "key.age").unlink()
    with pytest.raises(Refusal, match=rf"{CALL_ID}: not opened: key\.age is named in the record and missing"):
        run(unwrap, path, "--identity", rig.epoch_file, "-o", rig.root / "inner.age")


def test_damaged_or_strangers_call_is_not_opened(rig: Rig) -> None:
    path = rig.sealed_call(1000)
    data = bytearray((path / "audio.001.age").read_bytes())
    data[-1] ^= 1
    (path / "audio.001.age").write_bytes(data)
    with pytest.raises(Refusal, match=r"not opened: audio\.001\.age is not what was sealed"):
        open_both(rig, path)
    other = rig.sealed_call(1000, "20261124T225600.123Z-L04")
    rig.signers_file.write_text(f"{UNIT} {keys.public_line(keys.new_unit_key().public_key())}\n")
    with pytest.raises(Refusal, match="not opened: the key that signed"):
        open_both(rig, other)


def resealed(rig: Rig, path: Path, **files: bytes) -> None:
    """Replaces the sealed files by others that the unit itself signs."""
    whole = msgspec.json.decode((path / "record.json").read_bytes(), type=CallRecord)
    for stem, data in files.items():
        name = stem.replace("_", ".") + ".age"
        (path / name).write_bytes(data)
        whole.files[name] = hashlib.sha256(data).hexdigest()
    text = sealed.public_json(whole)
    (path / "record.json").write_bytes(text)
    (path / "record.json.sig").write_text(rig.sign(text))


def test_meta_of_another_call_is_refused(rig: Rig) -> None:
    folder = rig.create()
    folder.write(noise(1000))
    folder.seal(record(1000), rig.sign)
    other = record(1000)
    other.line = 4
    resealed(rig, folder.path, meta=age.encrypt(msgspec.json.encode(other), [folder.recipient]))
    with pytest.raises(Refusal, match=r"meta.age: differs from the signed record.json"):
        open_both(rig, folder.path)
    resealed(rig, folder.path, meta=age.encrypt(b"[]", [folder.recipient]))
    with pytest.raises(Refusal, match=r"meta.age: Expected"):
        open_both(rig, folder.path)
    resealed(rig, folder.path, meta=age.encrypt(b"{}", [rig.epoch]))
    with pytest.raises(Refusal, match=r"meta.age: does not open with the key of this call"):
        open_both(rig, folder.path)


def test_audio_that_does_not_open_to_its_length_leaves_nothing_behind(rig: Rig) -> None:
    folder = rig.create()
    folder.write(noise(1000))
    folder.seal(record(1000), rig.sign)
    size = (folder.path / "audio.001.age").stat().st_size
    good = age.encrypt(mulaw.HEADER + noise(1000), [folder.recipient])
    wrong = {
        "0 samples decoded, 1000 in the record": good[:-1] + bytes([good[-1] ^ 1]),
        "does not begin as an .au stream": age.encrypt(bytes(1032), [folder.recipient]),
    }
    for says, data in wrong.items():
        assert len(data) == size
        resealed(rig, folder.path, audio_001=data)
        with pytest.raises(Refusal, match=says):
            open_both(rig, folder.path)
        assert not (rig.root / "call.wav").exists()
        assert not (rig.root / "call.json").exists()
        identities = ["--identity", rig.epoch_file, "--identity", rig.custodian_files[1]]
        more = ["--for", rig.custodians[0], "--signers", rig.signers_file, "-o", rig.root / "call.wav.age"]
        with pytest.raises(Refusal, match=says):
            run(opening, folder.path, *identities, *more)
        assert not list(rig.root.glob("call.wav*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_decrypted_audio_behind(rig: Rig, number: signal.Signals) -> None:
    """As by a closed window or a logout, while `age` opens a part: the half WAV would look whole by its header."""
    call, out, slow = rig.sealed_call(9000), rig.root / "out", rig.root / "bin"
    out.mkdir()
    slow.mkdir()
    stock = shutil.which("age")
    script = (
        f'#!/bin/sh\ncase "$*" in */proc/self/fd/*) [ -e {slow}/meta ] && exec sleep 60; touch {slow}/meta;; esac\n'
    )
    (slow / "age").write_text(f'{script}exec {stock} "$@"\n')
    (slow / "age").chmod(0o755)
    words = ["--identity", rig.epoch_file, "--identity", rig.custodian_files[1], "--signers", rig.signers_file]
    own = ["env", "--default-signal"]  # else ignored signals, as below nohup, stay ignored
    process = subprocess.Popen(
        [*own, Path(sys.executable).with_name("linetap"), "open", call, *map(str, words), "-o", out / "call.wav"],
        env=os.environ | {"PATH": f"{slow}:{os.environ['PATH']}", "HOME": str(rig.root)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until((out / "call.wav").exists)
    process.send_signal(number)
    assert process.wait(sealing_rig.TIMEOUT_S) == (130 if number == signal.SIGINT else -number)
    assert list(out.iterdir()) == []


def test_call_of_which_nothing_was_recorded(rig: Rig) -> None:
    missed = record(0)
    missed.disposition = "missed"
    path = seal_without_audio(rig.vault, missed, rig.sign)
    with pytest.raises(Refusal, match="nothing was recorded of this call"):
        open_both(rig, path)


@pytest.mark.parametrize("name", ["call.wav", "call.json"])
def test_nothing_is_written_over(rig: Rig, name: str) -> None:
    (rig.root / name).write_text("precious")
    with pytest.raises(BadInput, match=f"{name}: exists"):
        open_both(rig, rig.sealed_call(10))
    assert (rig.root / name).read_text() == "precious"


def test_arguments_that_cannot_be_used(rig: Rig) -> None:
    path = rig.sealed_call(10)
    (rig.root / "bad.txt").write_text("hello\n")
    rest = ["--signers", rig.signers_file, "-o", rig.root / "call.wav"]
    with pytest.raises(BadInput, match=r"bad.txt: line 1: not an age identity"):
        run(opening, path, "--identity", rig.root / "bad.txt", *rest)
    with pytest.raises(BadInput, match=r"absent.txt: No such file"):
        run(opening, path, "--identity", rig.root / "absent.txt", *rest)
    with pytest.raises(BadInput, match="a call folder expected"):
        run(opening, rig.root / "absent", "--identity", rig.epoch_file, *rest)
    with pytest.raises(BadInput, match=r"ends in \.wav"):
        run(opening, path, "--identity", rig.epoch_file, "--signers", rig.signers_file, "-o", "x.json")
    with pytest.raises(BadInput, match=r"what `linetap unwrap` wrote"):
        run(opening, path, "--identity", rig.epoch_file, "--inner", rig.root / "absent", *rest)
    with pytest.raises(BadInput, match="No such file"):
        open_both(rig, path, "absent/call.wav")


@pytest.mark.parametrize("kind", ["custodian", "epoch"])
def test_keygen_of_an_age_identity(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "key.txt"
    assert run(keygen, kind, "-o", path) == 0
    public = capsys.readouterr().out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sealing_rig.run(["age-keygen", "-y", str(path)]).stdout.decode() == public
    before = path.read_bytes()
    with pytest.raises(BadInput, match="exists and is not overwritten"):
        run(keygen, kind, "-o", path)
    assert path.read_bytes() == before


def test_keygen_of_a_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "unit.key"
    assert run(keygen, "unit", "-o", path) == 0
    public = capsys.readouterr().out
    assert public.count("\n") == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sealing_rig.run(["ssh-keygen", "-y", "-f", str(path)]).stdout.decode() == public


def test_keygen_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        run(keygen, "unit", "-o", tmp_path / "absent" / "unit.key")


def test_identity_with_a_passphrase_is_left_to_age(rig: Rig) -> None:
    """age asks for the passphrase itself; here it has no terminal, and reports that."""
    locked = rig.root / "locked.age"
    locked.write_bytes(b"age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\n" + b"A" * 43 + b"\n--- x\n")
    with pytest.raises(Refusal, match="epoch's layer does not open"):
        run(unwrap, rig.sealed_call(10), "--identity", locked, "-o", rig.root / "inner.age")


def test_record_says_what_the_folder_knows(rig: Rig) -> None:
    wrong = record(1000)
    wrong.audio = Audio(samples=5)
    folder = rig.create()
    folder.write(noise(1000))
    folder.seal(wrong, rig.sign)
    assert open_both(rig, folder.path)["call_id"] == CALL_ID
