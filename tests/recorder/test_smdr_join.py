# SPDX-License-Identifier: Apache-2.0
"""A call waits for its line and gets the right one or none; no call is lost, doubled or swapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from call_rig import Kept
from hypothesis import given
from hypothesis import strategies as st
from smdr_rig import NUMBER, T0_NS, call, config_of, panasonic

from linetap.config.schema import Config
from linetap.recorder import checkpoint
from linetap.recorder.pbx.join import SmdrJoin, SmdrMemory
from linetap.recorder.pbx.ledger import Day
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.records import CallRecord, ClockRecord

TWO = ({"extension": "2101"}, {"extension": "2102"})


class Rig:
    """A join over a vault that stores its inputs, with a clock controlled by the test."""

    def __init__(self, config: Config, memory: SmdrMemory | None = None, clock: ManualClock | None = None,
                 vault: Kept | None = None) -> None:  # fmt: skip
        self.config = config
        self.clock = clock or ManualClock(T0_NS, 5 * NS_PER_S)
        self.vault = vault or Kept()
        self.kept: dict[str, bytes] = {}
        self.join = SmdrJoin(config, self.vault, self.clock, self.kept.__setitem__, memory)

    def go_to(self, seconds: float) -> None:
        """Advances to this time after START, turn by turn like the service."""
        until = T0_NS + round(seconds * NS_PER_S)
        while self.clock.utc_ns() < until:
            self.clock.advance(min(until - self.clock.utc_ns(), NS_PER_S // 2))
            self.join.turn()

    def ends(self, record: CallRecord, end_frame: int | None = 1000) -> None:
        self.join.close(record.call_id, end_frame, record)

    def prints(self, raw: str) -> None:
        self.join.line(raw, self.clock.utc_ns())
        self.join.turn()

    def smdr(self) -> dict[int, str | None]:
        """Line -> the PBX line in its sealed call."""
        return {record.line: record.smdr for record in self.vault.records}

    def day(self) -> Day:
        return self.join.ledger.day_at(self.clock.utc_ns())


def test_a_call_waits_for_its_line_and_is_sealed_with_it() -> None:
    rig, record, raw = Rig(config_of(*TWO)), call(1, 0, 30), panasonic(0, 30)
    rig.go_to(31)
    rig.join.close(record.call_id, 1000, record, [(5, 9)])
    assert rig.vault.permitted == {record.call_id: [1000]}  # its audio does not wait
    assert rig.join.memory().held[0].job.withheld == [(5, 9)]
    assert rig.vault.closed == []
    rig.go_to(33)
    rig.prints(raw)
    rig.go_to(36)
    ((call_id, end_frame, sealed),) = rig.vault.closed
    assert rig.vault.withheld == {call_id: [(5, 9)]}
    assert (call_id, end_frame, sealed) == (record.call_id, 1000, msgspec.structs.replace(record, smdr=raw))
    assert not rig.join.held_calls()


def test_without_a_line_it_is_sealed_when_the_time_is_up() -> None:
    rig, record = Rig(config_of(*TWO, wait_s=15)), call(1, 0, 30)
    rig.go_to(31)
    rig.ends(record)
    rig.go_to(45.5)
    assert rig.join.held_calls() == {record.call_id}
    rig.go_to(46)
    assert rig.vault.records == [record]


def test_two_calls_at_once_never_swap() -> None:
    """Same start, same length, same number: only the extension distinguishes them, whichever line comes first."""
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.ends(call(1, 0, 30))
    rig.ends(call(2, 0, 30))
    one, two = panasonic(0, 30, "2101"), panasonic(0, 30, "2102")
    rig.prints(two)
    rig.prints(one)
    rig.go_to(50)
    assert rig.smdr() == {1: one, 2: two}


def test_two_calls_at_once_on_trunks_and_one_line_missing() -> None:
    rig = Rig(config_of({"trunk": "1"}, {"trunk": "02"}))
    rig.go_to(31)
    rig.ends(call(1, 0, 30))
    rig.ends(call(2, 0, 30))
    raw = panasonic(0, 30, "2777", trunk="02")
    rig.prints(raw)
    rig.go_to(50)
    assert rig.smdr() == {1: None, 2: raw}


def test_a_pbx_line_goes_to_one_call_the_best() -> None:
    """The first call got no line; the second, of nearly the same length, ends while the line is there."""
    rig = Rig(config_of(*TWO))
    rig.go_to(21)
    rig.ends(call(1, 0, 20, number="0215881588"))
    raw = panasonic(21.5, 9)
    rig.go_to(31)
    rig.prints(raw)
    rig.go_to(31.5)
    rig.ends(call(1, 21.5, 30.5))
    rig.go_to(60)
    assert [record.smdr for record in rig.vault.records] == [raw, None]
    assert rig.vault.records[0].off_hook_at == call(1, 21.5, 30).off_hook_at


@pytest.mark.parametrize("off_s", [-90, 90])
def test_a_line_may_come_before_the_call_is_over_from_a_clock_that_is_wrong(off_s: int) -> None:
    """The exchange's busy tone delayed our end by 30 s; the PBX knew at once."""
    rig = Rig(config_of(*TWO))
    raw = panasonic(off_s, 30)
    rig.go_to(30.2)
    rig.prints(raw)
    rig.go_to(61)
    rig.ends(call(1, 0, 30))
    rig.go_to(61.5)
    assert rig.smdr() == {1: raw}


