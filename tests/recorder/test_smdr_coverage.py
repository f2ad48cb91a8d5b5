# SPDX-License-Identifier: Apache-2.0
"""The PBX's records of a finished day: which calls count, which of them lack a recording, and the start of the
counting.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from smdr_rig import at, call, config_of, panasonic
from test_smdr_join import Rig
from test_smdr_ledger import MIDNIGHT_S, TODAY, report

from linetap.recorder import checkpoint
from linetap.recorder.checkpoint import Checkpoint
from linetap.recorder.pbx.ledger import LATE_NS, Day
from linetap_core.clock import ManualClock
from linetap_core.records import PbxDay

LINES = ({"extension": "2101", "trunk": "01"}, {"extension": "2102", "trunk": "02"})
SETTLED_S = MIDNIGHT_S + 600


def figures(rig: Rig) -> tuple[str, int, int, int, int] | None:
    """Day; calls of the PBX, recorded, missing, unseen."""
    told = rig.join.ledger.last_day()
    return None if told is None else (told.day, told.calls, told.recorded, told.missing, told.unseen)


def starts(before_midnight_s: float) -> Rig:
    """The office's day ends in this many seconds."""
    rig = Rig(config_of(*LINES))
    rig.clock.advance(at(MIDNIGHT_S - before_midnight_s) - rig.clock.utc_ns())
    rig.join.turn()
    rig.day()  # as done permanently for the state file
    return rig


def both(rig: Rig, line: int = 1, length_s: int = 30, number: str = "01012345678", **more: Any) -> None:
    """A call ends now that both the PBX and we have."""
    now_s = (rig.clock.utc_ns() - at(0)) / 1e9
    begin_s = now_s - length_s
    rig.ends(call(line, begin_s, now_s, number=number, **more), None if "disposition" in more else 1000)
    rig.prints(panasonic(begin_s, length_s, f"210{line}", number))


@pytest.mark.parametrize(("more", "counts"), [
    ({}, (1, 1, 0, 0)),
    ({"disposition": "discarded", "why": "notice_not_heard"}, (1, 0, 1, 0)),
    ({"disposition": "discarded", "why": "disk_full"}, (1, 0, 1, 0)),
    ({"disposition": "discarded", "why": "ended_during_notice"}, (1, 0, 0, 0)),
    ({"disposition": "skipped", "why": "emergency"}, (1, 0, 0, 0)),
    ({"disposition": "exempt", "why": "line_exempt"}, (1, 0, 0, 0)),
    ({"disposition": "fax", "why": "fax_cng"}, (1, 0, 0, 0)),
    ({"disposition": "unanswered", "why": "busy", "answered_at": None}, (1, 0, 0, 0)),
    ({"disposition": "skipped", "why": "internal", "internal": True}, (0, 0, 0, 0)),
    ({"number": "2102"}, (0, 0, 0, 0)),  # recorded, and internal according to the PBX
])  # fmt: skip
def test_what_counts_of_a_call_that_both_have(more: dict[str, Any], counts: tuple[int, ...]) -> None:
    rig = starts(3600)
    both(rig, **more)
    rig.go_to(SETTLED_S + 1)
    assert figures(rig) == (TODAY, *counts)
    assert report(rig).matched == 1


def test_what_counts_of_a_call_that_one_of_them_has() -> None:
    rig = starts(3600)
    now_s = MIDNIGHT_S - 3600
    rig.prints(panasonic(now_s - 20, 20, trunk="01"))  # no record
    rig.prints(panasonic(now_s - 20, 20, "2101", "2102"))  # internal, no record
    rig.prints(panasonic(now_s - 20, 20, "2777", trunk="07"))  # on none of our lines
    rig.go_to(now_s + 200)
    rig.ends(call(2, now_s + 100, now_s + 200))
    rig.ends(call(1, now_s + 100, now_s + 200, number="2102", internal=True))
    rig.go_to(now_s + 300)
    rig.ends(call(1, now_s + 250, now_s + 300, disposition="discarded", why="disk_full"), None)
    rig.go_to(SETTLED_S + 1)
    assert figures(rig) == (TODAY, 1, 0, 1, 1)


def test_a_day_is_reported_when_it_is_settled_and_until_the_next_is() -> None:
    rig = starts(60)
    both(rig)
    rig.go_to(SETTLED_S - 1)
    assert figures(rig) is None
    both(rig, 2)
    rig.go_to(SETTLED_S + 1)
    assert figures(rig) == (TODAY, 1, 1, 0, 0)
    rig.go_to(SETTLED_S + 3600)
    rig.clock.advance(at(SETTLED_S + 86_399) - rig.clock.utc_ns())
    rig.join.turn()
    assert figures(rig) == (TODAY, 1, 1, 0, 0)
    rig.go_to(SETTLED_S + 86_401)
    assert figures(rig) == ("2026-11-26", 1, 1, 0, 0)


