# SPDX-License-Identifier: Apache-2.0
"""Decisions from voltages: hook, ringing and polarity, by the thresholds of each line."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LimitArrays, LineLimits, limits_of
from linetap.learned import Learned
from linetap.ring import Bits
from meter_rig import NUMBERS, PLAIN, Wave, hundredths, ringing, steps

SAMPLES = 2400  # of a line that is split in many ways
WHEN = "2026-11-24T22:56:00.123Z"


def decided(
    volts: npt.NDArray[np.float64], limits: LineLimits = PLAIN, pieces: tuple[int, ...] = (40,)
) -> tuple[Bits, Bits, Bits]:
    """Hook, ring and polarity of one line's volts, one a millisecond, without the delay."""
    decider = Decider(LimitArrays([limits]), [NUMBERS])
    after = np.concatenate([volts, np.full(decider.delay_ms, volts[-1])])
    found, at, turn = [], 0, 0
    while at < len(after):
        n = pieces[turn % len(pieces)]
        found.append(decider.push(hundredths([after[at : at + n]])))
        at, turn = at + n, turn + 1
    hook, ring, polarity = (np.concatenate([bits[i] for bits in found], axis=1)[0] for i in range(3))
    delay = decider.delay_ms
    return hook[delay:], ring[delay:], polarity[delay:]


def of(wave: Wave, seconds: float = 3.0, limits: LineLimits = PLAIN) -> tuple[Bits, Bits, Bits]:
    return decided(wave(np.arange(round(seconds * 1000)) / 1000), limits)


def changes(bits: Bits) -> list[tuple[int, bool]]:
    """(millisecond, new level), from False on."""
    at = np.flatnonzero(np.diff(bits.astype(np.int8), prepend=0))
    return [(int(i), bool(bits[i])) for i in at]


def learnt(on: float, off: float, reversed_: bool = False) -> LineLimits:
    return limits_of(NUMBERS, 3.0, Learned(on_hook_v=on, off_hook_v=off, reversed=reversed_, learned_at=WHEN))


def test_off_hook_and_on_hook_are_dated_by_their_edges() -> None:
    hook, ring, polarity = of(steps((0, -48), (1, -8), (2, -48)))
    assert changes(hook) == [(1000, True), (2000, False)]
    assert not ring.any()
    assert not polarity.any()


@pytest.mark.parametrize(("volts", "off_hook"), [(15.5, True), (17, False), (21, False), (24, False), (6, True)])
def test_the_window_is_hysteresis(volts: float, off_hook: bool) -> None:
    assert changes(of(steps((0, -48), (1, -volts)))[0]) == ([(1000, True)] if off_hook else [])


@pytest.mark.parametrize(("volts", "on_hook"), [(15.5, False), (21, False), (24.5, False), (25.5, True)])
def test_on_hook_is_decided_by_the_same_thresholds(volts: float, on_hook: bool) -> None:
    hook = of(steps((0, -48), (1, -8), (2, -volts)))[0]
    assert changes(hook) == [(1000, True), *([(2000, False)] if on_hook else [])]


@pytest.mark.parametrize(
    ("volts", "off_hook"), [(-8.0, True), (20.0, True), (-22.0, False), (-48.0, False), (0, False)]
)
def test_the_first_voltage_tells_where_a_line_stands(volts: float, off_hook: bool) -> None:
    assert of(steps((0, volts)))[0].all() == off_hook


@pytest.mark.parametrize("hz", [15.3, 16.7, 20.0, 25.0, 33.3, 50.0, 68.0])
@pytest.mark.parametrize("rms", [40, 47.4, 75, 100, 150])
@pytest.mark.parametrize("battery", [-42, -48, -56])
def test_ringing_is_heard_and_does_not_shake_the_hook(battery: float, rms: float, hz: float) -> None:
    for phase in (0.0, 1.6, 3.1, 4.7):
        hook, ring, _ = of(ringing(battery, rms, hz, 0.5, 1.5, phase), 2.0)
        assert not hook.any(), f"phase {phase}"
        assert ring[560:1490].all()
        assert not ring[:500].any()
        assert not ring[1566:].any()


