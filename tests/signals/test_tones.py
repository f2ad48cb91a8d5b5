# SPDX-License-Identifier: Apache-2.0
"""Call progress and fax tones: detected at their limits, named correctly, and not detected in speech."""

from __future__ import annotations

import itertools
import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.config.numbers import KR_TONES, ToneShape
from linetap.config.profile import KR_PSTN, Profile
from linetap.recorder.signals.events import (
    FaxGone,
    FaxHeard,
    FaxMaybe,
    TalkHeard,
    ToneEvent,
    ToneGone,
    ToneHeard,
    VoiceHeard,
)
from linetap.recorder.signals.tones.detector import CHUNK, ToneDetector
from linetap.ring import I16, RATE_HZ
from linetap_bench.sounds.synth import F64, Hum, Noise, Tones, dtmf, rms_of
from linetap_bench.sounds.voices import MADE_DBM0, Voices

SHAPES = {shape.name: shape for shape in KR_TONES}
PROMPTS = Path("/usr/share/asterisk/sounds")
LEAD_MS = 400
SOX_TIMEOUT_S = 120


def frames(ms: float) -> int:
    return round(ms * RATE_HZ / 1000)


def tone(hz: Sequence[float], dbm0: float, ms: float) -> F64:
    """Sines of `dbm0` each."""
    return Tones([(f, dbm0) for f in hz], frames(ms)).render(0, frames(ms))


def quiet(ms: float) -> F64:
    return np.zeros(frames(ms))


def cadenced(hz: Sequence[float], dbm0: float, elements_ms: Sequence[float], times: int = 1) -> F64:
    parts = [(quiet(ms) if i % 2 else tone(hz, dbm0, ms)) for i, ms in enumerate(elements_ms)]
    return np.concatenate(parts * times)


def noisy(sound: F64, dbm0: float, key: int) -> F64:
    return sound + Noise((key,), dbm0, len(sound)).render(0, len(sound))


def line(sound: F64) -> I16:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def listen(audio: I16, profile: Profile = KR_PSTN, detector: ToneDetector | None = None) -> list[ToneEvent]:
    """The events of (lines, n) or (n,), with silence after it up to a whole chunk."""
    rows = np.atleast_2d(audio)
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % CHUNK)))
    return (detector or ToneDetector(len(rows), profile)).follow(rows, 0)


def heard(events: list[ToneEvent]) -> list[str]:
    return [e.tone for e in events if isinstance(e, ToneHeard)]


def gone(events: list[ToneEvent]) -> list[str]:
    return [e.tone for e in events if isinstance(e, ToneGone)]


def faxes(events: list[ToneEvent]) -> list[str]:
    return [e.which for e in events if isinstance(e, FaxHeard)]


def voices(events: list[ToneEvent]) -> list[VoiceHeard]:
    return [e for e in events if isinstance(e, VoiceHeard)]


def talks(events: list[ToneEvent]) -> list[TalkHeard]:
    return [e for e in events if isinstance(e, TalkHeard)]


def doubts(events: list[ToneEvent]) -> list[ToneEvent]:
    return [e for e in events if isinstance(e, FaxMaybe | FaxGone | FaxHeard)]


def sox(hz: Sequence[float], ms: float, *effects: str) -> I16:
    """Sines made by sox, together at a peak 18 dB below full scale."""
    command = ["sox", "-r", str(RATE_HZ), "-c", str(len(hz)), "-n", "-c", "1", "-b", "16", "-e", "signed"]
    sines = [word for f in hz for word in ("sine", str(f))]
    command += ["-t", "raw", "-", "synth", str(ms / 1000), *sines, "remix", "-", "gain", "-n", "-18", *effects]
    made = subprocess.run(command, capture_output=True, timeout=SOX_TIMEOUT_S, check=True)
    return np.frombuffer(made.stdout, dtype=np.int16)


# Required detections of each tone in its limit run: (cadences rendered, detections).
TIMES = {"dial": (1, 1), "ringback": (2, 2), "busy": (4, 2), "congestion": (4, 2), "unobtainable": (2, 2)}
TIMES["call_waiting"] = (2, 2)


