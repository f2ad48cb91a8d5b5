# SPDX-License-Identifier: Apache-2.0
"""Levels of one line, from bits to events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hook_rig import BATTERY, DEAD, MS, OFF, ON, SPEAKING, bits, follow, named, told
from linetap.config.profile import KR_PSTN
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.hook.hookline import HookLine
from linetap.ring import I16, NO_VOLTS, SLOT_MS, Bits


def test_off_hook_is_dated_by_its_edge_and_certain_after_the_debounce() -> None:
    events = follow(bits((ON, 100), (OFF, 500)))
    assert events == [Event(135 * MS, "off_hook", 100 * MS)]


def test_a_flash_does_not_end_the_call_and_on_hook_does() -> None:
    events = follow(bits((ON, 100), (OFF, 2000), (ON, 500), (OFF, 2000), (ON, 3000)))
    assert told(events) == [("off_hook", 100), ("flash", 2100), ("on_hook", 4600)]


@pytest.mark.parametrize("open_ms", [24, 60, 201, 299])
def test_a_short_break_is_neither_flash_nor_on_hook(open_ms: int) -> None:
    events = follow(bits((OFF, 1000), (ON, open_ms), (OFF, 3000)))
    assert told(named(events, "off_hook", "flash", "on_hook")) == [("off_hook", 0)]


@pytest.mark.parametrize(("open_ms", "name"), [(300, "flash"), (1000, "flash"), (1001, "on_hook"), (1200, "on_hook")])
def test_the_flash_ends_where_the_profile_says(open_ms: int, name: str) -> None:
    events = follow(bits((OFF, 1000), (ON, open_ms), (OFF, 3000)))
    assert [event.name for event in events][:2] == ["off_hook", name]
    assert events[1].at == 1000 * MS


@given(
    bounces=st.lists(st.lists(st.integers(1, 5), min_size=2, max_size=4).filter(lambda b: sum(b) <= 15), min_size=4,
                     max_size=4)
)  # fmt: skip
def test_bounce_of_15_ms_on_every_edge_changes_nothing_but_the_date(bounces: list[list[int]]) -> None:
    runs: list[tuple[int, int]] = [(ON, 100)]
    for level, after_ms, bounce in zip((OFF, ON, OFF, ON), (2000, 500, 2000, 3000), bounces, strict=True):
        pairs = len(bounce) // 2 * 2
        runs += [(level if i % 2 == 0 else 1 - level, ms) for i, ms in enumerate(bounce[:pairs])]
        runs.append((level, after_ms - sum(bounce[:pairs])))
    events = told(follow(bits(*runs)))
    assert [name for name, _ in events] == ["off_hook", "flash", "on_hook"]
    assert all(0 <= at - true <= 15 for (_, at), true in zip(events, (100, 2100, 4600), strict=True))


def test_bounce_of_15_ms_is_one_edge() -> None:
    bounce = [(OFF, 3), (ON, 2), (OFF, 5), (ON, 1), (OFF, 3), (ON, 1)]
    events = follow(bits((ON, 100), *bounce, (OFF, 1000)))
    assert told(events) == [("off_hook", 115)]


def test_a_polarity_that_falls_back_between_two_batches_has_fallen_back() -> None:
    polarity = bits((0, 500), (1, 50), (0, 100), (1, 50), (0, 500))
    assert told(follow(np.ones(len(polarity), np.bool_), None, polarity, cuts=[55, 65])) == [("off_hook", 0)]


def test_polarity_is_debounced() -> None:
    polarity = bits((0, 500), (1, 60), (0, 500), (1, 1000))
    assert told(follow(np.ones(len(polarity), np.bool_), None, polarity)) == [("off_hook", 0), ("polarity", 1060)]


def fed(line: HookLine, hook: Bits, from_ms: int, volts: int = NO_VOLTS) -> int:
    """Feeds the bits in pieces; returns the end of the piece."""
    nothing = np.zeros(len(hook), np.bool_)
    words = np.full(len(hook) // SLOT_MS, volts, np.int16)
    line.follow(hook, nothing, nothing, words, from_ms * MS, KR_PSTN)
    return from_ms + len(hook)


def test_a_recording_may_go_no_further_than_where_the_loop_opened() -> None:
    line = HookLine()
    end = fed(line, bits((OFF, 1000), (ON, 400)), 0)
    assert line.certain_until(end * MS) == 1000 * MS
    end = fed(line, bits((OFF, 100)), end)
    assert line.certain_until(end * MS) == 1500 * MS


def test_a_recording_may_go_no_further_than_where_the_wire_died() -> None:
    line = HookLine()
    end = fed(line, bits((OFF, 1000)), 0, SPEAKING)
    end = fed(line, bits((OFF, 100)), end, DEAD)
    assert line.certain_until(end * MS) == 1000 * MS
    end = fed(line, bits((OFF, 100)), end, SPEAKING)
    assert line.certain_until(end * MS) == 1200 * MS


def test_off_hook_since_lasts_through_pulses_and_flashes_and_not_beyond() -> None:
    line = HookLine()
    assert line.off_hook_since is None
    end = 0
    for piece in [(OFF, 100), (ON, 60), (OFF, 1000), (ON, 500), (OFF, 100), (ON, 1000)]:
        end = fed(line, bits(piece), end)
        assert line.off_hook_since == 0
    end = fed(line, bits((ON, 100)), end)
    assert line.off_hook_since is None
    fed(line, bits((OFF, 100)), end)
    assert line.off_hook_since == end * MS


def test_after_a_gap_a_change_has_to_be_seen_again_and_the_loop_is_where_it_was() -> None:
    line = HookLine()
    end = fed(line, bits((OFF, 1000), (ON, 20)), 0)
    line.reset_at_gap()
    end = fed(line, bits((ON, 20)), end + 5000)
    assert line.certain_until(end * MS) == (end - 20) * MS
    assert line.off_hook_since == 0


RUN_MS = [1, 3, 9, 16, 24, 25, 26, 35, 40, 60, 199, 201, 250, 290, 310, 999, 1024, 1030, 2500]
runs = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(RUN_MS)), min_size=1, max_size=14)
volt_runs = st.lists(
    st.tuples(st.sampled_from([BATTERY, SPEAKING, DEAD, 299, 300, NO_VOLTS, 4800]), st.integers(1, 60)),
    min_size=1,
    max_size=12,
)
Runs = list[tuple[int, int]]


def whole_line(hook: Runs, ring: Runs, polarity: Runs, volts: Runs) -> tuple[Bits, Bits, Bits, I16]:
    """Each stream extended to the length of the longest, plus more than the longest break of the exchange."""
    streams = [bits(*hook, (0, 100)), bits(*ring, (0, 100)), bits(*polarity)]
    words = np.concatenate([np.full(slots, value, np.int16) for value, slots in volts])
    slots = max(*(-(-len(stream) // SLOT_MS) for stream in streams), len(words)) + 420
    padded = [np.pad(stream, (0, slots * SLOT_MS - len(stream))) for stream in streams]
    return padded[0], padded[1], padded[2], np.pad(words, (0, slots - len(words)), "edge")


@settings(max_examples=300, deadline=None)
@given(hook=runs, ring=runs, polarity=runs, volts=volt_runs, cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_the_cut_into_batches_changes_nothing(
    hook: Runs, ring: Runs, polarity: Runs, volts: Runs, cuts: list[int]
) -> None:
    line = whole_line(hook, ring, polarity, volts)
    pieces = follow(*line, cuts=[cut for cut in cuts if cut < len(line[3])])
    assert pieces == follow(*line)


@settings(max_examples=100, deadline=None)
@given(hook=runs, ring=runs, volts=volt_runs)
def test_the_cut_into_single_slots_changes_nothing(hook: Runs, ring: Runs, volts: Runs) -> None:
    line = whole_line(hook, ring, [(0, 1)], volts)
    assert follow(*line, cuts=list(range(1, len(line[3])))) == follow(*line)


@settings(max_examples=300, deadline=None)
@given(hook=runs, ring=runs, volts=volt_runs)
@example(hook=[(1, 199)], ring=[(0, 35), (1, 199)], volts=[(DEAD, 15), (BATTERY, 1)])  # both certain after 185 ms
def test_every_off_hook_has_one_on_hook_and_all_else_lies_between(hook: Runs, ring: Runs, volts: Runs) -> None:
    held = False
    for event in follow(*whole_line(hook, ring, [(0, 1)], volts)):
        if event.name == "off_hook":
            assert not held
            held = True
        elif event.name == "on_hook":
            assert held
            held = False
        elif event.name in ("flash", "digit", "loop_break"):
            assert held
        elif event.name == "ringing":
            assert not held
        assert event.at <= event.known
    assert not held


@settings(max_examples=200, deadline=None)
@given(hook=runs, volts=volt_runs)
def test_nothing_is_permitted_beyond_where_the_call_turns_out_to_have_ended(hook: Runs, volts: Runs) -> None:
    bit, _, _, words = whole_line(hook, [(0, 1)], [(0, 1)], volts)
    line, permitted, held = HookLine(), 0, False
    nothing = np.zeros(SLOT_MS, np.bool_)
    for slot in range(len(words)):
        frame = slot * SLOT_MS * MS
        part = bit[slot * SLOT_MS :][:SLOT_MS]
        for event in line.follow(part, nothing, nothing, words[slot : slot + 1], frame, KR_PSTN):
            if event.name in ("on_hook", "loop_break") and held:
                assert event.at >= permitted
            held = event.name not in ("on_hook", "loop_break")
        if held:
            permitted = max(permitted, line.certain_until(frame + SLOT_MS * MS))
