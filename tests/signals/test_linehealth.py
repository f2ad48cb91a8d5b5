# SPDX-License-Identifier: Apache-2.0
"""Each fault of a line: when it is reported and withdrawn, and ordinary calls without a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.config.profile import KR_PSTN, HealthNumbers
from linetap.config.schema import Line
from linetap.learned import Learned
from linetap.recorder.signals.health.linehealth import CODES, LineHealth
from linetap.ring import I16, NO_VOLTS, RATE_HZ, Batch, gap_batch
from linetap_bench.exchange.timeline import Timeline
from linetap_bench.script.script import load_script
from linetap_bench.sounds.synth import rms_of
from linetap_bench.sounds.voices import Voices, default_folder

SCENARIOS = Path(__file__).parents[1] / "scenarios"
N = HealthNumbers()
BATTERY, LOOP = -48.0, -8.0
AT = "2026-11-24T22:56:00.000Z"


def noise(dbm0: float, seconds: float, seed: int = 0) -> I16:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ)) * rms_of(dbm0)
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def speech(dbm0: float, seconds: float, idle_dbm0: float = -68.0) -> I16:
    """Speech in two of three seconds, at this level; the rest is the line's own noise."""
    said = np.arange(round(seconds * RATE_HZ)) % (3 * RATE_HZ) < 2 * RATE_HZ
    return np.where(said, noise(dbm0, seconds), noise(idle_dbm0, seconds, 1)).astype(np.int16)


def tone(dbm0: float, seconds: float, *hz: float) -> I16:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    waves = sum(np.sin(2 * np.pi * each * at + each) for each in hz) * rms_of(dbm0) * np.sqrt(2 / len(hz))
    samples: I16 = np.clip(np.rint(waves + noise(-68.0, seconds)), -32768, 32767).astype(np.int16)
    return samples


WELL = noise(-68.0, 1.0, 7)