YEARS = 8 * 365 * 86_400


@pytest.mark.parametrize("step_s", [YEARS, -YEARS, -3600])
def test_the_clock_is_set_in_the_middle_of_a_call(step_s: int) -> None:
    """Its record counts from its beginning, by the old clock; the line arrives by the new one."""
    rig = Rig(config_of(*TWO))
    raw = panasonic(0, 30)
    rig.go_to(-5.0)
    rig.clock.step_utc(-step_s * NS_PER_S)
    record = call(1, -step_s, 30 - step_s, clock=ClockRecord(synced=True, stepped_ms=step_s * 1000))
    rig.clock.step_utc(step_s * NS_PER_S)
    rig.go_to(30.2)
    rig.prints(raw)
    rig.ends(record)
    rig.go_to(33)
    assert rig.smdr() == {1: raw}


@pytest.mark.parametrize("wrong_s", [-YEARS, YEARS])
def test_a_unit_whose_clock_nobody_keeps_matches_by_the_lines_arrival(wrong_s: int) -> None:
    """The PBX prints day and time; ours are of another decade. Each of two calls gets its own line."""
    rig = Rig(config_of(*TWO), clock=ManualClock(T0_NS + wrong_s * NS_PER_S, 5 * NS_PER_S))
    unkept = ClockRecord(synced=False)
    lines = [panasonic(0, 30), panasonic(100, 50)]
    for raw, start_s, end_s in zip(lines, (0, 100), (30, 150), strict=True):
        rig.clock.advance((T0_NS + round((wrong_s + end_s + 0.2) * NS_PER_S)) - rig.clock.utc_ns())
        rig.prints(raw)
        rig.ends(call(1, wrong_s + start_s, wrong_s + end_s, clock=unkept))
        for _ in range(8):
            rig.clock.advance(NS_PER_S // 2)
            rig.join.turn()
    assert [record.smdr for record in rig.vault.records] == lines


def test_a_clock_that_is_more_wrong_than_allowed() -> None:
    rig = Rig(config_of(*TWO, tolerance_s=60))
    rig.go_to(31)
    rig.ends(call(1, 0, 30))
    rig.prints(panasonic(61, 30))
    rig.go_to(200)
    assert rig.smdr() == {1: None}


@pytest.mark.parametrize(
    "raw",
    [
        panasonic(0, 30, "2103"),
        panasonic(0, 30, "101", trunk="01"),
        panasonic(0, 300),
        panasonic(-300, 30),
        "garbage",
        "",
        "O 11/25 07:56:00 00:00:30 2101"[:-5],
    ],
)
def test_a_line_that_is_another_calls_or_none_is_not_given(raw: str) -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.ends(call(1, 0, 30))
    rig.prints(raw)
    rig.go_to(200)
    assert rig.smdr() == {1: None}


def test_a_line_cannot_be_of_a_call_that_began_after_it() -> None:
    rig = Rig(config_of(*TWO))
    rig.prints(panasonic(0, 0))
    rig.go_to(31)
    rig.ends(call(1, 25, 30, answered_at=None, disposition="unanswered"))
    rig.go_to(60)
    assert rig.smdr() == {1: None}


@pytest.mark.parametrize(("told_s", "lines"), [(0, TWO), (36, TWO), (0, ({}, {}))])
def test_a_missed_call_has_a_line_too(told_s: int, lines: tuple[dict[str, Any], ...]) -> None:
    record = call(1, 0, 36, "in", ring_at=call(1, 0, 36).off_hook_at, off_hook_at=None, answered_at=None,
                  disposition="missed", ended_by=None)  # fmt: skip
    rig, raw = Rig(config_of(*lines)), panasonic(0, told_s, kind="I")
    rig.go_to(44)
    rig.ends(record, None)
    rig.prints(raw)
    rig.go_to(50)
    assert rig.smdr() == {1: raw}


def test_a_call_that_goes_on_in_another_record_waits_at_its_end_alone() -> None:
    rig = Rig(config_of(*TWO))
    first = call(1, 0, 1000, ended_by="time_limit")
    rig.ends(first)
    assert rig.vault.records == [first]
    rig.go_to(1051)
    raw = panasonic(0, 1050)
    rig.prints(raw)
    rig.ends(call(1, 1000, 1050, continues=first.call_id))
    rig.go_to(1060)
    assert [record.smdr for record in rig.vault.records] == [None, raw]


# --- internal ------------------------------------------------------------------------------------------------


def test_both_ends_are_extensions_so_the_call_was_internal() -> None:
    rig, raw = Rig(config_of(*TWO)), panasonic(0, 30, "2555", number="2102")
    rig.go_to(31)
    rig.ends(call(2, 0, 30, "in", number=""))
    rig.prints(raw)
    rig.go_to(40)
    (record,) = rig.vault.records
    assert (record.internal, record.internal_by, record.disposition, record.smdr) == (True, "smdr", "recorded", raw)


def test_what_was_known_before_stays() -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.ends(call(1, 0, 30, number="2102", internal=True, internal_by="dialled", disposition="skipped"), None)
    rig.prints(panasonic(0, 30, number="2102"))
    rig.go_to(40)
    assert rig.vault.records[0].internal_by == "dialled"


def test_a_skipped_call_that_the_pbx_saw_with_the_outside_had_another_party() -> None:
    rig = Rig(config_of(*TWO))
    rig.ends(call(1, 0, 30, internal=True, internal_by="caller", disposition="skipped", why="internal"), None)
    rig.prints(panasonic(0, 30))
    rig.go_to(50)
    (record,) = rig.vault.records
    assert (record.disposition, record.party_unknown, record.smdr) == ("skipped", True, panasonic(0, 30))


def test_a_call_to_the_outside_is_not_internal() -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.ends(call(1, 0, 30))
    rig.prints(panasonic(0, 30))
    rig.go_to(40)
    assert (rig.vault.records[0].internal, rig.vault.records[0].internal_by) == (False, None)


# --- lines without a name ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "ours", "raw", "joined"),
    [
        (({}, {}), NUMBER, panasonic(0, 30, "101"), True),  # by the digits
        (({}, {}), NUMBER, panasonic(0, 30, "101", number="0215881588", trunk="01"), False),
        (({}, {}), "", panasonic(0, 30, "101", trunk="01"), True),  # trunk 1 is line 1, without contrary evidence
        (({}, {}), "", panasonic(0, 30, "101", trunk="02"), False),
        (({}, {}), "", panasonic(0, 30, "101"), False),
        (({}, {"trunk": "01"}), "", panasonic(0, 30, "101", trunk="01"), False),
        (({}, {"trunk": "02"}), "9" + NUMBER, panasonic(0, 30, "101", trunk="07"), True),
    ],
)
def test_a_line_without_a_name(lines: tuple[dict[str, Any], ...], ours: str, raw: str, joined: bool) -> None:
    rig = Rig(config_of(*lines))
    rig.go_to(31)
    rig.ends(call(1, 0, 30, number=ours))
    rig.prints(raw)
    rig.go_to(60)
    assert rig.smdr() == {1: raw if joined else None}