def test_ringing_leaves_polarity() -> None:
    assert not of(ringing(-48, 75, 20, 0.5, 1.5))[2].any()


def test_ringing_shakes_a_comparator() -> None:
    """The result of the other tests without this treatment."""
    volts = ringing(-48, 75, 20, 0, 1)(np.arange(1000) / 1000)
    assert len(changes(np.abs(volts) < 21)) == 80


@pytest.mark.parametrize("answer_ms", range(1000, 1050, 7))
def test_an_answer_in_mid_burst(answer_ms: int) -> None:
    """The loop closes; for 60 ms the exchange still rings, over a telephone that absorbs most of it."""
    t = np.arange(3000)
    volts = ringing(-48, 75, 20, 0.5, 1.5)(t / 1000)
    tripped = -8 + 3 * np.sin(2 * np.pi * 20 * t / 1000)
    volts = np.where(t < answer_ms, volts, np.where(t < answer_ms + 60, tripped, -8))
    hook, ring, _ = decided(volts)
    assert len(changes(hook)) == 1
    assert abs(changes(hook)[0][0] - answer_ms) <= 4  # the last dip may overlap it
    assert not ring[answer_ms + 70 :].any()


@pytest.mark.parametrize(("break_ms", "make_ms"), [(60, 40), (50, 50), (67, 33), (30, 20)])
def test_dial_pulses_keep_their_shape(break_ms: int, make_ms: int) -> None:
    levels = [(0.0, -48.0), (0.5, -8.0)]
    want = [(500, True)]
    for pulse in range(10):
        at = 1000 + pulse * (break_ms + make_ms)
        levels += [(at / 1000, -48.0), ((at + break_ms) / 1000, -8.0)]
        want += [(at, False), (at + break_ms, True)]
    hook, ring, _ = of(steps(*levels))
    assert changes(hook) == want
    assert not ring.any()


def test_a_flash_and_bounce() -> None:
    bounce = [(1.000, -8.0), (1.003, -48.0), (1.005, -8.0), (1.010, -48.0), (1.012, -8.0)]
    flash = [(2.0, -48.0), (2.5, -8.0)]
    assert changes(of(steps((0, -48), *bounce, *flash))[0]) == [(1012, True), (2000, False), (2500, True)]


def test_an_open_wire_is_not_off_hook() -> None:
    assert not of(steps((0, -48), (1, 0)))[0].any()
    assert not of(steps((0, -48), (1, -2.9)))[0].any()