class Rig:
    """The line under test, followed by a line that is and must stay without fault."""

    def __init__(self, learned: Learned | None = None, exempt: bool = False, profile: Any = KR_PSTN) -> None:
        lines = [Line(number=1, channel=1, exempt=exempt), Line(number=2, channel=2)]
        self.health = LineHealth(lines, [profile, KR_PSTN], {1: learned} if learned else {})
        self.frame = 0

    def pass_s(
        self,
        seconds: float,
        volts: float | None = BATTERY,
        audio: I16 | float = -68.0,
        use: bool = False,
        active: bool | None = None,
        notice: bool = False,
        ring: bool = False,
        hook: bool = False,
        slots: int = 10,
    ) -> list[str]:
        """The faults after this time. `audio`: samples of that length, or the level of noise."""
        if isinstance(audio, float):
            audio = noise(audio, seconds, self.frame)
        for first in range(0, len(audio) // 80 * 80, slots * 80):
            piece = audio[first : first + slots * 80]
            self._batch(piece[: len(piece) // 80 * 80], volts, use, active, notice, ring, hook)
        assert self.health.troubles(1) == []
        return self.health.troubles(0)

    def _batch(
        self, audio: I16, volts: float | None, use: bool, active: bool | None, notice: bool, ring: bool, hook: bool
    ) -> None:
        n, slots = len(audio), len(audio) // 80
        both = np.zeros((2, n // 8), np.bool_)
        read = np.full((2, slots), NO_VOLTS if volts is None else round(volts * 100), np.int16)
        read[1] = -4800
        tags = np.zeros((slots, 2), np.uint32)
        tags[:, 0] = notice
        rings = both.copy()
        rings[0] = ring
        batch = Batch(
            self.frame // 80, self.frame, n, 0, 0, None, both | hook, rings, both, read, tags, tags.astype(np.int32),
            np.zeros(slots, np.uint32), np.stack([audio, WELL[:n]]),
        )  # fmt: skip
        listened = None if active is None else np.array([active, False])
        self.health.follow(batch, np.array([use, False]), listened)
        self.frame += n


KNOWN = Learned(on_hook_v=48.0, off_hook_v=8.0, reversed=False, learned_at=AT)


# --- by the voltage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", [False, True])
def test_a_line_that_is_cut_is_reported_within_two_seconds(use: bool) -> None:
    rig = Rig()
    assert rig.pass_s(5) == []
    assert rig.pass_s(0.5, volts=0.4, use=use) == []
    assert rig.pass_s(1.0, volts=0.4, use=use) == ["line_cut"]
    assert rig.pass_s(60, volts=-2.9, audio=-90.0, use=use) == ["line_cut"]
    assert rig.pass_s(2.5) == ["line_cut"]
    assert rig.pass_s(1) == []


def test_a_loop_break_is_no_cut_and_a_reading_about_the_limit_does_not_flap() -> None:
    rig = Rig()
    assert rig.pass_s(0.9, volts=0.0) == []
    assert rig.pass_s(2) == []
    rig.pass_s(2, volts=2.8)
    assert rig.pass_s(30, volts=3.5) == ["line_cut"]
    assert rig.pass_s(30) == []


def test_a_short_reads_a_few_volts_and_nothing_is_heard() -> None:
    rig = Rig()
    assert rig.pass_s(59, volts=-4.0, use=True) == []
    assert rig.pass_s(2, volts=-4.0, use=True) == ["line_short"]
    assert rig.pass_s(4, volts=-4.0, audio=-20.0, use=True) == []
    assert rig.pass_s(61, volts=-4.0, use=True) == ["line_short"]
    assert rig.pass_s(5) == []


def test_a_call_over_a_long_loop_is_no_short() -> None:
    assert Rig().pass_s(200, volts=-4.5, audio=speech(-20, 200), use=True) == []


def test_a_short_far_out_is_recognised_by_what_was_learnt() -> None:
    long_loop = Learned(on_hook_v=48.0, off_hook_v=11.0, learned_at=AT)
    assert Rig().pass_s(70, volts=-6.0, use=True) == []
    assert Rig(long_loop).pass_s(70, volts=-6.0, use=True) == ["line_short"]


def test_reversed_is_recognised_on_hook_of_a_line_that_was_learnt() -> None:
    rig = Rig(KNOWN)
    assert rig.pass_s(60, volts=8.0, audio=-20.0, use=True) == []  # the far end has answered
    assert rig.pass_s(9, volts=48.0) == []
    assert rig.pass_s(2, volts=48.0) == ["line_reversed"]
    assert rig.pass_s(30, volts=-8.0, use=True, audio=-20.0) == ["line_reversed"]
    assert rig.pass_s(4) == []
    assert Rig().pass_s(60, volts=48.0) == []


def test_a_low_battery() -> None:
    rig = Rig()
    assert rig.pass_s(59, volts=-36.0) == []
    assert rig.pass_s(2, volts=-36.0) == ["battery_low"]
    assert rig.pass_s(20, volts=-40.5) == ["battery_low"]
    assert rig.pass_s(20, volts=-8.0, use=True, audio=-20.0) == ["battery_low"]
    assert rig.pass_s(4, volts=-42.0) == []


def test_a_voltage_that_no_line_has() -> None:
    """The card's middle voltage is lost: a lifted handset reads above the threshold, so that no call is detected."""
    for learned, volts in ((None, -233.0), (None, 193.0), (KNOWN, -233.0), (KNOWN, -65.3)):
        rig = Rig(learned)
        assert rig.pass_s(9, volts=volts) == [], (learned, volts)
        assert "battery_high" in rig.pass_s(2, volts=volts), (learned, volts)
        assert "battery_high" in rig.pass_s(20, volts=-8.0, use=True, audio=-20.0), "a call says nothing of it"
        assert rig.pass_s(4) == [], (learned, volts)
    assert Rig().pass_s(60, volts=-105.0) == []
    assert Rig(KNOWN).pass_s(60, volts=-56.5) == []  # a battery of 48 V on charge
    long_loop = Learned(on_hook_v=95.0, off_hook_v=10.0, learned_at=AT)
    assert "battery_high" in Rig(long_loop).pass_s(12, volts=-120.0), "whatever was learnt"


def test_a_pbx_of_24_volts_until_it_is_learnt() -> None:
    rig = Rig()
    assert rig.pass_s(61, volts=-24.0) == ["battery_24v"]
    rig.health.learn({1: Learned(on_hook_v=24.0, off_hook_v=6.0, learned_at=AT)})
    assert rig.pass_s(4, volts=-24.0) == []
    assert rig.pass_s(61, volts=-19.0) == ["battery_low"]
    assert Rig(KNOWN).pass_s(61, volts=-24.0) == ["battery_low"]


@pytest.mark.parametrize("seen", [False, True])
def test_a_short_loop_talks_at_40_volts(seen: bool) -> None:
    """Whether or not the hook is detected as off."""
    rig = Rig()
    rig.pass_s(10)
    assert rig.pass_s(30, volts=-40.5, audio=-68.0, use=seen) == []
    assert rig.pass_s(20, volts=-40.5, audio=speech(-20, 20), use=seen) == ["short_loop"]
    assert rig.pass_s(20) == ["short_loop"]
    rig.health.learn({1: Learned(on_hook_v=48.0, off_hook_v=40.5, learned_at=AT)})
    assert rig.pass_s(4) == []


def test_caller_id_on_hook_is_no_short_loop() -> None:
    rig = Rig()
    rig.pass_s(10)
    assert "short_loop" not in rig.pass_s(60, audio=tone(-20, 60, 1300))


def test_ringing_is_no_voltage() -> None:
    rig = Rig(KNOWN)
    for _ in range(10):
        assert rig.pass_s(2, volts=1.0, ring=True) == []
        assert rig.pass_s(2) == []


def test_without_a_meter_nothing_is_told_of_voltages() -> None:
    assert Rig(KNOWN).pass_s(120, volts=None) == []


# --- by the audio -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1, 12345, 31111, 32767, -32768])
def test_a_codec_channel_that_is_stuck(value: int) -> None:
    rig = Rig()
    stuck = np.full(25 * RATE_HZ, value, np.int16)
    assert rig.pass_s(19, LOOP, stuck[: 19 * RATE_HZ], use=True) == []
    assert rig.pass_s(6, LOOP, stuck[: 6 * RATE_HZ], use=True) == ["silent_off_hook"]
    assert rig.pass_s(10, BATTERY, stuck[: 10 * RATE_HZ]) == ["silent_off_hook"]
    assert rig.pass_s(4, LOOP, -30.0, use=True) == []


def test_silence_is_a_trouble_off_hook_only_and_not_of_an_exempt_line() -> None:
    dead = np.zeros(60 * RATE_HZ, np.int16)
    assert Rig().pass_s(60, BATTERY, dead) == []
    assert Rig(exempt=True).pass_s(60, LOOP, dead, use=True) == []
    assert Rig().pass_s(60, LOOP, -68.0, use=True) == []


def test_talk_on_a_line_that_is_on_hook() -> None:
    rig = Rig()
    assert rig.pass_s(12, None, speech(-20.0, 12)) == []
    assert rig.pass_s(18, None, speech(-20.0, 18)) == ["sound_on_hook"]
    assert rig.pass_s(20, None) == ["sound_on_hook"], "somebody listens"
    assert rig.pass_s(60, None) == []
    rig.pass_s(60, None, speech(-20.0, 60))
    assert rig.pass_s(5, None, speech(-20.0, 5), use=True) == [], "its hook is seen"


def test_what_an_idle_line_brings_is_no_talk() -> None:
    """A caller's number between the rings, a neighbour's crosstalk, hum, the unit's own notice."""
    rig = Rig()
    for _ in range(4):
        assert rig.pass_s(2, None, tone(-20.0, 2, 25.0), ring=True) == []
        assert rig.pass_s(1, None, tone(-14.0, 1, 1200.0, 2200.0)) == []
        assert rig.pass_s(3, None) == []
    assert rig.pass_s(120, None, speech(-52.0, 120)) == []
    assert rig.pass_s(60, None, speech(-20.0, 60), notice=True) == []
    assert "sound_on_hook" not in rig.pass_s(60, None, tone(-30.0, 60, 60.0, 180.0))


def test_a_cut_line_is_not_silent_besides() -> None:
    assert Rig().pass_s(60, 0.0, np.zeros(60 * RATE_HZ, np.int16), use=True) == ["line_cut"]


@pytest.mark.parametrize("hz", [(60.0,), (60.2, 180.6), (50.0, 100.0, 150.0), (120.0,)])
@pytest.mark.parametrize("use", [False, True])
def test_hum(hz: tuple[float, ...], use: bool) -> None:
    rig = Rig()
    volts = LOOP if use else BATTERY
    assert rig.pass_s(30, volts, tone(-36, 30, *hz), use=use, active=True) == []
    assert rig.pass_s(20, volts, tone(-36, 20, *hz), use=use, active=True) == ["hum"]
    assert rig.pass_s(20, volts, tone(-42, 20, *hz), use=use, active=True) == ["hum"]
    assert rig.pass_s(20, volts, tone(-50, 20, *hz), use=use, active=True) == []


@pytest.mark.parametrize("hz", [(350.0, 440.0), (480.0, 620.0), (440.0, 480.0), (90.0,), (20.0,)])
def test_other_tones_are_no_hum(hz: tuple[float, ...]) -> None:
    assert Rig().pass_s(60, LOOP, tone(-10, 60, *hz), use=True, active=True) == []


def test_music_on_hold_is_no_hum_and_speech_over_hum_does_not_take_it_back() -> None:
    music = tone(-15, 60, 98.0, 123.5, 196.0, 246.9, 392.0, 493.9, 587.3, 784.0, 987.8)
    assert Rig().pass_s(60, LOOP, music, use=True, active=True) == []
    rig = Rig()
    hum = tone(-36, 240, 60.0, 180.0)
    said = np.clip(hum.astype(np.int32) + speech(-14, 240), -32768, 32767).astype(np.int16)
    assert rig.pass_s(240, LOOP, said, use=True, active=True) == ["hum"]


def test_a_dial_that_clicks_at_full_scale_is_no_speech() -> None:
    rig = Rig()
    for _ in range(10):
        for closed in (False, True) * 5:
            rig.pass_s(0.05, LOOP, np.full(400, 32767, np.int16) * (1 - 2 * closed), use=True, hook=closed)
        assert rig.pass_s(1, LOOP, use=True, hook=True) == []


def test_speech_that_clips_again_and_again() -> None:
    rig = Rig()
    assert rig.pass_s(11, LOOP, speech(4.0, 11), use=True) == []
    assert rig.pass_s(6, LOOP, speech(4.0, 6), use=True) == ["clipped"]
    assert rig.pass_s(2) == ["clipped"]
    rig.pass_s(20, LOOP, speech(-14.0, 20), use=True)
    assert rig.pass_s(2) == []


def test_a_howler_and_loud_speech_do_not_clip() -> None:
    assert Rig().pass_s(60, LOOP, tone(6.0, 60, 1400, 2060), use=True, active=True) == []
    assert Rig().pass_s(60, LOOP, speech(-12.0, 60), use=True) == []
    assert Rig().pass_s(60, BATTERY, speech(4.0, 60)) == ["sound_on_hook"]


def test_a_call_that_is_too_faint_throughout_is_reported_at_its_end() -> None:
    rig = Rig()
    assert rig.pass_s(30, LOOP, speech(-46.0, 30), use=True) == []
    assert rig.pass_s(2) == ["too_quiet"]
    assert rig.pass_s(30, LOOP, -68.0, use=True) == ["too_quiet"]
    assert rig.pass_s(2) == ["too_quiet"]
    rig.pass_s(10, LOOP, speech(-25.0, 10), use=True)
    assert rig.pass_s(2) == []


def test_the_notice_does_not_make_a_faint_call_loud() -> None:
    rig = Rig()
    rig.pass_s(6, LOOP, speech(-22.0, 6), use=True, notice=True)
    rig.pass_s(30, LOOP, speech(-46.0, 30), use=True)
    assert rig.pass_s(2) == ["too_quiet"]


@pytest.mark.parametrize(("audio", "seconds"), [(-68.0, 60), (-50.0, 60), (speech(-46.0, 8), 8)])
def test_silence_noise_and_a_word_are_no_faint_call(audio: I16 | float, seconds: float) -> None:
    rig = Rig()
    rig.pass_s(seconds, LOOP, audio, use=True)
    assert rig.pass_s(2) == []


def test_a_receiver_off_its_cradle() -> None:
    rig = Rig()
    howl = tone(-20.0, 10, 480, 620)
    for _ in range(59):
        assert rig.pass_s(10, LOOP, howl, use=True, active=False) == []
    rig.pass_s(20, LOOP, -60.0, use=True, active=False)
    assert rig.pass_s(1, LOOP, -60.0, use=True, active=False) == ["stuck_off_hook"]
    assert rig.pass_s(4, LOOP, -20.0, use=True, active=True) == []


def test_a_long_call_is_not_stuck_while_somebody_speaks_now_and_then() -> None:
    rig = Rig()
    for _ in range(3):
        assert rig.pass_s(500, LOOP, -60.0, use=True, active=False, slots=50) == []
        assert rig.pass_s(0.04, LOOP, -20.0, use=True, active=True) == []
    assert Rig().pass_s(700, LOOP, -60.0, use=True, active=None, slots=50) == []


# --- together ---------------------------------------------------------------------------------------------


def test_codes_come_in_their_order() -> None:
    rig = Rig(KNOWN)
    assert rig.pass_s(61, 36.0, tone(-37.0, 61, 60.0)) == ["line_reversed", "battery_low", "hum"]
    assert len(set(CODES)) == len(CODES) == 13


@pytest.mark.parametrize("scenario", ["demo", "eight_busy"])
def test_ordinary_calls_are_well(scenario: str) -> None:
    script = load_script(SCENARIOS / f"{scenario}.toml")
    numbers = list(range(1, 9))
    timeline = Timeline(script, Voices(default_folder()), numbers)
    lines = [Line(number=n, channel=n) for n in numbers]
    health = LineHealth(lines, [KR_PSTN] * 8, dict.fromkeys(numbers, KNOWN))
    told: set[str] = set()
    step = 10 * 25
    seconds = min(script.duration_ms, 60_000)
    for ms in range(0, seconds // step * step, step):
        hook, ring, polarity, volts = timeline.levels(ms, step)
        none = np.zeros((25, 8), np.uint32)
        batch = Batch(
            0, ms * 8, step * 8, 0, 0, None, hook, ring, polarity, volts[:, ::10], none, none.astype(np.int32),
            none[:, 0], timeline.audio(ms * 8, step * 8),
        )  # fmt: skip
        health.follow(batch, hook[:, -1], np.zeros(8, np.bool_))
        told |= {f"{n}: {code}" for n in numbers for code in health.troubles(n - 1)}
    assert told == set()


def test_another_profile_is_another_limit() -> None:
    pbx = msgspec.structs.replace(KR_PSTN, name="pbx", health=HealthNumbers(cut_s=20.0))
    rig = Rig(profile=pbx)
    assert rig.pass_s(19, 0.0) == []
    assert rig.pass_s(2, 0.0) == ["line_cut"]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
@settings(max_examples=25)
def test_however_the_ring_is_read(sizes: list[int]) -> None:
    """With batches of any size, the same is reported at the same half second."""
    even, odd = Rig(), Rig()
    audio = noise(-30.0, 3, 5)
    expected = even.pass_s(3, 0.0, audio, slots=50)
    at = 0
    while at < 300:
        for slots in sizes:
            piece = audio[at * 80 : min(at + slots, 300) * 80]
            if len(piece):
                odd.pass_s(0, 0.0, piece, slots=slots)
            at += slots
    assert odd.health.troubles(0) == expected == ["line_cut"]


@given(
    volts=st.sampled_from([None, 0.0, -48.0, 327.0, -327.67]),
    value=st.sampled_from([-32768, 0, 32767]),
    use=st.booleans(),
    gaps=st.integers(0, 3),
)
@settings(max_examples=30)
def test_whatever_comes_in_numbers_stay_numbers(volts: float | None, value: int, use: bool, gaps: int) -> None:
    rig = Rig()
    for _ in range(gaps + 1):
        rig.pass_s(1, volts, np.full(8000, value, np.int16), use=use, active=False)
        rig.health.follow(gap_batch(2, 0, rig.frame, 77, 0, 0, "overrun"), np.array([use, False]))
    kept = [*vars(rig.health).values(), *vars(rig.health._calls).values()]
    assert all(np.isfinite(numbers).all() for numbers in kept if isinstance(numbers, np.ndarray))


# --- one half second, as a walk test reads it ----------------------------------------------------------------


def test_the_last_half_second_is_reported_as_it_was() -> None:
    rig = Rig()
    assert rig.health.reading(0) is None
    rig.pass_s(0.5, audio=-30.0)
    found = rig.health.reading(0)
    assert found is not None
    assert (found.on_hook, found.volts) == (True, -48.0)
    assert found.level_dbm0 == pytest.approx(-30.0, abs=1.0)
    rig.pass_s(0.5, volts=LOOP, use=True, notice=True)
    assert rig.health.reading(0) == (False, -8.0, None), "a notice's level is not the line's"
    rig.pass_s(0.3, use=False)
    rig.pass_s(0.2, volts=None, use=True)
    found = rig.health.reading(0)
    assert found is not None
    assert (found.on_hook, found.volts) == (None, None), "the hook has moved, and not all of it was measured"


def test_behind_a_hole_there_is_no_half_second() -> None:
    rig = Rig()
    rig.pass_s(0.5)
    rig.health.follow(gap_batch(2, 0, 0, 800, 0, 0, "overrun"), np.zeros(2, np.bool_))
    assert rig.health.reading(0) is None
