# SPDX-License-Identifier: Apache-2.0
"""Levels and audio of scripted lines, tested on the rendered result alone."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import SILENT, call, timeline_of

from linetap_bench.exchange.timeline import Timeline

EVERYTHING = (
    "seed = 5\n"
    + call(shake=True, answer_in_burst_ms=412, bounce_ms=15, polarity=True, ends="far", talk_s=3, talk=["네, 여보세요"])
    + call(line=2, direction="out", digits="19*#", rings=1, talk_s=2, dense_dbm0=-20.0, flash_at_s=[0.5])
    + call(line=3, direction="out", dialling="pulse", digits="30", outcome="unobtainable")
    + call(line=4, direction="in", rings=2, fax="calling", ends="far", loop_break_ms=300)
    + '[call.caller_id]\nkind = "bell202"\nnumber = "0212345678"\n'
    + '[[call.tone]]\nat_s = 2.0\ntone = "call_waiting"\nfor_s = 4.0\n'
    + '[[call.keys]]\nat_s = 6.5\ndigits = "**9"\n'
    + call(line=5, direction="out", digits="1", rings=1, fax="answer_reversed")
)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    return timeline_of(tmp_path_factory.mktemp("everything"), EVERYTHING, 5)


@pytest.fixture(scope="module")
def whole(everything: Timeline) -> npt.NDArray[np.int16]:
    return everything.audio(0, everything.duration_ms * 8)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_samples_and_levels_do_not_depend_on_the_blocks(
    everything: Timeline, whole: npt.NDArray[np.int16], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, whole.shape[1] - 1))
    sizes = data.draw(st.lists(st.integers(1, 5000), min_size=1, max_size=12))
    at = start
    for size in sizes:
        n = min(size, whole.shape[1] - at)
        assert np.array_equal(everything.audio(at, n), whole[:, at : at + n])
        at += n
    ms, n_ms = start // 8, sum(sizes) // 8 + 2
    once = everything.levels(ms, n_ms)
    cut = data.draw(st.integers(1, n_ms - 1))
    twice = (everything.levels(ms, cut), everything.levels(ms + cut, n_ms - cut))
    for i in range(4):
        assert np.array_equal(once[i], np.concatenate([twice[0][i], twice[1][i]], axis=1))


def test_another_seed_is_another_noise_and_the_same_is_the_same(tmp_path: Path) -> None:
    one, again = (timeline_of(tmp_path, "seed = 1\n" + call()).audio(0, 8000) for _ in range(2))
    other = timeline_of(tmp_path, "seed = 2\n" + call()).audio(0, 8000)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def runs(bits: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, end) of every stretch of True, in milliseconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bits.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_ringing_shakes_the_comparator_twice_a_cycle(tmp_path: Path) -> None:
    line = timeline_of(tmp_path, call(shake=True, outcome="unanswered", rings=2))
    hook, ring, _, _ = line.levels(0, line.duration_ms)
    assert runs(ring[0]) == [(1000, 2000), (4000, 5000)]
    pulses = [pulse for pulse in runs(hook[0]) if pulse[0] < 3000]
    assert len(pulses) == 2 * 20  # 20 Hz for a second
    assert all(first >= 1000 and end <= 2000 and end - first in (3, 4) for first, end in pulses)
    assert 3.3 <= np.mean([end - first for first, end in pulses]) <= 3.9


def test_without_shaking_ringing_leaves_the_hook_alone(tmp_path: Path) -> None:
    line = timeline_of(tmp_path, call(outcome="unanswered"))
    assert not line.levels(0, line.duration_ms)[0].any()


@pytest.mark.parametrize("bounce_ms", [0, 1, 8, 15])
def test_a_hook_bounces_no_longer_than_it_should(tmp_path: Path, bounce_ms: int) -> None:
    line = timeline_of(tmp_path, call(rings=1, talk_s=2.0, bounce_ms=bounce_ms))
    hook = line.levels(0, line.duration_ms)[0][0]
    answer, end = 1000 + 1000 + 600, 1000 + 1000 + 600 + 1000 + 2000
    steps = np.flatnonzero(np.diff(hook.astype(int))) + 1
    assert steps[0] == answer
    closing, opening = steps[steps < answer + 1000], steps[steps >= answer + 1000]
    assert opening[0] == end
    for edges in (closing, opening):
        assert edges[-1] - edges[0] <= bounce_ms
        assert len(edges) % 2 == 1
    assert len(steps) > 2 or bounce_ms < 8
    assert not hook[end + bounce_ms :].any()


def test_an_answer_in_mid_burst_ends_ringing_and_shaking(tmp_path: Path) -> None:
    line = timeline_of(tmp_path, call(shake=True, rings=1, answer_in_burst_ms=400, bounce_ms=0, talk_s=1.0))
    hook, ring, _, _ = line.levels(0, line.duration_ms)
    assert runs(ring[0]) == [(1000, 1460)]
    assert runs(hook[0])[-1] == (1400, 1400 + 2000)


def test_polarity_and_voltage_say_who_is_there(tmp_path: Path) -> None:
    text = call(direction="out", digits="1", rings=1, polarity=True, talk_s=2.0, ends="far", bounce_ms=0)
    line = timeline_of(tmp_path, text)
    hook, _, polarity, volts = (array[0] for array in line.levels(0, line.duration_ms))
    dialled = 1000 + 1200 + 90
    answer = dialled + 1200 + 1000 + 600
    gone = answer + 1000 + 2000
    assert runs(polarity) == [(answer, gone)]
    assert runs(hook) == [(1000, gone + 3000)]
    assert set(volts[:1000]) == {-4800}
    assert set(volts[1000:answer]) == {-800}
    assert set(volts[answer:gone]) == {800}
    assert volts[-1] == -4800


def test_a_reversed_line_has_the_other_sign(tmp_path: Path) -> None:
    line = timeline_of(tmp_path, "[[line]]\nnumber = 1\nreversed = true\non_hook_v = 50.0\n")
    assert line.levels(0, 1)[3][0, 0] == 5000


def test_pulses_break_the_loop_in_time(tmp_path: Path) -> None:
    line = timeline_of(tmp_path, call(direction="out", dialling="pulse", digits="30", outcome="busy", bounce_ms=0))
    hook = line.levels(0, line.duration_ms)[0][0]
    made = runs(hook)
    breaks = [(a_end, b_first) for (_, a_end), (b_first, _) in pairwise(made)]
    assert len(breaks) == 3 + 10
    assert all(end - first == 60 for first, end in breaks)
    starts = [first for first, _ in breaks]
    gaps = np.diff(starts)
    assert sorted(set(gaps.tolist())) == [100, 800]  # ten a second; the digits 700 ms apart
    assert gaps.tolist().index(800) == 2


def test_a_flash_opens_the_loop_for_its_time(tmp_path: Path) -> None:
    line = timeline_of(tmp_path, call(rings=1, bounce_ms=0, talk_s=4.0, flash_at_s=[1.5], flash_ms=550))
    made = runs(line.levels(0, line.duration_ms)[0][0])
    assert made == [(2600, 4100), (4650, 7600)]


def test_idle_lines_stay_idle_outside_the_script(tmp_path: Path) -> None:
    line = timeline_of(tmp_path, call())
    for from_ms in (-(1 << 40), -100, line.duration_ms):
        hook, ring, polarity, volts = line.levels(from_ms, 100)
        assert not np.stack([hook, ring, polarity]).any()
        assert (volts == -4800).all()


def test_hook_transitions_click(tmp_path: Path) -> None:
    line = timeline_of(tmp_path, SILENT + call(direction="out", hold_s=1.0, bounce_ms=0))
    audio = np.abs(line.audio(0, line.duration_ms * 8)[0].astype(int))
    assert audio[8000:8120].max() > 2000
    assert audio[16000:16120].max() > 2000
    assert audio[:8000].max() < 10
