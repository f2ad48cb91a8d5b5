# SPDX-License-Identifier: Apache-2.0
"""The clock is set during a call, or repeats a time: no field of a record changes."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from call_rig import START_NS, Kept, Story

from linetap.config.schema import Config
from linetap.recorder.calls.context import CallNames, LineMemory, Shared
from linetap.recorder.core import Recorder
from linetap.ring import Batch
from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, ClockRecord
from unit_rig import make_unit

YEAR_NS = 365 * 86_400 * NS_PER_S
FIRST = CallNames()
CLOCKS = {
    "to 1970": -START_NS,
    "to 1986": parse_rfc3339("1986-01-01T00:00:00Z") - START_NS,
    "8 years on": 8 * YEAR_NS,
    "an hour back": -3600 * NS_PER_S,
    "a leap second": -NS_PER_S,
    "a second on": 2 * NS_PER_S,
}


class OtherClock(Story):
    """A clock that is `by_ns` ahead from `at_s` on."""

    at_s, by_ns = 0.0, 0
    names = CallNames()

    def new_recorder(self, memories: dict[int, LineMemory]) -> Recorder:
        shared = Shared(
            self.config, self.card.notices, self.card, self.card, self.vault, lambda _line: ClockRecord(synced=True),
            names=self.names,
        )  # fmt: skip
        return Recorder(shared, memories)

    def step(self, batch_slots: int) -> bool:
        batch: Batch | None = self.card.next(batch_slots)
        if batch is None:
            return False
        if batch.mono_ns >= self.at_s * NS_PER_S:
            batch.utc_ns = max(0, batch.utc_ns + self.by_ns)
        self.recorder.follow(1, batch)
        self.followed.append(batch)
        return True


def told(config: Config, at_s: float, by_ns: int, names: CallNames = FIRST) -> Kept:
    story = OtherClock(config, seconds=40)
    story.at_s, story.by_ns, story.names = at_s, by_ns, names
    story.recorder = story.new_recorder({})
    story.ring(2, 3).ring(5, 5.5).off_hook(5.5, 28)
    return story.tell()


def lengths(record: CallRecord) -> list[float]:
    """Seconds between the call's moments, in their true order."""
    notice = record.notices[0]
    moments = [
        record.ring_at,
        record.off_hook_at,
        record.answered_at,
        notice.started_at,
        notice.ended_at,
        record.ended_at,
    ]
    ns = [parse_rfc3339(moment) for moment in moments if moment]
    assert len(ns) == 6
    return [round((b - a) / NS_PER_S, 3) for a, b in pairwise(ns)]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> CallRecord:
    """The record by a clock that is never set."""
    folder = tmp_path_factory.mktemp("usual")
    [(_, _, record)] = told(make_unit(folder, folder).config, 99, 0).closed
    return record


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("at_s", [0.0, 7.0, 27.9])
def test_a_record_says_the_same_lengths_whenever_the_clock_is_set(
    config: Config, clock: str, at_s: float, usual: CallRecord
) -> None:
    kept = told(config, at_s, CLOCKS[clock])
    [(call_id, end_frame, record)] = kept.closed
    assert lengths(record) == lengths(usual)
    assert record.duration_s == usual.duration_s == pytest.approx(22.5, abs=0.1)
    assert end_frame is not None
    assert sealed.call_ns(call_id) // 10**6 == parse_rfc3339(record.ring_at or "") // 10**6
    assert record.clock is not None
    if at_s == 0:  # wrong from the beginning on, never set
        assert record.clock.stepped_ms is msgspec.UNSET
    else:
        assert record.clock.stepped_ms == pytest.approx(CLOCKS[clock] / 1e6, abs=40_000 if "1970" in clock else 1)
    times = [parse_rfc3339(event.at) for event in kept.events]
    assert times == sorted(times)
    note = kept.snapshots[call_id]
    assert note.utc_ns // 10**6 <= parse_rfc3339(record.ended_at or "") // 10**6 + 2000


def test_a_name_is_not_given_twice_when_the_clock_repeats(config: Config) -> None:
    [(first, _, _)] = told(config, 99, 0).closed
    newest_ns = sealed.call_ns(first)
    [(second, _, _)] = told(config, 99, 0, CallNames(newest_ns, "a1b2")).closed
    [(third, _, _)] = told(config, 99, 0, CallNames(newest_ns, "ffff")).closed
    assert len({first, second, third}) == 3
    assert sealed.call_path(second).parent == sealed.call_path(first).parent
    assert second.startswith(first + "-a1b2")


def test_a_clock_set_back_within_a_boot_gives_no_name_twice(config: Config) -> None:
    """Two calls 16 s apart; the clock is set back by exactly that in between."""
    story = OtherClock(config, seconds=40)
    story.at_s, story.by_ns = 14, -16 * NS_PER_S
    story.ring(2, 3).off_hook(3, 12).ring(18, 19).off_hook(19, 28)
    first, second = (call_id for call_id, _, _ in story.tell().closed)
    assert first != second
    assert second.startswith(first)


def test_a_clock_at_the_beginning_of_1970_ends_no_recorder(config: Config) -> None:
    [(call_id, _, record)] = told(config, 2.5, -START_NS).closed
    assert call_id.startswith(rfc3339(START_NS)[:4])
    assert (record.duration_s or 0) > 20