@pytest.mark.parametrize("name", SHAPES)
def test_every_cadence_at_its_limits(name: str) -> None:
    """+-10 % of time, +-1.5 % of each frequency, -10 to -35 dBm0 a tone, noise 20 dB below: all at once."""
    shape = SHAPES[name]
    cadences, times = TIMES[name]
    rows: list[F64] = []
    limits = list(itertools.product((-10.0, -35.0), (0.9, 1.1), ((-1, -1), (1, 1), (-1, 1), (1, -1))))
    for key, (dbm0, stretch, off) in enumerate(limits):
        hz = [f * (1 + 0.015 * sign) for f, sign in zip(shape.hz, off, strict=False)]
        elements = [ms * stretch for ms in shape.cadence_ms] or [3000]
        sound = np.concatenate([quiet(LEAD_MS + 7 * key), cadenced(hz, dbm0, elements, cadences)])
        # One burst more: the last pause is over.
        sound = np.concatenate([sound, *([cadenced(hz, dbm0, elements[:1])] if times > 1 else []), quiet(500)])
        rows.append(noisy(sound, dbm0 + 10 * np.log10(len(hz)) - 20, key))
    longest = max(len(row) for row in rows)
    # Each row continues as noise up to the length of the longest: nothing may be detected again in it.
    events = listen(np.stack([line(np.pad(row, (0, longest - len(row)))) for row in rows]))
    for row, limit in enumerate(limits):
        own = [e for e in events if e.line == row]
        names = heard(own)
        assert set(names) == {name}, (limit, own)
        assert len(names) in (times, times + 1), (limit, own)
        assert not voices(own), (limit, own)
        first = next(e for e in own if isinstance(e, ToneHeard))
        assert abs(first.at - frames(LEAD_MS + 7 * row)) <= frames(20), (limit, own)


@pytest.mark.parametrize("name", SHAPES)
def test_tones_of_another_generator(name: str) -> None:
    shape = SHAPES[name]
    elements = shape.cadence_ms or (2000, 500)
    bursts = [
        np.pad(sox(shape.hz, on), (0, frames(off)))
        for on, off in zip(elements[::2], elements[1::2], strict=True)
    ]  # fmt: skip
    times = TIMES[name][0] + 1
    events = listen(np.pad(np.concatenate(bursts * times), (frames(LEAD_MS), 0)))
    assert set(heard(events)) == {name}
    assert len(heard(events)) >= 2
    assert not voices(events)
    assert not faxes(events)


def test_busy_is_known_after_three_periods_and_dated_by_its_first() -> None:
    start = frames(LEAD_MS)
    events = listen(line(np.concatenate([quiet(LEAD_MS), cadenced((480, 620), -16, (500, 500), 5), quiet(1500)])))
    assert heard(events) == ["busy", "busy"]
    first, second, stopped = events
    assert isinstance(first, ToneHeard)
    assert abs(first.at - start) <= frames(12)
    assert start + frames(3000) <= first.known <= start + frames(3300)
    assert isinstance(second, ToneHeard)
    assert abs(second.at - (start + frames(3000))) <= frames(12)
    assert isinstance(stopped, ToneGone)
    assert abs(stopped.at - (start + frames(4500))) <= frames(12)


def test_two_periods_of_busy_are_not_enough() -> None:
    assert listen(line(np.concatenate([quiet(LEAD_MS), cadenced((480, 620), -16, (500, 500), 2), quiet(3000)]))) == []


def test_a_beginning_in_the_middle_of_a_burst_is_not_counted() -> None:
    rest = cadenced((440, 480), -21, (1000, 2000), 2)[frames(400) :]
    events = listen(line(np.concatenate([rest, quiet(200)])))
    assert heard(events) == ["ringback"]
    assert abs(events[0].at - frames(2600)) <= frames(15)


