# SPDX-License-Identifier: Apache-2.0
"""The random day: its truth compared with the rendered lines by other means; and the table's counting."""

from __future__ import annotations

import wave
from pathlib import Path

import msgspec
import numpy as np
import pytest

from anchors.programs import multimon_dtmf
from linetap.config.schema import Recording
from linetap.notices import Notice, load_notices
from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap.recorder.calls.answer import handle_answer
from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.table import TABLE
from linetap.recorder.signals.events import Event
from linetap.ring import I16
from linetap_bench.day import mix, recorder
from linetap_bench.day.command import Bench
from linetap_bench.day.draw import DayCall, Draw
from linetap_bench.day.judge import Table
from linetap_bench.day.mix import MIX, kinds_matching
from linetap_bench.exchange.linetimeline import LineTimeline
from linetap_bench.exchange.timeline import Timeline
from linetap_bench.script.callkeys import Call
from linetap_bench.script.script import check_call
from linetap_bench.script.timing import times_of
from linetap_bench.sounds.voices import Voices
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source

VOICES = Path(__file__).parents[2] / "build" / "voices"  # kept between runs, under a hash of all its inputs
SEED, COUNT = 7, 24
FULL_SCALE_DBM0 = 3.14  # ITU-T G.711, clause 5: a sine of the highest code


@pytest.fixture(scope="module")
def voices() -> Voices:
    return Voices(VOICES)


@pytest.fixture(scope="module")
def notices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Notice]:
    folder = tmp_path_factory.mktemp("notices")
    make_default_notices(folder, ANNOUNCEMENTS)
    return load_notices(folder)


@pytest.fixture(scope="module")
def day(voices: Voices) -> list[DayCall]:
    return mix.calls_of_day(SEED, COUNT, voices)


@pytest.fixture(scope="module")
def lines(day: list[DayCall], voices: Voices) -> dict[int, LineTimeline]:
    return timelines(day, SEED, voices)


def timelines(day: list[DayCall], seed: int, voices: Voices) -> dict[int, LineTimeline]:
    """The timelines by line number, which render any stretch."""
    numbers = list(range(1, recorder.LINES + 1))
    return dict(zip(numbers, Timeline(mix.script_of(day, seed), voices, numbers).lines, strict=True))


def audio(line: LineTimeline, first_ms: int, end_ms: int) -> I16:
    return line.audio(8 * first_ms, 8 * (end_ms - first_ms))


def dbm0(samples: I16) -> float:
    return float(10 * np.log10(max(1e-9, (samples.astype(float) ** 2).mean() / (32767**2 / 2))) + FULL_SCALE_DBM0)


def goertzel_dbm0(samples: I16, hz: float) -> float:
    """The level of one frequency, by Goertzel's definition."""
    turn = np.exp(-2j * np.pi * hz / 8000 * np.arange(len(samples)))
    peak = 2 * abs((samples * turn).mean())
    return float(20 * np.log10(max(1e-9, peak / 32767)) + FULL_SCALE_DBM0)


