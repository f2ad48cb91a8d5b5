# SPDX-License-Identifier: Apache-2.0
"""`linetap signals`: its output matches the exchange's signals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsk_rig import bits_of, fsk, message, parameter
from linetap_bench.exchange.timeline import render
from linetap_bench.script.script import load_script
from linetap_bench.sounds.voices import Voices, default_folder
from linetap_core.cli import main
from unit_rig import save_wav

SCRIPT = """
lines = 2
seed = 5
[[call]]
line = 1
start_s = 1.0
direction = "out"
outcome = "busy"
rings = 1
digits = "0312345678"
busy_s = 6.0
[[call]]
line = 2
start_s = 1.0
direction = "in"
outcome = "unanswered"
rings = 2
"""


def told(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["signals", *words]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_digits_tones_and_levels_of_a_scripted_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "calls.toml").write_text(SCRIPT)
    audio, events = render(load_script(tmp_path / "calls.toml"), Voices(default_folder()), tmp_path)
    heard = told(capsys, "--audio", str(audio), "--events", str(events))
    assert "".join(each["digit"] for each in heard if each["kind"] == "dtmf") == "0312345678"
    assert [each["tone"] for each in heard if each["kind"] == "tone"][:1] == ["dial"]
    assert "busy" in [each["tone"] for each in heard if each["kind"] == "tone"]
    # Ringing overloads the converter, and its edges sound like a voice; the call table ignores voices on such a line.
    kinds = [each["kind"] for each in heard if each["line"] == 2 and each["kind"] not in ("voice", "sound", "channel")]
    assert kinds[:2] == ["ringing", "ringing"]
    assert heard == sorted(heard, key=lambda each: (each["t"], each["line"]))


def test_a_caller_is_told_once_with_number_and_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sent = fsk(bits_of(message(0x80, parameter(0x02, b"0212345678") + parameter(0x07, b"KIM"))), "v23",
               np.random.default_rng(2))  # fmt: skip
    line = np.zeros(20 * 8000, np.int16)
    line[6 * 8000 : 6 * 8000 + len(sent)] = sent
    save_wav(tmp_path / "lines.wav", np.stack([np.zeros_like(line), line]))
    callers = [each for each in told(capsys, "--audio", str(tmp_path / "lines.wav")) if each["kind"] == "caller_id"]
    assert len(callers) == 1
    assert (callers[0]["line"], callers[0]["number"], callers[0]["name"]) == (2, "0212345678", "KIM")
    assert 6.0 <= callers[0]["t"] <= 7.5


def test_a_fax_is_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tone = np.round(3000 * np.sin(2 * np.pi * 2100 * np.arange(24_000) / 8000)).astype(np.int16)
    save_wav(tmp_path / "lines.wav", np.concatenate([np.zeros(8000, np.int16), tone])[None])
    assert [
        each["which"] for each in told(capsys, "--audio", str(tmp_path / "lines.wav")) if each["kind"] == "fax"
    ] == ["answer"]


def test_pulses_are_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_wav(tmp_path / "lines.wav", np.zeros((1, 6 * 8000), np.int16))
    changes = [(1.0, True)]
    for pulse in range(3):
        changes += [(3.0 + pulse * 0.1, False), (3.06 + pulse * 0.1, True)]
    events = "".join(json.dumps({"t": t, "line": 1, "hook": int(hook)}) + "\n" for t, hook in changes)
    (tmp_path / "events.jsonl").write_text(events)
    heard = told(capsys, "--audio", str(tmp_path / "lines.wav"), "--events", str(tmp_path / "events.jsonl"))
    assert [(each["kind"], each.get("digit")) for each in heard] == [("off_hook", None), ("pulses", "3")]


@pytest.mark.parametrize("content", [b"", b"RIFF", bytes(100)], ids=["empty", "cut off", "zeros"])
def test_what_is_no_wav_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / "lines.wav").write_bytes(content)
    assert main(["signals", "--audio", str(tmp_path / "lines.wav")]) == 2
    assert "lines.wav: not a WAV file" in capsys.readouterr().err


def test_an_unknown_profile_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["signals", "--audio", str(tmp_path / "lines.wav"), "--profile", "moon"]) == 2
    assert "there is kr-pstn" in capsys.readouterr().err