# --- kills ---------------------------------------------------------------------------------------------------------


def through_checkpoint(rig: Rig, run_dir: Path) -> Rig:
    """Another recorder over the same vault, started from the last one's checkpoint."""
    checkpoint.save(run_dir, checkpoint.Checkpoint(smdr=rig.join.memory()))
    return Rig(rig.config, checkpoint.load(run_dir).smdr, rig.clock, rig.vault)


def test_a_recorder_that_is_killed_leaves_its_calls_and_lines_to_the_next(run_dir: Path) -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.join.close("one", 1000, call(1, 0, 30, call_id="one"), [(5, 9)])
    early = panasonic(10, 22, "2102")
    rig.prints(early)
    rig = through_checkpoint(rig, run_dir)
    assert rig.join.held_calls() == {"one"}
    rig.go_to(33)
    rig.ends(call(2, 10, 32))
    raw = panasonic(0, 30)
    rig.prints(raw)
    rig = through_checkpoint(rig, run_dir)
    rig.go_to(60)
    assert rig.smdr() == {1: raw, 2: early}
    assert len(rig.vault.closed) == 2
    assert through_checkpoint(rig, run_dir).join.held_calls() == set()


def test_the_wait_goes_on_where_it_was(run_dir: Path) -> None:
    rig = Rig(config_of(*TWO, wait_s=15))
    rig.go_to(31)
    rig.ends(call(1, 0, 30))
    rig.go_to(44)
    rig = through_checkpoint(rig, run_dir)
    rig.go_to(45.5)
    assert rig.vault.closed == []
    rig.go_to(46)
    assert len(rig.vault.closed) == 1