def test_a_call_over_midnight_is_of_the_day_on_which_the_pbx_prints_it() -> None:
    rig = starts(60)
    rig.go_to(MIDNIGHT_S + 30)
    both(rig, length_s=80)
    rig.go_to(SETTLED_S + 1)
    assert figures(rig) == (TODAY, 0, 0, 0, 0)
    assert rig.day().calls == 1


def test_a_transferred_call_that_ends_after_the_day_was_settled_corrects_it() -> None:
    """Its first part was printed before midnight, and seemed a call without a record until its end."""
    rig = starts(600)
    begin_s = MIDNIGHT_S - 700
    rig.prints(panasonic(begin_s, 100, "101", trunk="01", kind="I"))
    rig.go_to(SETTLED_S + 1)
    assert figures(rig) == (TODAY, 1, 0, 1, 0)
    rig.go_to(SETTLED_S + 900)
    length_s = round(SETTLED_S + 900 - begin_s)
    rig.prints(panasonic(begin_s + 100, length_s - 100, "102", trunk="01", kind="T"))
    rig.ends(call(1, begin_s, SETTLED_S + 900, "in"))
    rig.go_to(SETTLED_S + 1000)
    assert figures(rig) == (TODAY, 0, 0, 0, 0)
    assert (report(rig).missing, report(rig).parts, report(rig).not_recorded) == (0, 1, [])
    assert (rig.day().calls, rig.day().recorded, rig.day().missing) == (1, 1, 0)


def test_a_line_that_comes_after_the_day_was_settled_corrects_it() -> None:
    rig = starts(60)
    rig.go_to(MIDNIGHT_S - 10)
    begin_s = MIDNIGHT_S - 40
    rig.ends(call(1, begin_s, MIDNIGHT_S - 10))
    rig.go_to(SETTLED_S + 1)
    assert figures(rig) == (TODAY, 0, 0, 0, 1)
    rig.go_to(SETTLED_S + 600)
    assert SETTLED_S + 600 < MIDNIGHT_S + LATE_NS / 1e9
    rig.prints(panasonic(begin_s, 30))
    rig.go_to(SETTLED_S + 800)
    assert figures(rig) == (TODAY, 0, 0, 0, 0)
    assert (report(rig).unseen, report(rig).not_seen) == (0, [])
    assert (rig.day().calls, rig.day().recorded) == (1, 1)


def test_a_late_line_may_say_that_its_call_was_internal() -> None:
    rig = starts(3600)
    end_s = MIDNIGHT_S - 3600
    rig.ends(call(1, end_s - 30, end_s, number=""))
    rig.go_to(end_s + 300)
    assert rig.day().unseen == 1
    rig.prints(panasonic(end_s - 30, 30, "2101", "2777"))
    rig.go_to(SETTLED_S + 1)
    assert (figures(rig), report(rig).late) == ((TODAY, 0, 0, 0, 0), 1)


def test_a_killed_recorder_leaves_it_to_the_next(run_dir: Path) -> None:
    rig = starts(60)
    both(rig)
    rig.prints(panasonic(MIDNIGHT_S - 100, 20, "2102", trunk="02"))
    rig.go_to(SETTLED_S + 1)
    assert figures(rig) == (TODAY, 2, 1, 1, 0)
    checkpoint.save(run_dir, Checkpoint(smdr=rig.join.memory()))
    successor = Rig(rig.config, checkpoint.load(run_dir).smdr, ManualClock(rig.clock.utc_ns(), 1))
    assert figures(successor) == (TODAY, 2, 1, 1, 0)


def test_a_clock_that_was_a_day_ahead_for_a_while_leaves_the_day_whole() -> None:
    rig = starts(7200)
    both(rig)
    rig.go_to(MIDNIGHT_S - 3600)
    rig.clock.step_utc(86_400 * 10**9)
    rig.join.turn()
    assert figures(rig) == (TODAY, 1, 1, 0, 0)
    rig.clock.step_utc(-86_400 * 10**9)
    both(rig, 2)
    rig.go_to(SETTLED_S + 1)
    assert figures(rig) == (TODAY, 2, 2, 0, 0)


def test_a_flood_keeps_its_count() -> None:
    rig = starts(3600)
    for n in range(500):
        rig.prints(panasonic(MIDNIGHT_S - 3600 + n / 100, 5, number=f"0101234{n:04}"))
    rig.go_to(SETTLED_S + 1)
    assert figures(rig) == (TODAY, 500, 0, 500, 0)


def test_a_day_of_an_earlier_version_says_nothing() -> None:
    """It was not counted: 0 would be wrong."""
    day = msgspec.json.decode(b'{"day":"2026-11-25","zone":"Asia/Seoul","lines":40,"matched":40}', type=Day)
    assert day.figures() is None
    assert Day(day=TODAY, zone="Asia/Seoul", counted=True).figures() == PbxDay(
        day=TODAY, calls=0, recorded=0, missing=0, unseen=0
    )
