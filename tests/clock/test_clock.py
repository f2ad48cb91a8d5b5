# SPDX-License-Identifier: Apache-2.0
"""Times in the form of records, a clock controlled by a test, and recent events, counted with bounded memory."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linetap_core.clock import (
    MOST_RECENT,
    NS_PER_MS,
    NS_PER_S,
    RECENT_S,
    SYSTEM,
    ManualClock,
    RecentEvents,
    compact,
    from_utc_ns,
    kernel_clock,
    kernel_reading,
    parse_rfc3339,
    rfc3339,
    utc_ns_of,
)

MOMENT = "2026-11-24T22:56:00.123Z"
RECENT_NS = RECENT_S * NS_PER_S
LAST_NS = 253_402_300_799 * NS_PER_S  # the end of the year 9999


def test_a_moment_of_any_zone_is_counted_to_the_microsecond() -> None:
    seoul = timezone(timedelta(hours=9))
    assert utc_ns_of(datetime(1970, 1, 1, 9, tzinfo=seoul)) == 0
    assert utc_ns_of(datetime(2026, 11, 25, 7, 56, 0, 123_457, tzinfo=seoul)) == parse_rfc3339(MOMENT) + 457_000
    assert utc_ns_of(from_utc_ns(LAST_NS)) == LAST_NS


def test_one_form_of_time() -> None:
    ns = parse_rfc3339(MOMENT)
    date = subprocess.run(["date", "-d", MOMENT, "+%s%N"], capture_output=True, timeout=120, check=True)
    assert ns == int(date.stdout)
    assert rfc3339(ns) == MOMENT
    assert rfc3339(ns + 999_999) == MOMENT  # truncated, never rounded up into the future
    assert compact(ns) == "20261124T225600.123Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"


@given(st.integers(0, LAST_NS))
def test_there_and_back(ns: int) -> None:
    assert parse_rfc3339(rfc3339(ns)) == ns // NS_PER_MS * NS_PER_MS
    assert from_utc_ns(ns) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)


def test_another_zone_is_the_same_moment() -> None:
    assert parse_rfc3339("2026-11-25T07:56:00.123+09:00") == parse_rfc3339(MOMENT)


@pytest.mark.parametrize("text", ["2026-11-24T22:56:00", "2026-11-24", "22:56", "", "soon", "2026-13-01T00:00:00Z"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z"])
def test_a_moment_that_cannot_be_written_back(text: str) -> None:
    """Every parsed time can be written by rfc3339, so that no zone can stop a service."""
    with pytest.raises(ValueError, match="is before 1970 or after 9999 in UTC"):
        parse_rfc3339(text)


def test_a_time_without_a_zone_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"has no zone; write 2026-11-24T22:56:00\.123Z"):
        parse_rfc3339("2026-11-24T22:56:00")


def test_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(utc_ns=5, monotonic_ns=7)
    assert (clock.utc_ns(), clock.monotonic_ns()) == (5, 7)
    clock.sleep(0.25)
    assert (clock.utc_ns(), clock.monotonic_ns()) == (5 + NS_PER_S // 4, 7 + NS_PER_S // 4)
    clock.step_utc(-NS_PER_S)
    assert (clock.utc_ns(), clock.monotonic_ns()) == (5 + NS_PER_S // 4 - NS_PER_S, 7 + NS_PER_S // 4)


def test_system_clock_is_the_machines() -> None:
    before = time.monotonic_ns(), time.time_ns()
    now = SYSTEM.monotonic_ns(), SYSTEM.utc_ns()
    assert before[0] <= now[0] <= time.monotonic_ns()
    assert abs(now[1] - before[1]) < 60 * NS_PER_S
    SYSTEM.sleep(0.01)
    assert SYSTEM.monotonic_ns() - now[0] >= 10 * NS_PER_MS


PLL, NANO, UNSYNC = 0x0001, 0x2000, 0x0040


def test_the_kernel_knows_an_offset_only_where_it_steers_by_offsets() -> None:
    assert kernel_reading(0, -1_500_000, PLL | NANO) == (True, -1.5)
    assert kernel_reading(0, 1500, PLL) == (True, 1.5)
    assert kernel_reading(0, 0, NANO) == (True, None)  # as set by chronyd: its 0 is no measurement
    assert kernel_reading(5, 0, UNSYNC) == (False, None)
    assert kernel_reading(-1, 0, 0) == (False, None)


def test_this_machines_kernel_answers() -> None:
    synced, offset_ms = kernel_clock()
    assert isinstance(synced, bool)
    assert offset_ms is None or abs(offset_ms) <= 500  # adjtimex(2): larger values are ignored


def test_what_is_older_than_the_window_is_not_counted() -> None:
    events = RecentEvents()
    assert events.count(0) == 0
    for second in (0, 10, 20):
        events.add(second * NS_PER_S)
    assert events.count(RECENT_NS - 1) == 3
    assert events.count(RECENT_NS) == 2
    assert events.count(RECENT_NS + 20 * NS_PER_S) == 0


def test_a_storm_is_counted_up_to_its_bound() -> None:
    events = RecentEvents()
    for moment in range(10 * MOST_RECENT):
        events.add(moment)
    assert events.count(10 * MOST_RECENT) == MOST_RECENT
