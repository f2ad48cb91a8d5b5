# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
from scripts import call, script_of

from linetap_bench.exchange.timeline import Timeline, render
from linetap_bench.script.scenarios import eight_busy
from linetap_bench.sounds.voices import Voices, default_folder

SCENARIOS = Path(__file__).parents[1] / "scenarios"
TEXT = (
    "lines = 3\n"
    + call(shake=True, rings=1, talk_s=1.0)
    + call(line=3, direction="out", digits="12", outcome="busy", polarity=True)
)


def test_the_wav_is_the_timeline_and_the_events_rebuild_its_levels(tmp_path: Path) -> None:
    script = script_of(tmp_path, TEXT)
    audio, events = render(script, Voices(default_folder()), tmp_path / "out")
    timeline = Timeline(script, Voices(default_folder()), [1, 2, 3])
    with wave.open(str(audio), "rb") as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 3)
        assert file.getnframes() == script.duration_ms * 8
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 3).T
    assert np.array_equal(data, timeline.audio(0, data.shape[1]))

    hook, ring, _, volts = timeline.levels(0, script.duration_ms)
    wanted = {"hook": hook, "ring": ring, "volts": volts / 100}
    rebuilt = {name: np.zeros(array.shape) for name, array in wanted.items()}
    last = 0.0
    for line in events.read_text().splitlines():
        event = json.loads(line)
        assert event["t"] >= last
        last = event["t"]
        assert isinstance(event["line"], int)
        (kind,) = event.keys() - {"t", "line"}
        rebuilt[kind][event["line"] - 1, round(event["t"] * 1000) :] = event[kind]
    for name, array in wanted.items():
        assert np.array_equal(rebuilt[name], array), name
    assert last > 1


def test_a_long_script_is_rendered_in_blocks_without_a_seam(tmp_path: Path) -> None:
    script = script_of(tmp_path, "lines = 1\nduration_s = 61.0\n" + call(start_s=40.0, talk_s=10.0, dense_dbm0=-20.0))
    audio, _ = render(script, Voices(default_folder()), tmp_path)
    with wave.open(str(audio), "rb") as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    timeline = Timeline(script, Voices(default_folder()), [1])
    assert np.array_equal(data[59 * 8000 :], timeline.audio(59 * 8000, 2 * 8000)[0])


def test_the_busy_scenario_is_what_its_generator_makes() -> None:
    assert (SCENARIOS / "eight_busy.toml").read_text() == eight_busy(10)


def test_eight_lines_are_busy_for_as_long_as_asked(tmp_path: Path) -> None:
    script = script_of(tmp_path, eight_busy(2))
    assert script.duration_ms >= 110_000
    hook = Timeline(script, Voices(default_folder()), list(range(1, 9))).levels(0, script.duration_ms)[0]
    assert (hook.mean(axis=1) > 0.7).all()