def test_a_call_that_is_followed_once_more_waits_once() -> None:
    """The next recorder continues from the last cursor, and may process the same end again."""
    rig = Rig(config_of(*TWO))
    for _ in range(2):
        rig.ends(call(1, 0, 30))
    rig.go_to(60)
    assert len(rig.vault.closed) == 1


def test_at_the_end_every_call_is_sealed_with_what_has_come() -> None:
    rig, raw = Rig(config_of(*TWO)), panasonic(0, 30)
    rig.go_to(31)
    rig.ends(call(1, 0, 30))
    rig.ends(call(2, 0, 30))
    rig.prints(raw)
    rig.join.seal_all()
    assert rig.smdr() == {1: raw, 2: None}


# --- any order -----------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(1, 3), st.integers(0, 40)),
        st.tuples(st.just("line"), st.sampled_from(["2101", "2102", "2103", "9999"]), st.integers(0, 40)),
        st.tuples(st.just("raw"), st.text(max_size=90), st.just(0)),
        st.tuples(st.just("wait"), st.just(0), st.integers(1, 30)),
        st.tuples(st.just("kill"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_every_call_is_sealed_once_and_no_line_twice(steps: list[tuple[str, Any, int]]) -> None:
    lines = [{"extension": f"210{n}"} for n in (1, 2, 3)]
    rig = Rig(config_of(*lines))
    ended: list[str] = []
    printed, now = 0, 0.0
    for kind, what, length in steps:
        if kind == "call":
            ended.append(f"call-{len(ended)}")
            rig.ends(call(what, now - length, now, call_id=ended[-1]))
        elif kind == "line":
            printed += 1
            rig.prints(panasonic(now - length, length, what, number=f"0{printed:09}"))
        elif kind == "raw":
            rig.prints(what)
        elif kind == "wait":
            now += length
            rig.go_to(now)
        else:
            written = msgspec.msgpack.encode(rig.join.memory())
            rig = Rig(rig.config, msgspec.msgpack.decode(written, type=SmdrMemory), rig.clock, rig.vault)
    rig.go_to(now + 200)
    closed = rig.vault.records
    assert sorted(record.call_id for record in closed) == sorted(ended)
    given_away = [record.smdr for record in closed if record.smdr is not None]
    assert len(set(given_away)) == len(given_away)
    assert all(f" 210{record.line} " in record.smdr for record in closed if record.smdr is not None)