def test_ringback_is_gone_when_no_burst_comes() -> None:
    start = frames(LEAD_MS)
    events = listen(line(np.concatenate([quiet(LEAD_MS), cadenced((440, 480), -21, (1000, 2000), 2), quiet(3000)])))
    assert heard(events) == ["ringback", "ringback"]
    assert gone(events) == ["ringback"]
    last = events[-1]
    assert abs(last.at - (start + frames(4000))) <= frames(12)
    assert start + frames(6200) <= last.known <= start + frames(6800)


def speech(tmp_path_factory: pytest.TempPathFactory, dbm0: float) -> F64:
    said = Voices(tmp_path_factory.getbasetemp() / "voices").say(
        "Good morning, city hall, how may I help?", "en", "staff"
    )
    spoken: F64 = said.astype(np.float64) * 10 ** ((dbm0 - MADE_DBM0) / 20)
    return spoken


@pytest.mark.parametrize("dbm0", [-12.0, -22.0, -30.0])
def test_ringback_is_gone_when_somebody_answers(tmp_path_factory: pytest.TempPathFactory, dbm0: float) -> None:
    ringback = cadenced((440, 480), -21, (1000, 2000), 2)[: -frames(1200)]  # answered 0.8 s into the pause
    talk = speech(tmp_path_factory, dbm0)
    events = listen(line(noisy(np.concatenate([quiet(LEAD_MS), ringback, talk]), -60, 1)))
    assert heard(events) == ["ringback", "ringback"]
    (stopped,) = [e for e in events if isinstance(e, ToneGone)]
    answer = frames(LEAD_MS + 3000 + 1800)
    assert abs(stopped.at - (answer - frames(800))) <= frames(12)
    assert answer <= voices(events)[0].at <= answer + frames(300)
    assert stopped.known == voices(events)[0].known <= answer + frames(900)


def test_answered_in_the_middle_of_a_burst(tmp_path_factory: pytest.TempPathFactory) -> None:
    ringback = cadenced((440, 480), -21, (1000, 2000), 2)[: frames(3300)]
    events = listen(line(np.concatenate([ringback, speech(tmp_path_factory, -20)])))
    assert heard(events) == ["ringback"]
    assert gone(events) == ["ringback"]
    assert len(voices(events)) >= 1


def test_dial_tone_stops_with_the_first_digit() -> None:
    sound = np.concatenate([tone((350, 440), -16, 1500), dtmf("5", frames(100)).render(0, frames(100)), quiet(300)])
    events = listen(line(sound))
    assert heard(events) == ["dial"]
    assert gone(events) == ["dial"]
    assert abs(events[-1].at - frames(1500)) <= frames(25)
    assert not voices(events)


def test_a_click_in_a_burst_and_hum_below_it_change_nothing() -> None:
    sound = cadenced((480, 620), -25, (500, 500), 5)
    sound[frames(1200) : frames(1208)] += 6000
    sound += Hum(-28, len(sound)).render(0, len(sound))
    assert heard(listen(line(sound))) == ["busy", "busy"]


@pytest.mark.parametrize("hz", [(480.0,), (440.0,), (430.0,), (420.0,), (350.0,), (520.0, 660.0), (400.0, 450.0)])
def test_tones_of_other_networks_are_not_ours(hz: tuple[float, ...]) -> None:
    sound = np.concatenate([cadenced(hz, -16, (1000, 2000), 2), cadenced(hz, -16, (500, 500), 5)])
    events = listen(line(noisy(sound, -40, 2)))
    assert heard(events) == []
    assert not faxes(events)


def test_a_learnt_tone() -> None:
    shapes = (ToneShape("dial", (425.0,), (), 0), ToneShape("busy", (425.0,), (400, 400), 6))
    sound = np.concatenate([tone((425,), -16, 1000), quiet(1000), cadenced((425,), -16, (400, 400), 4), quiet(600)])
    assert heard(listen(line(sound), Profile(tone=shapes))) == ["dial", "busy"]


