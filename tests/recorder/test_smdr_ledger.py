# SPDX-License-Identifier: Apache-2.0
"""The day's account has the calls that only the PBX has and those that only we have, without numbers."""

from __future__ import annotations

import msgspec
import pytest
from smdr_rig import NUMBER, at, call, config_of, panasonic
from test_smdr_join import TWO, Rig

from linetap.recorder.pbx.join import MOST_LINES
from linetap.recorder.pbx.ledger import DAY_FILE, MOST_ENTRIES, Day
from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.records import CallRecord

TODAY = "2026-11-25"  # in Seoul
MIDNIGHT_S = (parse_rfc3339("2026-11-25T15:00:00Z") - at(0)) / 1e9


def report(rig: Rig, day: str = TODAY) -> Day:
    return DAY_FILE.decode(rig.kept[f"smdr/{day}.json"])


def test_a_call_that_only_the_pbx_saw() -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.prints(panasonic(0, 30, trunk="01"))
    rig.prints(panasonic(0, 30, "2777"))  # on none of our lines
    rig.prints("garbage")
    rig.join.finish()
    day = report(rig)
    assert (day.day, day.zone, day.lines, day.bad, day.matched, day.unmatched) == (TODAY, "Asia/Seoul", 2, 1, 0, 1)
    (entry,) = day.not_recorded
    assert msgspec.to_builtins(entry) == {
        "line": 1, "started_at": "2026-11-24T22:56:00.000Z", "kind": "out", "number": "010-****-5678",
        "why": "no_record", "duration_s": 30,
    }  # fmt: skip


def test_a_recording_that_the_pbx_did_not_see() -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.ends(call(1, 0, 30))
    rig.ends(call(2, 0, 30, disposition="discarded"), None)
    rig.go_to(60)
    rig.join.finish()
    day = report(rig)
    assert [(entry.line, entry.call_id, entry.duration_s) for entry in day.not_seen] == [
        (1, "20261124T225600.123Z-L01", 30.0)
    ]
    assert (day.unmatched, day.not_recorded) == (1, [])


def test_a_call_that_both_saw_and_that_has_no_recording_gives_the_reason() -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.ends(call(1, 0, 30, disposition="discarded", why="notice_failed"), None)
    rig.prints(panasonic(0, 30))
    rig.ends(call(2, 0, 30, answered_at=None, disposition="unanswered", why="not_answered"), None)
    rig.prints(panasonic(0, 30, "2102"))
    rig.join.finish()
    day = report(rig)
    assert [(entry.line, entry.why, entry.call_id) for entry in day.not_recorded] == [
        (1, "notice_failed", "20261124T225600.123Z-L01")
    ]
    assert (day.matched, day.unmatched) == (2, 0)


def test_a_late_line_takes_its_call_off_the_list() -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.ends(call(1, 0, 30))
    rig.go_to(300)
    assert rig.day().unmatched == 1
    rig.prints(panasonic(0, 30))
    rig.go_to(400)
    rig.join.finish()
    day = report(rig)
    assert (day.matched, day.late, day.unmatched, day.not_seen, day.not_recorded) == (1, 1, 0, [], [])
    assert rig.smdr() == {1: None}


def cut_off(start_s: float, end_s: float) -> CallRecord:
    """A record as sealed after a power cut: the dialled number is in no public record."""
    return call(1, start_s, end_s, ended_by="power", dialled=None, recovered=True)


def test_a_call_that_a_power_cut_ended_has_its_line_though_the_pbx_heard_more_of_it() -> None:
    """The rest of the call is a recording of the same line; the next call is not."""
    rig = Rig(config_of(*TWO))
    rig.go_to(60)
    rig.join.ledger.call_recovered(cut_off(0, 20))
    rig.go_to(120)
    rig.ends(call(1, 61, 119, dialled=None))
    rig.prints(panasonic(0, 119))
    rig.go_to(180)
    rig.ends(call(1, 150, 180))
    assert rig.day().unseen == 1  # the rest of it
    rig.go_to(240)
    rig.join.finish()
    day = report(rig)
    assert (day.calls, day.recorded, day.missing, day.matched, day.not_recorded) == (1, 1, 0, 1, [])
    assert ([entry.duration_s for entry in day.not_seen], day.unseen, day.unmatched) == ([30.0], 1, 1)


@pytest.mark.parametrize("told", [panasonic(0, 10), panasonic(200, 30), panasonic(0, 119, "2102")])
def test_another_line_is_not_that_of_a_call_that_was_cut_off(told: str) -> None:
    rig = Rig(config_of(*TWO))
    rig.join.ledger.call_recovered(cut_off(0, 60))
    rig.go_to(240)
    rig.prints(told)
    rig.join.finish()
    day = report(rig)
    assert ([entry.why for entry in day.not_recorded], day.matched) == (["no_record"], 0)


