# SPDX-License-Identifier: Apache-2.0
"""`linetap replay`: files in, a vault and calls.jsonl out, the same every time; bad files give one line of error."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from test_writer import opened

from linetap.commission.template import Plan, render
from linetap.config.profile import KR_PSTN
from linetap.config.schema import Line
from linetap.notices import Notice
from linetap.recorder.replay.card import ReplayCard
from linetap.recorder.replay.events import read_events
from linetap.recorder.replay.vaultside import SharedAudio, VaultSide
from linetap.ring import I16
from linetap_core.cli import main
from linetap_core.clock import parse_rfc3339
from linetap_core.records import SUITE
from unit_rig import NOTICE_S, START, Unit, make_unit, save_wav, spoken

SECONDS = 14
EVENTS: list[dict[str, Any]] = [
    {"t": 0.5, "line": 1, "ring": 1},
    {"t": 1.5, "line": 1, "ring": 0},
    {"t": 2.0, "line": 1, "volts": -47.8},
    {"t": 3.0, "line": 1, "hook": 1},
    {"t": 4.0, "line": 2, "ring": 1},
    {"t": 5.0, "line": 2, "ring": 0},
    {"t": 9.0, "line": 1, "hook": 0},
]
AUDIO = np.random.default_rng(2).integers(-2000, 2000, (2, SECONDS * 8000)).astype(np.int16)


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Unit:
    made = make_unit(tmp_path, run_dir)
    keys = made.config.keys
    text = render(
        Plan(
            unit=made.config.unit,
            lines=2,
            custodians=tuple(keys.custodians),
            key="unit.key",
            epoch=keys.overflow_epoch,
            board="simulated",
            vault="vault",
            run_dir=str(run_dir),
            notices=made.config.notices,
        )
    )
    (tmp_path / "unit.toml").write_text(text.replace("greeting_max_ms = 6000", "greeting_max_ms = 0"))
    save_wav(tmp_path / "lines.wav", AUDIO)
    write_events(tmp_path, EVENTS)
    return made


def write_events(folder: Path, events: list[dict[str, Any]]) -> None:
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def replay_it(unit: Unit, out: str = "out", *more: str) -> int:
    folder = unit.folder
    paths = ["--config", "unit.toml", "--audio", "lines.wav", "--events", "events.jsonl", "--out", out]
    words = [word if word.startswith("--") else str(folder / word) for word in paths]
    return main(["replay", *words, "--start", START, *more])


def calls(unit: Unit, out: str = "out") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (unit.folder / out / "calls.jsonl").read_text().splitlines()]


def audio_of(unit: Unit, out: str = "out") -> I16:
    (recorded,) = [call for call in calls(unit, out) if call["disposition"] == "recorded"]
    config = msgspec.structs.replace(unit.config, vault=str(unit.folder / out))
    there = replace(unit, config=config)
    return opened(there, recorded["call_id"])


def test_every_call_is_reported_on_standard_output_and_in_calls_jsonl(
    unit: Unit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay_it(unit) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == calls(unit)
    assert [(call["line"], call["disposition"]) for call in told] == [(1, "recorded"), (2, "missed")]
    assert {call["suite"] for call in told} == {SUITE}
    assert told[0]["call_id"] == "20261124T225600.623Z-L01"
    assert told[0]["audio"]["samples"] == 72_000 - round(3.535 * 8000)
    assert sorted(told[0]["files"]) == ["audio.001.age", "key.age", "meta.age"]


def test_the_result_is_a_vault_that_verifies(unit: Unit) -> None:
    assert replay_it(unit) == 0
    assert main(["verify", str(unit.folder / "out"), "--signers", str(unit.signers)]) == 0


def test_the_same_calls_every_time(unit: Unit) -> None:
    replay_it(unit)
    replay_it(unit, "again")
    first, second = calls(unit), calls(unit, "again")
    for call in (*first, *second):
        call["files"] = sorted(call["files"])  # the keys are new each time, and so the hashes
    assert first == second


def test_the_notice_comes_back_30_ms_later_and_6_db_down(unit: Unit) -> None:
    replay_it(unit)
    at = round(3.535 * 8000)
    heard = audio_of(unit).astype(float) - AUDIO[0, at:72_000]
    notice = spoken(NOTICE_S)
    echo = heard[240 : 240 + len(notice)]
    assert np.abs(heard[:240]).max() < 100
    assert echo @ notice / (notice.astype(float) @ notice) == pytest.approx(0.501, abs=0.01)


@pytest.mark.parametrize("option", [["--no-echo"], ["--deaf-line", "1"]])
def test_a_deaf_line_returns_nothing(unit: Unit, option: list[str]) -> None:
    replay_it(unit, "out", *option)
    at = round(3.535 * 8000)
    assert np.abs(audio_of(unit).astype(float) - AUDIO[0, at:72_000]).max() < 100


def test_another_line_may_be_deaf(unit: Unit) -> None:
    replay_it(unit, "out", "--deaf-line", "2")
    assert np.abs(audio_of(unit).astype(float) - AUDIO[0, round(3.535 * 8000) : 72_000]).max() > 1000


def test_a_call_that_the_audio_cuts_off_is_sealed_and_marked_so(unit: Unit) -> None:
    write_events(unit.folder, EVENTS[:-1])
    assert replay_it(unit) == 0
    (call,) = [call for call in calls(unit) if call["line"] == 1]
    assert (call["disposition"], call["ended_by"], call["why"]) == ("recorded", None, "audio_ended")
    assert call["ended_at"] == "2026-11-24T22:56:14.123Z"


def test_start_is_the_time_of_the_first_sample(unit: Unit) -> None:
    replay_it(unit)
    assert parse_rfc3339(calls(unit)[0]["ring_at"]) - parse_rfc3339(START) == 500_000_000


BAD_EVENTS = [
    ('{"t":1,"line":1,"hook":1}\n{"t":0.5,"line":1,"hook":0}\n', "events.jsonl:2: t = 0.5 after 1.0"),
    ('{"t":1,"line":7,"hook":1}\n', "events.jsonl:1: line 7; the configuration has 1, 2"),
    ('{"t":1,"line":1,"hook":1}\n{"t":1,"line"\n', "events.jsonl:2: "),
    ('{"t":1,"line":1,"hook":2}\n', "events.jsonl:1: 2 is neither 0 nor 1"),
    ('{"t":1,"line":1}\n', "events.jsonl:1: needs exactly one of"),
    ('{"t":1,"line":1,"hook":1,"ring":1}\n', "events.jsonl:1: needs exactly one of"),
    ('{"t":-1,"line":1,"hook":1}\n', "events.jsonl:1: t = -1.0"),
    ('{"t":1,"line":1,"volts":4000}\n', "events.jsonl:1: volts = 4000.0"),
    ('{"t":1,"line":1,"hock":1}\n', "events.jsonl:1: "),
    ("nonsense\n", "events.jsonl:1: "),
    ("\x00\xff", "events.jsonl:1: "),
]


@pytest.mark.parametrize(("text", "told"), BAD_EVENTS)
def test_bad_events_are_reported_with_their_line(
    unit: Unit, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    (unit.folder / "events.jsonl").write_text(text)
    assert replay_it(unit) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_no_events_are_no_calls(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    (unit.folder / "events.jsonl").write_text("")
    assert replay_it(unit) == 0
    assert capsys.readouterr().out == ""


def _wav(path: Path, rate: int, width: int, channels: int, frames: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(width * channels * frames))


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((16_000, 2, 2, 8000), "16000 Hz, 16 bit, 2 channels; needs 8000 Hz, 16 bit, 2 channels"),
        ((8000, 1, 2, 8000), "8000 Hz, 8 bit"),
        ((8000, 2, 3, 8000), "3 channels; needs"),
        ((8000, 2, 2, 0), "contains no audio"),
    ],
)
def test_audio_of_another_shape_is_refused(
    unit: Unit, capsys: pytest.CaptureFixture[str], shape: tuple[int, int, int, int], told: str
) -> None:
    _wav(unit.folder / "lines.wav", *shape)
    assert replay_it(unit) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"RIFF", bytes(100)], ids=["empty", "cut off", "zeros"])
def test_what_is_no_wav_is_refused(unit: Unit, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (unit.folder / "lines.wav").write_bytes(content)
    assert replay_it(unit) == 2
    assert "lines.wav: not a WAV file" in capsys.readouterr().err


def test_a_folder_with_a_replay_in_it_is_not_written_over(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay_it(unit) == 0
    assert replay_it(unit) == 2
    assert "contains a replay already" in capsys.readouterr().err


def test_batches_are_short_where_a_fax_may_stop_the_notice(unit: Unit) -> None:
    """On the line with the notice; when read ahead, they end every 160 ms."""
    audio = np.zeros((2, SECONDS * 8000), np.int16)
    tone = slice(41_600, 49_600)
    audio[0, tone] = (3000 * np.sin(2 * np.pi * 2100 * np.arange(8000) / 8000)).astype(np.int16)
    write_events(unit.folder, [])
    levels = read_events(unit.folder / "events.jsonl", [1, 2], SECONDS * 8000)
    lines = [Line(number=1, channel=1), Line(number=2, channel=2)]
    notices = {"ko": Notice("ko", "", np.zeros(12 * 8000, np.int16), 7)}
    for playing, short in ((1, True), (2, False)):
        card = ReplayCard(lines, audio.copy(), levels, notices, 0, set(), [KR_PSTN] * 2)
        card.play(playing, "ko", 0)
        batches = []
        while (batch := card.next(50)) is not None:
            batches.append(batch)
        near = [b for b in batches if b.frame + b.frames > tone.start and b.frame < tone.stop]
        assert (max(batch.frames for batch in near) <= 16 * 80) == short
        assert all((batch.frame + batch.frames) % (16 * 80) == 0 for batch in near) == short
        assert [batch.frames for batch in batches[:9]] == [50 * 80] * 9


# --- the sealing process -----------------------------------------------------------------------------------------


def test_the_end_of_the_process_that_seals_is_reported_in_one_line(
    unit: Unit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(side: VaultSide) -> bool:
        side._process.kill()
        side._process.wait()
        return True

    monkeypatch.setattr(VaultSide, "hand_over", killed)
    assert replay_it(unit) == 2
    assert capsys.readouterr().err == "the vault process of the replay ended with status -9\n"
    assert not (unit.folder / "out" / "calls.jsonl").exists()


def test_what_is_wrong_with_the_key_is_reported_in_one_line(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    (unit.folder / "unit.key").write_text("no key\n")
    assert replay_it(unit) == 2
    said = capsys.readouterr().err
    assert "unit.key" in said
    assert said.count("\n") == 1


def test_who_seals_goes_with_who_replays(unit: Unit, tmp_path: Path) -> None:
    """A killed replay leaves no process behind."""
    shared = SharedAudio()
    shared.room(2, 8000)
    side = VaultSide(msgspec.structs.replace(unit.config, vault=str(tmp_path / "gone")), shared, [1, 2], 0)
    side._way.close()
    assert side._process.wait(60) == 1
    shared.close()
