# SPDX-License-Identifier: Apache-2.0
"""A script's sounds, parties and events up to an answer, and their effect on the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripts import SILENT, call, script_of

from linetap.ring import I16
from linetap_bench.exchange.timeline import Timeline
from linetap_bench.script.timing import times_of
from linetap_bench.sounds.voices import Voices
from linetap_core.errors import BadInput

VOICES = Path(__file__).parents[2] / "build" / "voices"  # kept between runs, under a hash of all its inputs
OUT = {"direction": "out", "digits": "12", "ringback": False, "talk_s": 4.0}


def line_of(folder: Path, text: str) -> tuple[Timeline, I16]:
    script = script_of(folder, "lines = 1\n" + SILENT + text)
    timeline = Timeline(script, Voices(VOICES), [1])
    return timeline, timeline.audio(0, timeline.duration_ms * 8)[0]


def sound(**keys: object) -> str:
    return call(**keys).replace('[[call]]\nline = 1\nstart_s = 1.0\ndirection = "in"\n', "[[call.sound]]\n")


def rms(samples: I16) -> float:
    return float(np.sqrt((samples.astype(float) ** 2).mean()))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (call(**OUT) + sound(play="speech", at_s=1.0), "text is missing"),
        (call(**OUT) + sound(play="music", at_s=1.0, prompt="beep"), "a text or a prompt"),
        (call(**OUT) + sound(play="tone", at_s=1.0), "tone: hz is missing"),
        (call(**OUT) + sound(play="tone", at_s=1.0, hz=[440.0], cadence_ms=[100]), "an even number"),
        (call() + sound(play="cough", at_s=1.0), "there is no dialling"),
        (call(**OUT) + sound(play="music", at_s=1.0, alone=True), 'goes with after = "answer"'),
        (call(**OUT) + sound(play="whistle", at_s=1.0), "call[1].sound[1].play"),
        (call(progress_s=3.0), "only an outgoing call"),
        (call(**OUT, pause_after=2), "there are 2 digits"),
        (call(**OUT, second_dial=True), "pause_after is missing"),
        (call() + "[[call.party]]\nat_s = 50.0\n", "the talk is over"),
        (call() + "[[call.party]]\nat_s = 5.0\n[[call.party]]\nat_s = 4.0\n", "one after another"),
        (call() + '[call.network]\ncodec = "amr"\n', "call[1].network.codec"),
    ],
)
def test_what_does_not_fit_is_reported_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        script_of(tmp_path, text)
    (line,) = str(caught.value).splitlines()
    assert says in line


@pytest.mark.parametrize(
    "keys",
    [
        {"play": "music"}, {"play": "song"}, {"play": "jingle"}, {"play": "sit"}, {"play": "howler"}, {"play": "cough"},
        {"play": "keyboard"}, {"play": "modem_2225"}, {"play": "v22"}, {"play": "fax_calling"}, {"play": "fax_answer"},
        {"play": "tone", "hz": [425.0]}, {"play": "speech", "text": "네, 여보세요."},
        {"play": "announcement", "prompt": "ss-noservice"},
    ],
    ids=lambda keys: str(keys["play"]),
)  # fmt: skip
def test_each_sound_is_on_the_line_from_where_it_is_said_and_as_loud(tmp_path: Path, keys: dict[str, object]) -> None:
    timeline, line = line_of(tmp_path, call(**OUT, progress_s=6.0) + sound(at_s=2.0, dbm0=-20.0, **keys))
    dialled = timeline.lines and times_of(script_of(tmp_path, call(**OUT, progress_s=6.0)).call[0]).dialled
    assert dialled
    before, first = line[8 * (dialled + 100) : 8 * (dialled + 1990)], line[8 * (dialled + 2000) : 8 * (dialled + 5000)]
    assert rms(before) < 10
    assert 200 < np.sort(np.abs(first.astype(float)))[-len(first) // 100] < 12000  # -20 dBm0 peaks at some 2,300


def test_music_gives_way_to_the_answer(tmp_path: Path) -> None:
    text = call(**OUT, progress_s=4.0) + sound(play="music", at_s=0.5)
    _, line = line_of(tmp_path, text)
    answer = times_of(script_of(tmp_path, text).call[0]).answer
    assert answer
    assert rms(line[8 * (answer - 1500) : 8 * answer]) > 300
    assert rms(line[8 * (answer + 10) : 8 * (answer + 2000)]) < 10


@pytest.mark.parametrize("codec", ["gsm", "g723", "opus"])
def test_a_codec_changes_the_samples_and_not_the_words(tmp_path: Path, codec: str) -> None:
    """Its envelope stays: the words keep their time and level."""
    keys = OUT | {"rings": 1, "talk": ["여보세요, 민원실입니까?"], "first_speaker": "caller"}
    _, clean = line_of(tmp_path, call(**keys))
    _, coded = line_of(tmp_path, call(**keys) + f'[call.network]\ncodec = "{codec}"\n')
    assert not np.array_equal(clean, coded)
    before, behind = (
        np.sqrt((x[: len(x) // 400 * 400].astype(float) ** 2).reshape(-1, 400).mean(axis=1)) for x in (clean, coded)
    )
    assert np.corrcoef(before, behind)[0, 1] > 0.9


def test_lost_packets_are_heard_as_the_one_before(tmp_path: Path) -> None:
    keys = OUT | {"rings": 1, "talk": ["여보세요, 민원실입니까?"], "first_speaker": "caller"}
    _, clean = line_of(tmp_path, call(**keys))
    _, lossy = line_of(tmp_path, call(**keys) + "[call.network]\nloss_percent = 20.0\n")
    differs = (clean != lossy).mean()
    assert 0.01 < differs < 0.3


def test_polarity_at_the_seizure_is_none_at_the_answer(tmp_path: Path) -> None:
    text = call(direction="out", digits="12", seizure=True, progress_s=5.0, talk_s=3.0)
    timeline, _ = line_of(tmp_path, text)
    times = times_of(script_of(tmp_path, text).call[0])
    assert times.dialled
    assert times.answer
    volts = timeline.lines[0].volts.render(0, times.end)
    turns = np.flatnonzero(np.diff(np.sign(volts[times.start + 50 : times.end - 50])))
    assert len(turns) == 1
    assert times.dialled < turns[0] + times.start + 50 < times.dialled + 500 < times.answer


def test_a_hotline_is_answered_without_a_digit_or_a_dial_tone(tmp_path: Path) -> None:
    text = call(direction="out", dial_tone=False, progress_s=4.0, talk_s=3.0)
    _, line = line_of(tmp_path, text)
    times = times_of(script_of(tmp_path, text).call[0])
    assert times.answer == times.start + 4000
    assert rms(line[8 * (times.start + 100) : 8 * times.answer]) < 10


def test_a_second_dial_tone_sounds_in_the_pause(tmp_path: Path) -> None:
    _, line = line_of(tmp_path, call(**OUT | {"digits": "9123"}, pause_after=1, pause_s=3.0, second_dial=True))
    at = 1000 + 1200 + 90 + 600  # off-hook, first digit, its length, into the pause
    spectrum = np.abs(np.fft.rfft(line[8 * at : 8 * (at + 1000)]))
    assert {int(hz) for hz in np.argsort(spectrum)[-2:]} == {350, 440}


def test_another_party_has_its_own_voice_and_network(tmp_path: Path) -> None:
    keys = {"talk": ["네.", "문의 드립니다."], "talk_s": 12.0, "rings": 1}
    text = call(**keys) + "[[call.party]]\nat_s = 6.0\ndbm0 = -30.0\n[call.party.network]\nnoise_dbm0 = -40.0\n"
    _, line = line_of(tmp_path, text)
    answer = times_of(script_of(tmp_path, text).call[0]).answer
    assert answer
    quiet = [float(np.sort(np.abs(line[8 * (answer + ms) : 8 * (answer + ms + 3500)]))[7000]) for ms in (1000, 7000)]
    assert quiet[1] > 4 * max(1.0, quiet[0])