def test_a_missing_line_of_a_call_that_was_cut_off_counts_for_nothing() -> None:
    """It may have been printed during the power cut; and for hours afterwards it may still arrive."""
    rig = Rig(config_of(*TWO))
    rig.join.ledger.call_recovered(cut_off(0, 20))
    rig.go_to(7200)
    rig.ends(call(2, 7170, 7200))
    rig.go_to(7300)
    assert [entry.line for entry in rig.day().not_seen] == [2]
    rig.prints(panasonic(0, 7290))
    rig.join.finish()
    assert (rig.day().calls, rig.day().recorded, rig.day().not_recorded) == (1, 1, [])


def test_the_day_is_written_down_after_midnight_where_the_office_is() -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.prints(panasonic(0, 30))
    rig.go_to(130)
    rig.clock.advance(at(MIDNIGHT_S + 30) - rig.clock.utc_ns())
    rig.prints(panasonic(MIDNIGHT_S, 25))
    rig.go_to(MIDNIGHT_S + 599)
    assert rig.day().day == "2026-11-26"
    assert sorted(rig.join.ledger.memory.days) == [TODAY, "2026-11-26"]
    rig.go_to(MIDNIGHT_S + 601)
    assert sorted(rig.join.ledger.memory.days) == ["2026-11-26"]
    assert report(rig).unmatched == 1


def test_every_hour_it_is_written_as_it_stands() -> None:
    rig = Rig(config_of(*TWO))
    rig.prints(panasonic(0, 0))
    rig.go_to(3590)
    assert rig.kept == {}
    rig.go_to(3601)
    assert report(rig).lines == 1


def test_a_clock_that_jumps_makes_no_heap_of_days() -> None:
    rig = Rig(config_of(*TWO))
    for _ in range(20):
        rig.clock.step_utc(-86_400 * 10**9)
        rig.prints(panasonic(0, 0))
    assert len(rig.join.ledger.memory.days) <= 4
    assert len(rig.kept) >= 16


def test_a_flood_is_bounded_and_counted() -> None:
    rig = Rig(config_of(*TWO))
    for n in range(MOST_LINES + MOST_ENTRIES + 100):
        rig.prints(panasonic(n / 100, 5, number=f"0101234{n:04}"))
    assert len(rig.join.memory().pending) == MOST_LINES
    rig.join.finish()
    day = report(rig)
    assert len(day.not_recorded) == MOST_ENTRIES
    assert day.left_off == MOST_LINES + 100
    assert day.unmatched == day.lines == MOST_LINES + MOST_ENTRIES + 100


def test_nobodys_number_stands_in_it() -> None:
    rig = Rig(config_of(*TWO))
    rig.go_to(31)
    rig.ends(call(1, 0, 30, disposition="discarded"), None)
    rig.prints(panasonic(0, 30))
    rig.prints(panasonic(0, 300))
    rig.ends(call(2, 0, 30, "in"))
    rig.join.finish()
    written = b"".join(rig.kept.values()).decode()
    assert len(report(rig).not_recorded) == 2
    assert NUMBER not in written
    assert "01012" not in written
    assert rfc3339(at(0))[:10] in written


# --- transferred calls: one call of ours, several lines of the PBX -------------------------------------------------

TRUNKS = ({"trunk": "01"}, {"trunk": "02"})


def test_a_transferred_call_gets_one_of_its_lines_and_the_others_are_parts() -> None:
    rig = Rig(config_of(*TRUNKS))
    first, last = panasonic(0, 100, "101", trunk="01", kind="I"), panasonic(100, 500, "102", trunk="01", kind="T")
    rig.go_to(101)
    rig.prints(first)
    rig.go_to(400)
    assert rig.day().unmatched == 1  # it is not known yet that the call continues
    rig.go_to(601)
    rig.prints(last)
    rig.ends(call(1, 0, 600, "in"))
    rig.go_to(750)
    assert rig.smdr() == {1: last}
    day = rig.day()
    assert (day.matched, day.parts, day.unmatched, day.not_recorded, day.not_seen) == (1, 1, 0, [], [])


def test_a_part_that_is_told_late_is_one_too() -> None:
    rig = Rig(config_of(*TRUNKS))
    rig.go_to(601)
    whole = panasonic(0, 600, "101", trunk="01", kind="I")
    rig.prints(whole)
    rig.prints(panasonic(100, 500, "102", trunk="01", kind="T"))
    rig.ends(call(1, 0, 600, "in"))
    rig.go_to(750)
    assert rig.smdr() == {1: whole}
    assert (rig.day().matched, rig.day().parts, rig.day().unmatched) == (1, 1, 0)


def test_a_line_of_another_trunk_or_from_after_the_call_is_no_part() -> None:
    rig = Rig(config_of(*TRUNKS))
    rig.go_to(601)
    rig.ends(call(1, 0, 600, "in"))
    rig.prints(panasonic(100, 400, "102", trunk="02", kind="T"))
    rig.go_to(630)
    rig.prints(panasonic(610, 20, "102", trunk="01", kind="O"))
    rig.go_to(800)
    assert rig.smdr() == {1: None}
    assert (rig.day().parts, rig.day().unmatched) == (0, 3)
