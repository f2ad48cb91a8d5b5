# SPDX-License-Identifier: Apache-2.0
"""The learnt values of lines are restored completely, and a damaged file counts as missing."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import until
from linetap.learned import Learned, LearnedWatch, load, path_of, save, stamp
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.watchdog import STANDS_NS, Steps

AT = "2026-11-24T22:56:00.123Z"
FULL = Learned(on_hook_v=48.1, off_hook_v=8.2, reversed=True, echo_db=-7.5, near_digit_dbm0=-9.0, learned_at=AT)
volts = st.none() | st.floats(0, 100)
decibels = st.none() | st.floats(-100, 20)


@given(on=volts, off=volts, turned=st.none() | st.booleans(), echo=decibels, digit=decibels, ns=st.integers(0, 1 << 62))
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory,
    on: float | None, off: float | None, turned: bool | None, echo: float | None, digit: float | None, ns: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("learned")
    one = Learned(
        on_hook_v=on, off_hook_v=off, reversed=turned, echo_db=echo, near_digit_dbm0=digit, learned_at=rfc3339(ns)
    )
    save(folder, 3, one)
    save(folder, 128, FULL)
    assert load(folder) == {3: one, 128: FULL}


def test_no_folder_holds_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "none") == {}
    assert stamp(tmp_path / "none") == 0


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"[]", b"\xff\xfe", b'{"on_hook_v": 48.0}', b'{"learned_at": "yesterday"}', b"\x00" * 100,
        b'{"on_hook_v": 4800.0, "learned_at": "2026-11-24T22:56:00.123Z"}',
        b'{"echo_db": "-6", "learned_at": "2026-11-24T22:56:00.123Z"}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_reported_in_one_line_and_hides_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    save(tmp_path, 4, FULL)
    path_of(tmp_path, 3).write_bytes(damage)
    with caplog.at_level(logging.ERROR):
        assert load(tmp_path) == {4: FULL}
    (record,) = caplog.records
    assert "file_broken" in record.getMessage()
    assert "03.json" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_what_else_lies_there_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, 4, FULL)
    (tmp_path / ".05.json.new").write_bytes(b"half")  # a power cut
    (tmp_path / "README").write_text("x")
    (tmp_path / "notes.json").write_text("x")
    assert load(tmp_path) == {4: FULL}
    assert caplog.records == []
    path_of(tmp_path, 6).mkdir()
    assert load(tmp_path) == {4: FULL}


def test_the_stamp_changes_with_each_save(tmp_path: Path) -> None:
    folder = tmp_path / "learned"
    seen = {stamp(folder)}
    for number in range(4):
        save(folder, number + 1, FULL)
        # the kernel's file timestamps have steps of some milliseconds; here they are set explicitly
        os.utime(folder, ns=(0, stamp(folder) + number))
        seen.add(stamp(folder))
    assert len(seen) == 5
    before = stamp(folder)
    os.utime(folder, ns=(0, 1))
    save(folder, 1, FULL)
    assert stamp(folder) not in (1, 0)
    assert before != 1


def test_a_newer_one_is_greater_as_text() -> None:
    assert rfc3339(10**18) < rfc3339(10**18 + 10**6) < rfc3339(2 * 10**18)


def test_one_watch_serves_every_part_of_a_service(tmp_path: Path) -> None:
    watch = LearnedWatch(tmp_path)
    parts = [watch.found, watch.found]
    save(tmp_path, 1, FULL)
    watch.poll()
    assert all(watch.found is not before and watch.found[1] == FULL for before in parts)
    after = watch.found
    watch.poll()
    assert watch.found is after, "another object after a change alone"


def test_a_reading_that_hangs_is_seen_by_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, reads, ends = ManualClock(0, 5 * NS_PER_S), threading.Event(), threading.Event()
    steps = Steps("learned", clock)
    watch = LearnedWatch(tmp_path, steps)
    watch.EVERY_S = 0.01

    def hangs(_: Path) -> int:
        reads.set()
        ends.wait(60)
        return 0

    monkeypatch.setattr("linetap.learned.stamp", hangs)
    watch.start()
    assert reads.wait(60)
    assert not steps.stands()
    clock.advance(STANDS_NS)
    assert steps.stands()
    ends.set()
    until(lambda: not steps.stands())
    watch.stop()
    until(lambda: steps._last_ns is None)