@pytest.mark.parametrize("tau_s", [0.1, 0.25, 0.75, 1.5])
def test_a_cut_wire_that_discharges_is_not_off_hook(tau_s: float) -> None:
    def wave(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return -48 * np.exp(-np.maximum(seconds - 1, 0) / tau_s)

    assert not of(wave, 8.0)[0].any()


def test_a_wire_cut_in_a_call_ends_it_after_a_second() -> None:
    assert changes(of(steps((0, -48), (1, -8), (2, 0)), 5.0)[0]) == [(1000, True), (3000, False)]


def test_a_dial_that_shorts_the_line_has_not_hung_up() -> None:
    assert changes(of(steps((0, -48), (1, -8), (1.2, -0.5), (2.0, -8)))[0]) == [(1000, True)]


def test_a_line_that_comes_back_off_hook_is_off_hook() -> None:
    hook = of(steps((0, 0), (1, -8)))[0]
    assert changes(hook)[0][0] in range(1000, 1101)
    assert hook[-1]


def test_polarity() -> None:
    polarity = of(steps((0, -48), (1, -8), (1.5, 8), (2.0, -8)))[2]
    assert changes(polarity) == [(1500, True), (2000, False)]


def test_a_line_that_was_learnt_reversed_is_not() -> None:
    assert not of(steps((0, 48), (1, 8), (2, 48)), limits=learnt(48, 8, True))[2].any()
    assert of(steps((0, -48)), limits=learnt(48, 8, True))[2].all()


def test_a_pbx_of_24_volts_needs_what_was_learnt() -> None:
    wave = steps((0, -24), (1, -6), (2, -24))
    assert changes(of(wave)[0]) == [(1000, True)]  # it never hangs up
    assert changes(of(wave, limits=learnt(24, 6))[0]) == [(1000, True), (2000, False)]


@pytest.mark.parametrize("rms", [40, 75, 90])
@pytest.mark.parametrize("hz", [16, 20, 25, 50])
def test_ringing_of_a_learnt_line_does_not_change_the_hook(rms: float, hz: float) -> None:
    hook, ring, _ = of(ringing(-24, rms, hz, 0.5, 1.5), limits=learnt(24, 6))
    assert not hook.any()
    assert ring.any()


def test_a_short_loop_that_reads_40_volts_off_hook() -> None:
    wave = steps((0, -48), (1, -40), (2, -48))
    assert not of(wave)[0].any()
    assert changes(of(wave, limits=learnt(48, 40))[0]) == [(1000, True), (2000, False)]


def test_what_was_learnt_backwards_is_not_believed() -> None:
    assert learnt(8, 48).off_below_v == PLAIN.off_below_v


def test_a_spark_is_no_ringing() -> None:
    t = np.arange(1000)
    volts = np.where((t >= 500) & (t < 503), -200.0, np.where((t >= 503) & (t < 506), 150.0, -48.0))
    hook, ring, _ = decided(volts)
    assert not ring.any()
    assert not hook.any()


def test_each_line_has_its_own_limits_and_fate() -> None:
    decider = Decider(LimitArrays([PLAIN, learnt(24, 6), PLAIN]), [NUMBERS] * 3)
    t = np.arange(400) / 1000
    waves = [steps((0, -48), (0.1, -8))(t), steps((0, -24), (0.2, -6))(t), ringing(-48, 75, 20, 0.1, 1)(t)]
    hook, ring, _ = decider.push(hundredths(waves))
    delay = decider.delay_ms
    assert [changes(row) for row in hook] == [[(100 + delay, True)], [(200 + delay, True)], []]
    assert [bool(row.any()) for row in ring] == [False, False, True]


@settings(max_examples=5)
@given(seed=st.integers(0, 9999), pieces=st.lists(st.integers(1, 120), min_size=1, max_size=6))
def test_the_answer_does_not_depend_on_how_the_samples_are_cut(seed: int, pieces: list[int]) -> None:
    """For eight lines at once, each with its own volts."""
    random = np.random.default_rng(seed)
    levels = [-48, -8, -20, 0, 8, -100, 60, -14]
    lines = [np.repeat(random.choice(levels, 40), random.integers(1, 120, 40))[:SAMPLES] for _ in range(8)]
    volts = np.stack([np.pad(line, (0, SAMPLES - len(line)), "edge") for line in lines])
    for one, other in zip(of_pieces(volts, (1,)), of_pieces(volts, tuple(pieces)), strict=True):
        np.testing.assert_array_equal(one, other)


def of_pieces(volts: npt.NDArray[np.int_], pieces: tuple[int, ...]) -> list[Bits]:
    """Hook, ring, polarity, with the delay."""
    lines = len(volts)
    decider = Decider(LimitArrays([PLAIN] * lines), [NUMBERS] * lines)
    found, at = [], 0
    for n in cycle(pieces):
        if at >= SAMPLES:
            break
        found.append(decider.push(hundredths(volts[:, at : at + n])))
        at += n
    return [np.concatenate(bits, axis=1) for bits in zip(*found, strict=True)]


@pytest.mark.parametrize("pieces", [(1,), (5,), (40,), (1000, 77)])
def test_a_line_that_comes_back_within_a_piece_had_hung_up(pieces: tuple[int, ...]) -> None:
    """Dead for a second and 20 ms: detected with large pieces too."""
    volts = np.repeat([-48.0, -8.0, 0.0, -8.0], [100, 300, 1020, 200])
    hook = decided(volts, pieces=pieces)[0]
    assert changes(hook) == [(100, True), (1400, False), (1520, True)]  # off-hook again once its voltage stays


@settings(max_examples=60)
@given(volts=st.lists(st.integers(-32768, 32767), min_size=1, max_size=300))
def test_no_voltage_is_too_strange(volts: list[int]) -> None:
    decider = Decider(LimitArrays([PLAIN]), [NUMBERS])
    for bits in decider.push(np.array([volts], np.int16)):
        assert bits.shape == (1, len(volts))
