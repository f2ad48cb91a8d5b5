# SPDX-License-Identifier: Apache-2.0
"""Calls within the house: detected by the dialled number, by the caller's number, or by the line that rings."""

from __future__ import annotations

from pathlib import Path

import pytest
from call_rig import Kept, Story
from msgspec.structs import replace
from sounds import busy, digits, ringback, talk

from linetap.config.schema import Config, Recording
from unit_rig import make_unit

EXTENSION = "17"  # not in the pattern


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    config = make_unit(tmp_path, run_dir).config
    first, second = config.line
    return replace(config, line=[first, replace(second, extension=EXTENSION)])


def two_lines(config: Config, dialled: str = EXTENSION, ring_s: float = 3.5) -> Story:
    """Line 1 dials; line 2 rings and is picked up at 6.2 s; both hang up at 14 s."""
    story = Story(config, 18, noise_peak=30).off_hook(1, 14).sound(2, digits(dialled)).sound(ring_s, ringback(1))
    return story.ring(ring_s, ring_s + 1, line=2).off_hook(6.2, 14, line=2)


def told(kept: Kept) -> list[tuple[int, str, str, str | None]]:
    return sorted((r.line, r.disposition, r.why, r.internal_by) for r in kept.records)


def test_the_extension_dialled_rings_and_is_picked_up(config: Config) -> None:
    kept = two_lines(config).sound(7, talk(3)).sound(7, talk(3), line=2).tell()
    assert told(kept) == [(1, "skipped", "internal", "ring"), (2, "skipped", "internal", "ring")]
    caller = next(record for record in kept.records if record.line == 1)
    called = next(record for record in kept.records if record.line == 2)
    assert (caller.answered_by, caller.answered_at) == ("hook", called.answered_at)
    assert kept.opened == []


def test_policy_may_want_both_ends_announced_and_recorded(config: Config) -> None:
    config = replace(config, recording=Recording(greeting_max_ms=0, record_internal=True))
    kept = two_lines(config).sound(7, talk(3)).sound(7, talk(3), line=2).tell()
    assert told(kept) == [(1, "recorded", "", "ring"), (2, "recorded", "", "ring")]


@pytest.mark.parametrize("dialled", ["0312345678", "18"])
def test_two_unrelated_calls_at_one_time_are_both_recorded(config: Config, dialled: str) -> None:
    kept = two_lines(config, dialled).sound(7, talk(3)).sound(7, talk(3), line=2).tell()
    assert told(kept) == [(1, "recorded", "", None), (2, "recorded", "", None)]


def test_a_line_that_rang_before_it_was_dialled_has_another_caller(config: Config) -> None:
    kept = two_lines(config, ring_s=1.5).sound(7, talk(3), line=2).tell()
    assert told(kept)[1] == (2, "recorded", "", None)


def test_a_line_that_rings_while_its_own_caller_hears_busy_has_another_caller(config: Config) -> None:
    story = Story(config, 20, noise_peak=30).off_hook(1, 16).sound(2, digits(EXTENSION)).sound(2.6, busy(12))
    kept = story.ring(6, 7, line=2).off_hook(7.5, 14, line=2).sound(9, talk(3), line=2).tell()
    assert told(kept) == [(1, "unanswered", "busy", None), (2, "recorded", "", None)]


def test_the_callers_number_tells_an_internal_call(config: Config) -> None:
    story = Story(config, 14, noise_peak=30).ring(3.5, 4.5).off_hook(5, 11).sound(1.0, digits("D2345C"))
    assert told(story.tell()) == [(1, "skipped", "internal", "caller")]


def test_the_number_dialled_tells_an_internal_call(config: Config) -> None:
    story = Story(config, 16, noise_peak=30).off_hook(1, 12).sound(2, digits("2345")).sound(4, ringback(1))
    assert told(story.sound(7.5, talk(2)).tell()) == [(1, "skipped", "internal", "dialled")]
