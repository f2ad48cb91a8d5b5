# SPDX-License-Identifier: Apache-2.0
"""The DTMF receiver at Q.24's limits, compared with libspandsp, in human speech, and with gaps in its audio."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from anchors import spandsp
from anchors.people import PROMPTS, people
from dtmf_rig import Case, correct, events, heard, noise, random_keys, samples, string, tone
from linetap.recorder.signals.dtmf.detector import Digit, DtmfDetector
from linetap.recorder.signals.dtmf.gate import KEYS
from linetap.ring import I16
from linetap_bench.sounds.synth import F64
from linetap_core.codecs.g711 import peak_of

COUNT = 96
with_people = pytest.mark.skipif(not PROMPTS.is_dir(), reason="no recorded prompts (asterisk-core-sounds-en-wav)")
with_spandsp = pytest.mark.skipif(not spandsp.installed(), reason="libspandsp is not installed (libspandsp2t64)")


TAKEN = {
    "plain": Case(),
    "loud": Case(-3, -3),
    "faint": Case(-26, -26),
    "column-4-db-up": Case(-14, -10),
    "row-8-db-up": Case(-10, -18),
    "column-4-db-up-faint": Case(-26, -22),
    "row-8-db-up-faint": Case(-18, -26),
    "1.5-percent-up": Case(off_percent=1.5),
    "1.5-percent-down": Case(off_percent=-1.5),
    "15-db-noise": Case(snr_db=15),
    "15-db-noise-faint": Case(-26, -26, snr_db=15),
    "40-ms": Case(on_ms=40, off_ms=40),
    "held": Case(on_ms=700),
    "all-limits-column-up": Case(-14, -10, 1.4, snr_db=15),
    "all-limits-row-up": Case(-10, -17.5, -1.4, snr_db=15),
}
NOT_TAKEN = {
    "20-ms": Case(on_ms=20, off_ms=60),
    "23-ms": Case(on_ms=23, off_ms=60),
    "20-ms-noise": Case(on_ms=20, off_ms=60, snr_db=15),
    "3.5-percent-up": Case(off_percent=3.5),
    "3.5-percent-down": Case(off_percent=-3.5),
    "far-too-faint": Case(-36, -36),
    "column-alone": Case(-40, -10),
    "row-alone": Case(-10, -40),
}
COVERED = {"6-db-noise": Case(snr_db=6), "speech": Case(speech_dbm0=-16)}


@pytest.mark.parametrize("name", TAKEN)
def test_takes_every_digit_at_the_limit(name: str) -> None:
    rng = np.random.default_rng(1)
    keys = random_keys(rng, COUNT)
    assert heard(TAKEN[name].audio(rng, keys)) == keys


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_takes_none_beyond_the_limit(name: str) -> None:
    rng = np.random.default_rng(2)
    assert heard(NOT_TAKEN[name].audio(rng, random_keys(rng, COUNT))) == ""


@with_spandsp
@pytest.mark.parametrize("name", TAKEN)
def test_never_behind_libspandsp(name: str) -> None:
    rng = np.random.default_rng(3)
    keys = random_keys(rng, COUNT)
    audio = TAKEN[name].audio(rng, keys)
    assert correct(keys, heard(audio)) >= correct(keys, spandsp.dtmf_heard(audio))


@with_spandsp
@with_people
@pytest.mark.parametrize("name", COVERED)
def test_ahead_of_libspandsp_in_noise_and_under_speech(name: str) -> None:
    rng = np.random.default_rng(4)
    keys = random_keys(rng, 4 * COUNT)
    audio = COVERED[name].audio(rng, keys)
    ours, anchor = correct(keys, heard(audio)), correct(keys, spandsp.dtmf_heard(audio))
    assert ours > anchor
    assert ours >= 0.95 * len(keys)


@with_people
@pytest.mark.parametrize("slower", [1.0, 1.2])
def test_no_digit_in_human_speech(slower: float) -> None:
    """Prompts at -12 dBm0; at other speeds they are other voices."""
    speech = people(-12, 32)
    if slower != 1.0:
        speech = samples(resample_poly(speech.astype(np.float64), round(slower * 10), 10))
    assert heard(speech) == ""


def test_a_break_of_10_ms_is_bridged_and_a_gap_of_40_ms_is_not() -> None:
    for break_ms, said in ((5, "7"), (10, "7"), (40, "77")):
        for shift in range(0, 80, 7):
            pair = [
                np.zeros(800 + shift),
                tone("7", 40),
                np.zeros(8 * break_ms),
                tone("7", 40, phase=2.0),
                np.zeros(4000),
            ]
            assert heard(samples(np.concatenate(pair))) == said, (break_ms, shift)


def test_tells_where_it_began_where_it_ended_and_how_loud_it_was() -> None:
    for at in (8000, 8013, 8071):
        for on_ms in (45, 120, 1000):
            parts = [np.zeros(at), tone("*", on_ms, -12, -10), np.zeros(4000)]
            (digit,) = events(samples(np.concatenate(parts)), frame=16_000)
            assert digit.digit == "*"
            assert abs(digit.at - 16_000 - at) <= 20
            assert abs(digit.end - digit.at - 8 * on_ms) <= 30
            assert abs(digit.level_dbm0 - -11) < 0.3
            assert digit.end <= digit.known <= digit.end + 8 * 150


def test_noise_behind_a_held_key_does_not_lengthen_it() -> None:
    rng = np.random.default_rng(10)
    for on_ms in range(60, 380, 4):
        x = np.concatenate([np.zeros(1600), tone("6", on_ms), np.zeros(4000)])
        (digit,) = events(samples(x + noise(rng, len(x), -22)))
        assert abs(digit.end - 1600 - 8 * on_ms) <= 40, on_ms


def test_the_same_key_again_and_again() -> None:
    rng = np.random.default_rng(11)
    for key in "1D*":
        x = string(rng, key * 80, 40, 40, -10, -17.5, 1.4)
        assert heard(samples(x + noise(rng, len(x), -9.3 - 15))) == key * 80
        x = string(rng, key * 80, 34, 40)  # shorter than required: no press may be lost by being judged in two pieces
        assert heard(samples(x + noise(rng, len(x), -7 - 15))) == key * 80
        x = string(rng, key * 80, 40, 40, -10, -14, 3.5)
        assert heard(samples(x + noise(rng, len(x), -8.5 - 15))) == ""


@pytest.mark.parametrize("dial_dbm0", [-22, -5])
def test_first_digit_lies_over_the_dial_tone(dial_dbm0: float) -> None:
    rng = np.random.default_rng(5)
    x = string(rng, KEYS, 60, 60)
    t = np.arange(len(x)) * (2 * np.pi / 8000)
    assert heard(samples(x + peak_of(dial_dbm0) * (np.sin(350 * t) + np.sin(440 * t)))) == KEYS


def _modem(rng: np.random.Generator, mark: float, space: float) -> F64:
    bits = rng.integers(0, 2, 12_000).repeat(20)[::3]
    return peak_of(-12) * np.sin(np.cumsum(np.where(bits, mark, space)) * (2 * np.pi / 8000))


def _tones(*hz: float) -> F64:
    t = np.arange(16_000) * (2 * np.pi / 8000)
    return peak_of(-12) * np.sum([np.sin(f * t) for f in hz], axis=0)


NO_DIGITS = {
    "silence": np.zeros(16_000),
    "stuck": np.full(16_000, 32767.0),
    "square-full-scale": np.where(np.arange(16_000) % 10 < 5, 32767.0, -32768.0),
    "square-of-a-row": np.sign(_tones(697)) * 32767,
    "square-of-a-column": np.sign(_tones(1209)) * 32767,
    "clicks": np.where(np.arange(16_000) % 997 == 0, 32767.0, 0.0),
    "noise": noise(np.random.default_rng(6), 160_000, -6),
    "dial-tone": _tones(350, 440),
    "busy": _tones(480, 620),
    "fax": _tones(1100),
    "answer": _tones(2100),
    "bell-202": _modem(np.random.default_rng(7), 1200, 2200),
    "v.23": _modem(np.random.default_rng(8), 1300, 2100),
    "two-rows": _tones(697, 941),
    "two-rows-and-a-column": _tones(770, 941, 1336),
}


@pytest.mark.parametrize("name", NO_DIGITS)
def test_what_is_no_digit(name: str) -> None:
    with np.errstate(all="raise"):
        assert heard(samples(NO_DIGITS[name])) == ""


def _noisy_lines() -> I16:
    """Four lines: digits clean, digits in noise, held keys, breaks."""
    rng = np.random.default_rng(9)
    held = np.concatenate([np.zeros(900), tone("5", 400), np.zeros(330), tone("5", 230), tone("6", 300)])
    broken = [
        np.zeros(777),
        *[part for key in KEYS for part in (tone(key, 44), np.zeros(90), tone(key, 31), np.zeros(360))],
    ]
    lines = [string(rng, KEYS), string(rng, KEYS[::-1]), held, np.concatenate(broken)]
    length = max(map(len, lines)) // 80 * 80 + 1600
    x = np.stack([np.concatenate([line, np.zeros(length - len(line))]) for line in lines])
    x[1] += noise(rng, length, -15)
    return np.rint(x).astype(np.int16)


LINES = _noisy_lines()
FRAME = 123 * 80 + 13  # a ring need not begin on the detector's grid


def _whole() -> list[Digit]:
    return DtmfDetector(len(LINES)).follow(LINES, FRAME)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=40))
def test_does_not_depend_on_how_audio_is_cut(cuts: list[int]) -> None:
    detector = DtmfDetector(len(LINES))
    got: list[Digit] = []
    at, turn = 0, 0
    while at < LINES.shape[1]:
        step = cuts[turn % len(cuts)]
        got += detector.follow(LINES[:, at : at + step], FRAME + at)
        at, turn = at + step, turn + 1
    assert sorted(got) == _whole()


LONG = np.tile(LINES, 8)
HEARD_AGAIN = 80_000  # a restarted recorder processes the last ten seconds again


@settings(max_examples=15)
@given(st.integers(HEARD_AGAIN, LONG.shape[1] - 4000))
def test_detects_the_same_after_ten_seconds_as_if_it_had_always_listened(point: int) -> None:
    expected = [digit for digit in _of_long() if digit.known > FRAME + point]
    detector = DtmfDetector(len(LONG))
    detector.follow(LONG[:, point - HEARD_AGAIN : point], FRAME + point - HEARD_AGAIN)
    assert detector.follow(LONG[:, point:], FRAME + point) == expected
    assert expected


@cache
def _of_long() -> list[Digit]:
    return DtmfDetector(len(LONG)).follow(LONG, FRAME)


def test_does_not_depend_on_where_listening_began() -> None:
    for late in (37, 80, 333):
        assert DtmfDetector(len(LINES)).follow(LINES[:, late:], FRAME + late) == _whole()


def test_lines_do_not_hear_each_other() -> None:
    for line in range(len(LINES)):
        alone = DtmfDetector(1).follow(LINES[line : line + 1], FRAME)
        together = [digit for digit in _whole() if digit.line == line]
        assert [(d.known, d.at, d.end, d.digit) for d in alone] == [(d.known, d.at, d.end, d.digit) for d in together]
        assert alone


def test_a_gap_voids_what_was_half_heard() -> None:
    audio = samples(np.concatenate([np.zeros(800), tone("3", 200), np.zeros(1600)]))[None]
    for cut, said in ((1040, "3"), (2240, "")):  # 30 ms of it before the gap and 170 ms after it; 180 ms and 20 ms
        detector = DtmfDetector(1)
        got = detector.follow(audio[:, :cut], 0)
        detector.reset_at_gap()
        got += detector.follow(audio[:, cut:], 800_000 + cut)
        assert "".join(digit.digit for digit in got) == said
        assert all(digit.at >= 800_000 + cut - 20 for digit in got)