def test_more_calls_change_none_of_those_before(day: list[DayCall], voices: Voices) -> None:
    assert mix.calls_of_day(SEED, COUNT // 2, voices) == day[: COUNT // 2]
    assert mix.calls_of_day(SEED + 1, COUNT // 2, voices) != day[: COUNT // 2]


def test_the_hook_opens_and_closes_where_the_truth_says(day: list[DayCall], lines: dict[int, LineTimeline]) -> None:
    seen = 0
    for each in day:
        hook = lines[each.call.line].hook.render(0, each.truth.ended_ms + 100) != 0
        truth = each.truth
        first = truth.began_ms if each.call.direction == "out" else truth.answer_ms
        if first is None:
            assert not hook[truth.began_ms : truth.ended_ms].any()
            continue
        assert not hook[first - 1]
        assert hook[first + 20]  # bounce is over
        assert hook[truth.ended_ms - 1]
        assert not hook[truth.ended_ms + 20]
        seen += 1
    assert seen > COUNT // 2


def test_ringback_is_on_the_line_until_the_answer_and_not_behind_it(voices: Voices) -> None:
    day = mix.calls_of_day(11, 5, voices, kinds_matching("^out: (ringback|second dial tone)$"))
    of_line = timelines(day, 11, voices)
    for each in day:
        answer, line = each.truth.answer_ms, of_line[each.call.line]
        assert answer is not None
        dialled = answer - round(1000 * (each.call.progress_s or 0))
        first = dialled + round(1000 * each.call.ringback_after_s)
        for at in range(first + 100, answer - 400, 3000):  # a burst each three seconds
            assert min(goertzel_dbm0(audio(line, at, at + 300), hz) for hz in (440, 480)) > -35
        for at in range(answer + 20, each.truth.ended_ms - 400, 3000):
            both = [goertzel_dbm0(audio(line, at, at + 300), hz) for hz in (440, 480)]
            assert min(both) < -35


def test_who_speaks_is_heard_where_the_truth_says(day: list[DayCall], lines: dict[int, LineTimeline]) -> None:
    heard = 0
    for each in day:
        line = lines[each.call.line]
        for who, first, end in each.truth.speech:
            if end - first > 500 and not (who == "caller" and each.call.caller_dbm0 < -35):
                assert dbm0(audio(line, first, end)) > -48, (each.number, who)
                heard += 1
    assert heard > COUNT


def test_multimon_ng_detects_the_digits_that_the_truth_has(voices: Voices) -> None:
    day = [each for each in mix.calls_of_day(11, 24, voices) if each.call.direction == "out" and each.call.digits]
    assert len(day) > 5
    of_line = timelines(day, 11, voices)
    heard = 0
    for each in day:
        if each.call.dialling == "dtmf" and not any(sound.after == "off_hook" for sound in each.call.sound):
            dialled = times_of(each.call).dialled
            assert dialled
            heard_there = multimon_dtmf(audio(of_line[each.call.line], each.truth.began_ms, dialled + 200))
            assert heard_there == each.call.digits
            heard += 1
    assert heard > 5


def test_music_in_the_place_of_ringback_ends_at_the_answer(voices: Voices) -> None:
    """Loud until then, and silent in the half second before the first word."""
    day = mix.calls_of_day(5, 5, voices, kinds_matching("^out: colour ring"))
    of_line = timelines(day, 5, voices)
    for each in day:
        line, answer = of_line[each.call.line], each.truth.answer_ms
        assert answer is not None
        ring, spoken = audio(line, answer - 2000, answer), min(first for _, first, _ in each.truth.speech)
        assert spoken >= answer + 250
        assert dbm0(ring) - dbm0(audio(line, answer + 20, spoken)) > 8


def at_once(line: LineContext, event: Event) -> None:
    line.call.dialled += event.text
    handle_answer(line, event, "tone")


def test_a_recorder_that_announces_at_once_is_counted_as_before_the_answer(
    monkeypatch: pytest.MonkeyPatch, voices: Voices, notices: dict[str, Notice]
) -> None:
    monkeypatch.setitem(TABLE, ("off_hook", "digit"), at_once)
    table = Table()
    Bench(voices, notices, Recording(internal_pattern="^x$")).day(SEED, COUNT, table)
    wanted = [
        each.number
        for each in mix.calls_of_day(SEED, COUNT, voices)
        if each.truth.kind.startswith("out:") and each.truth.expected == "recorded" and each.call.digits
    ]
    assert len(wanted) > COUNT // 5
    before = {failure.call for failure in table.failures if "announced before" in failure.faults}
    assert before >= set(wanted)
    assert table.total("unanswered") > 0
    told_too_early = {
        each.number for each in mix.calls_of_day(SEED, COUNT, voices) if each.truth.expected == "recorded"
    }
    assert {each.call for each in table.failures if "full_wrongly" in each.faults} & told_too_early <= before
    assert table.total("full_wrongly") > len(wanted) // 2


def test_a_call_alone_comes_to_the_same_as_in_its_day(
    monkeypatch: pytest.MonkeyPatch,
    voices: Voices,
    notices: dict[str, Notice],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The 34th call is the second of its line; a recorder that plays notices at once fails in each."""
    monkeypatch.setitem(TABLE, ("off_hook", "digit"), at_once)
    kinds, failed = kinds_matching("^out: (colour ring, music|ringback)$"), 34
    table = Table()
    bench = Bench(voices, notices, Recording(), kinds)
    bench.day(3, failed, table)
    assert bench.only(3, failed, tmp_path / "call.wav") == 1
    said = capsys.readouterr().out.splitlines()
    (failure,) = [each for each in table.failures if each.call == failed]
    assert msgspec.json.decode(said[-2])["summary"] == failure.summary
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert file.getnframes() > 8 * 5000


def test_a_recorder_that_keeps_no_record_loses_every_call(
    monkeypatch: pytest.MonkeyPatch, voices: Voices, notices: dict[str, Notice]
) -> None:
    monkeypatch.setattr(recorder, "follow", lambda *_args: ([], {}))
    table = Table()
    Bench(voices, notices, Recording()).day(SEED, 8, table)
    assert table.total("lost") == 8


@pytest.mark.parametrize("kind", list(MIX))
def test_every_kind_is_a_call_that_a_script_may_hold(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "calls.toml"
    path.write_text("")
    for seed in range(8):
        sketch = MIX[kind][1](Draw(np.random.default_rng(seed)))
        call = msgspec.convert(msgspec.to_builtins(sketch.call), Call)  # each key within its limits
        source = Source(path)
        check_call(call, ("call", 0), source)
        source.check()
        assert not kind.startswith("none") or times_of(call).answer is None
        assert not kind.startswith(("in: a", "out")) or times_of(call).answer is not None


def test_a_kind_that_nobody_has_is_bad_input() -> None:
    with pytest.raises(BadInput, match="there are out: ringback"):
        kinds_matching("telegram")
    with pytest.raises(BadInput, match="--kinds"):
        kinds_matching("(")
    assert kinds_matching("colour ring, pop") == ["out: colour ring, pop song"]