@pytest.mark.parametrize("off", [-0.03, 0.0, 0.03])
def test_fax_calling(off: float) -> None:
    """T.30: 1100 Hz +-38 Hz, 0.5 s +-15 % every 3 s."""
    sound = np.concatenate([quiet(LEAD_MS), cadenced((1100 * (1 + off),), -30, (450, 3000), 2)])
    events = listen(line(noisy(sound, -50, 3)))
    assert [type(e) for e in events] == [FaxMaybe, FaxHeard] * 2
    assert faxes(events) == ["calling", "calling"]
    assert events[1].known <= frames(LEAD_MS + 425 + 200)


@pytest.mark.parametrize("hz", [2085.0, 2100.0, 2115.0])
@pytest.mark.parametrize("reversals", [False, True])
def test_fax_answer(hz: float, reversals: bool) -> None:
    sound = tone((hz,), -30, 2600)
    if reversals:
        sound = sound * np.where(np.arange(len(sound)) // frames(450) % 2, -1, 1)  # V.25, V.8
    sound *= 1 + 0.2 * np.sin(2 * np.pi * 15 / RATE_HZ * np.arange(len(sound))) * reversals  # ANSam
    events = listen(line(noisy(np.concatenate([quiet(LEAD_MS), sound]), -50, 4)))
    assert [type(e) for e in events] == [FaxMaybe, FaxHeard]
    assert faxes(events) == ["answer"]
    assert events[1].known <= frames(LEAD_MS + 500 + 200)


def test_fax_tones_of_another_generator() -> None:
    audio = np.concatenate([np.pad(sox((1100.0,), 500), (frames(LEAD_MS), frames(3000))), sox((2100.0,), 2600)])
    assert faxes(listen(audio)) == ["calling", "answer"]


def test_a_short_beep_is_no_fax() -> None:
    beeps = [np.concatenate([tone((hz,), -12, ms), quiet(500)]) for hz, ms in ((1100, 350), (2100, 400), (1400, 900))]
    events = listen(line(np.concatenate(beeps)))
    assert faxes(events) == heard(events) == []


@pytest.mark.parametrize("hz", [1065.0, 1100.0, 1135.0, 2090.0, 2100.0, 2110.0])
@pytest.mark.parametrize("dbm0", [-10.0, -33.0])
def test_a_fax_may_be_there_within_200_ms(hz: float, dbm0: float) -> None:
    which = "calling" if hz < 2000 else "answer"
    for lead in range(3200, 3200 + CHUNK, 47):
        sound = np.concatenate([np.zeros(lead), tone((hz,), dbm0, 700), quiet(300)])
        maybe, fax = listen(line(noisy(sound, dbm0 - 18, lead)))
        assert isinstance(maybe, FaxMaybe)
        assert isinstance(fax, FaxHeard)
        assert maybe.which == fax.which == which
        assert maybe.at == fax.at
        assert abs(maybe.at - lead) <= frames(12)
        assert lead + frames(80) <= maybe.known <= lead + frames(200)


@pytest.mark.parametrize("hz", [1100.0, 2100.0])
def test_what_may_have_been_a_fax_is_taken_back(hz: float) -> None:
    for lead in range(3200, 3200 + CHUNK, 47):
        maybe, gone_again = listen(line(np.concatenate([np.zeros(lead), tone((hz,), -15, 300), quiet(500)])))
        assert isinstance(maybe, FaxMaybe)
        assert isinstance(gone_again, FaxGone)
        end = lead + frames(300)
        assert abs(gone_again.at - end) <= frames(12)
        assert end < gone_again.known <= end + frames(45 + 160)


def test_50_ms_are_not_worth_a_word_and_neither_are_others_tones() -> None:
    for lead in range(3200, 3200 + CHUNK, 47):
        for hz in ((1100,), (2100,)):
            assert listen(line(np.concatenate([np.zeros(lead), tone(hz, -15, 50), quiet(500)]))) == []
        others = [tone(hz, -15, 700) for hz in ((1209,), (1020,), (2040,), (2200,))]
        assert doubts(listen(line(np.concatenate([np.zeros(lead), *others, quiet(500)])))) == []


def test_a_fax_that_sight_is_lost_of_is_taken_back() -> None:
    detector = ToneDetector(1)
    sound = line(np.concatenate([quiet(400), tone((1100,), -15, 240)]))
    assert [type(e) for e in detector.follow(sound[None], 0)] == [FaxMaybe]
    detector.reset_at_gap()
    (gone_again,) = detector.follow(np.zeros((1, 4 * CHUNK), np.int16), 100 * CHUNK + 13)
    assert gone_again == FaxGone(0, 102 * CHUNK, 100 * CHUNK + 13)


def test_no_tone_in_made_speech(tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = []
    voices_made = Voices(tmp_path_factory.getbasetemp() / "voices")
    for speaker, language, text in (
        ("staff", "en", "You all knew who moved the moon, too soon, you do, and who would do so for you alone. " * 6),
        ("caller", "en", "Ooh. No. Hello, I owe you all a new loan. Who knew? More, more, you owe more. " * 6),
        ("staff", "ko", "여보세요, 우리 동네 도로에 구멍이 났는데요, 누구에게 문의하나요. " * 6),
        ("caller", "ko", "오늘 오후 두 시 오 분에 주무관님과 통화하고 싶습니다. " * 6),
    ):
        said = voices_made.say(text, language, speaker)  # type: ignore[arg-type]
        rows += [said * gain for gain in (0.2, 1.0, 1.8)]
    longest = max(len(row) for row in rows)
    events = listen(np.stack([line(np.pad(row, (0, longest - len(row)))) for row in rows]))
    assert heard(events) == []
    assert faxes(events) == []
    assert {e.line for e in voices(events)} == set(range(len(rows)))


def test_no_tone_in_human_speech() -> None:
    files = sorted(PROMPTS.glob("en*/**/*.wav"))[::2]
    if not files:
        pytest.skip(f"no recorded prompts in {PROMPTS} (Debian: asterisk-core-sounds-en-wav)")
    parts = [_prompt(path) for path in files]
    spoken = np.concatenate(parts)
    rows = spoken[: len(spoken) // (8 * CHUNK) * 8 * CHUNK].reshape(8, -1)
    events = listen(rows)
    assert heard(events) == []
    assert len(doubts(events)) <= 3 * spoken.size / RATE_HZ / 3600  # an hour
    assert faxes(events) == []
    assert len(voices(events)) > len(files) // 4


def _prompt(path: Path) -> I16:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)


def test_steady_noise_is_no_voice_and_neither_are_clicks() -> None:
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((3, frames(8000))) * np.array([[rms_of(d)] for d in (-20.0, -35.0, -60.0)])
    noise[:, :: frames(1000)] += 8000
    assert listen(line(noise)) == []


TALK = ("Good morning, city hall, how may I help?", "Yes, I would like to know when the office opens tomorrow.")


def conversation(tmp_path_factory: pytest.TempPathFactory, dbm0: float) -> F64:
    """About six seconds of two people."""
    voices_made = Voices(tmp_path_factory.getbasetemp() / "voices")
    gain = 10 ** ((dbm0 - MADE_DBM0) / 20)
    said = [voices_made.say(TALK[0], "en", "staff") * gain, quiet(500), voices_made.say(TALK[1], "en", "caller") * gain]
    return np.concatenate(said)


@pytest.mark.parametrize("dbm0", [-12.0, -25.0, -38.0])
def test_two_seconds_of_voice_are_talk(tmp_path_factory: pytest.TempPathFactory, dbm0: float) -> None:
    talk = conversation(tmp_path_factory, dbm0)
    events = listen(line(noisy(np.concatenate([quiet(LEAD_MS), talk, quiet(1000)]), -62, 6)))
    (talked,) = talks(events)
    assert talked.at == voices(events)[0].at
    assert frames(LEAD_MS + 2000) <= talked.known <= frames(LEAD_MS) + len(talk)


def test_talk_is_reported_again_only_when_it_has_worn_off(tmp_path_factory: pytest.TempPathFactory) -> None:
    talk = conversation(tmp_path_factory, -20)
    for between, times in ((quiet(5000), 1), (quiet(9000), 2), (cadenced((480, 620), -16, (500, 500), 2), 2)):
        assert len(talks(listen(line(noisy(np.concatenate([talk, between, talk]), -62, 7))))) == times


def test_a_word_now_and_then_is_no_talk(tmp_path_factory: pytest.TempPathFactory) -> None:
    word = conversation(tmp_path_factory, -20)[: frames(700)]
    events = listen(line(noisy(np.concatenate([word, quiet(5000)] * 8), -62, 8)))
    assert len(voices(events)) >= 8
    assert talks(events) == []


def test_tones_with_their_pauses_are_no_talk() -> None:
    rows = [
        noisy(cadenced(shape.hz, dbm0, shape.cadence_ms, 40_000 // sum(shape.cadence_ms))[: frames(36_000)], -60, key)
        for key, (shape, dbm0) in enumerate(itertools.product(KR_TONES, (-10.0, -24.0, -35.0)))
        if shape.cadence_ms
    ]
    events = listen(np.stack([line(row) for row in rows]))
    assert talks(events) == []
    assert voices(events) == []


def test_noises_too_short_for_a_word_are_no_talk() -> None:
    rng = np.random.default_rng(11)
    knock = np.concatenate([rng.standard_normal(frames(180)) * rms_of(-20.0), quiet(320)])
    assert listen(line(noisy(np.tile(knock, 60), -62, 10))) == []


def test_neither_digits_nor_tones_that_nobody_learnt_are_talk() -> None:
    dialled = [np.concatenate([dtmf(key, frames(ms)).render(0, frames(ms)), quiet(ms)]) for ms in (120, 250) for key in
               "0123456789*#"]  # fmt: skip
    rows = [
        np.concatenate(dialled * 3),
        cadenced((425,), -16, (500, 500), 24),
        cadenced((400, 425), -25, (250, 250), 48),
    ]
    n = frames(24_000)
    events = listen(
        np.stack([line(noisy(np.pad(row[:n], (0, n - len(row[:n]))), -55, i)) for i, row in enumerate(rows)])
    )
    assert talks(events) == []


def _day(tmp_path_factory: pytest.TempPathFactory) -> I16:
    """Six lines with a mixture of all signals, 12 s."""
    talk = speech(tmp_path_factory, -20)
    rows = [
        np.concatenate([tone((350, 440), -16, 1100), quiet(700), cadenced((440, 480), -21, (1000, 2000), 2), talk]),
        np.concatenate([talk, cadenced((480, 620), -19, (300, 200), 8), quiet(1000), talk]),
        np.concatenate([quiet(333), cadenced((450,), -15, (200, 100, 200, 1500), 4), talk]),
        np.concatenate([cadenced((1100,), -20, (500, 3000), 2), tone((1100,), -20, 250), tone((2100,), -20, 2600)]),
        np.concatenate([quiet(1500), conversation(tmp_path_factory, -30)]),
        np.concatenate([quiet(3000), noisy(np.concatenate([quiet(2000), talk]), -35, 99), noisy(quiet(4000), -35, 98)]),
    ]
    n = frames(12_000)
    return np.stack([line(noisy(np.pad(row, (0, max(0, n - len(row))))[:n], -55, i)) for i, row in enumerate(rows)])


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[I16, list[ToneEvent]]:
    audio = _day(tmp_path_factory)
    events = ToneDetector(len(audio)).follow(audio, 800)
    assert {type(event) for event in events} == set(get_args(ToneEvent))
    return audio, events


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 95_999), max_size=60, unique=True))
def test_cutting_changes_nothing(day: tuple[I16, list[ToneEvent]], cuts: list[int]) -> None:
    audio, expected = day
    detector = ToneDetector(len(audio))
    events: list[ToneEvent] = []
    for a, b in itertools.pairwise([0, *sorted(cuts), audio.shape[1]]):
        batch = detector.follow(audio[:, a:b], 800 + a)
        assert all(800 + a < event.known <= 800 + b for event in batch)
        events += batch
    assert events == expected


AGAIN = frames(10_000)  # a restarted recorder processes the last ten seconds again


@pytest.fixture(scope="module")
def always(day: tuple[I16, list[ToneEvent]]) -> tuple[I16, list[ToneEvent]]:
    """Four such days in sequence, on another row each, and the events of a continuous detector."""
    audio = np.concatenate([np.roll(day[0], turn, axis=0) for turn in range(4)], axis=1)
    return audio, ToneDetector(len(audio)).follow(audio, 800)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_detects_the_same_after_ten_seconds_as_if_it_had_always_listened(
    always: tuple[I16, list[ToneEvent]], data: st.DataObject
) -> None:
    audio, events = always
    point = data.draw(st.integers(AGAIN, audio.shape[1] - frames(1000)))
    later = [e for e in events if e.known > 800 + point]
    detector = ToneDetector(len(audio))
    detector.follow(audio[:, point - AGAIN : point], 800 + point - AGAIN)
    again = detector.follow(audio[:, point:], 800 + point)
    assert [e for e in again if not isinstance(e, TalkHeard)] == [e for e in later if not isinstance(e, TalkHeard)]
    # Talk is remembered for longer than ten seconds: earlier talk does not count.
    for row in range(len(audio)):
        told, told_again = ([e for e in talks(events) if e.line == row] for events in (later, again))
        assert told[1:] == told_again[len(told_again) - len(told) + 1 :]
        assert abs(len(told) - len(told_again)) <= 1


def test_voice_behind_ten_seconds_of_a_tone_is_heard_a_word_later_at_most(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """During a tone no noise floor is visible: a detector started there takes the first sound for the floor."""
    sound = np.concatenate([quiet(1000), tone((350, 440), -16, 11_000), conversation(tmp_path_factory, -20)])
    audio = line(noisy(np.pad(sound, (0, -len(sound) % CHUNK)), -55, 9))[None]
    point = frames(12_000)
    first = voices(ToneDetector(1).follow(audio, 0))[0]
    again = voices(ToneDetector(1).follow(audio[:, point - AGAIN :], point - AGAIN))[0]
    assert first.known <= again.known <= first.known + frames(1000)


def test_a_gap_voids_what_was_half_heard() -> None:
    busy = line(cadenced((480, 620), -16, (500, 500), 4))[: 3 * RATE_HZ // CHUNK * CHUNK]
    detector = ToneDetector(1)
    assert detector.follow(busy[None, : len(busy) // 2 // 80 * 80], 0) == []
    detector.reset_at_gap()
    assert detector.follow(busy[None], 100 * CHUNK) == []


def test_a_tone_lost_sight_of_is_gone_unless_it_comes_back() -> None:
    ringback = line(cadenced((440, 480), -21, (1000, 2000), 2))
    for after, expected in ((ringback, []), (np.zeros_like(ringback), ["ringback"])):
        detector = ToneDetector(1)
        assert heard(detector.follow(ringback[None, : 20 * CHUNK], 0)) == ["ringback"]
        detector.reset_at_gap()
        assert gone(detector.follow(after[None], 1000 * CHUNK)) == expected


def test_no_audio_makes_it_stumble() -> None:
    n = frames(4000)
    square = np.where(np.arange(n) // 8 % 2, 32767, -32768)
    slow = np.where(np.arange(n) // frames(500) % 2, 32767, -32768)
    clicks = np.where(np.arange(n) % 1999 == 0, 32767, 0)
    rows = np.stack([square, slow, clicks, np.full(n, 32767), np.full(n, -32768), np.zeros(n)]).astype(np.int16)
    with np.errstate(all="raise"):
        events = listen(rows)
    assert heard(events) == []
    assert faxes(events) == []
