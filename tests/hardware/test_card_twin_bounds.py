# SPDX-License-Identifier: Apache-2.0
"""The card's digital twin, driven: commands that are repeated, endless, interrupted, or stop; a stuck pin; a part
restarted during an opening. In every case the contact closes, and the notice relay opens.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from circle_rig import (
    BEGINS_S,
    CLOSES_S,
    LASTS_S,
    OPENS_S,
    Held,
    Played,
    circuit,
    driven_by,
    first_turn,
    second_turn,
    within,
)
from driven_rig import RESTED_S, DrivenRig

from linetap.board.interface import Levels
from linetap.board.meter import protocol as wire
from linetap_core.clock import NS_PER_MS
from part_rig import LINES, needs_part, wrong_program
from twin.driven import Driven
from twin.wires import moves

pytestmark = [
    *needs_part,
    pytest.mark.skipif(not shutil.which("ngspice"), reason="ngspice is not installed: it has the drawn net"),
]

EXPIRES_S, NOTICE_EXPIRES_S = wire.CONTACT_EXPIRY_MS / 1000, wire.RELAY_EXPIRY_MS / 1000
REPEATED_S = 0.12  # greatest age of linetap's last command
TWICE, ENDLESS, STUCK, CUT, NOTICE, LEFT, *_, BESIDE = range(1, LINES + 1)
STUCK_S, CUT_S, NOTICE_S, AGAIN_S, ANEW_S, LEFT_S, SILENT_S, BOUNDS_END_S = 3.6, 3.4, 4.0, 5.2, 5.28, 6.6, 7.08, 7.8
TONE = ["Vtx /TX1 0 sin(0 1 400)"]


def bounds(rig: DrivenRig) -> list[Levels]:
    found = rig.turns(RESTED_S)
    rig.open(TWICE)
    rig.card.contact(ENDLESS - 1, True)  # never ended
    rig.open(STUCK)
    found += rig.turns(CUT_S)
    rig.cut_next = True
    rig.open(CUT)
    found += rig.turns(NOTICE_S)
    rig.open(TWICE)
    rig.card.relay(NOTICE - 1, True)
    found += rig.turns(AGAIN_S)
    rig.open(TWICE)
    found += rig.turns(ANEW_S)
    rig.capture_begins()
    found += rig.turns(ANEW_S + 0.04)
    rig.open(TWICE)
    found += rig.turns(LEFT_S)
    rig.open(LEFT)
    found += rig.turns(SILENT_S)
    rig.silent(BOUNDS_END_S)
    return found


def stands_high(driven: Driven) -> Driven:
    """The contact's pin stuck high, from its next edge on."""
    kept = [(at, level) for at, level in driven.contact if at < STUCK_S]
    return replace(driven, contact=kept if kept[-1][1] else kept[:-1])


@cache
def bounded() -> Played:
    begins = BEGINS_S
    watched = {
        TWICE: (begins, SILENT_S), ENDLESS: (begins, BOUNDS_END_S), STUCK: (begins, 5.0),
        CUT: (begins, CUT_S + LASTS_S + 0.4), NOTICE: (NOTICE_S - 0.1, BOUNDS_END_S),
        LEFT: (LEFT_S - 0.1, BOUNDS_END_S), BESIDE: (begins, BOUNDS_END_S),
    }  # fmt: skip
    calls = [Held(watched=watched.get(line)) for line in range(1, LINES + 1)]
    calls[NOTICE - 1] = replace(calls[NOTICE - 1], more=TONE)
    driven = driven_by(first_turn(bounds))
    broken = [stands_high(each) if line == STUCK else each for line, each in enumerate(driven, 1)]
    return second_turn(bounds, calls, driven, circuit(calls, broken))


def test_a_contact_that_is_asked_twice_opens_once() -> None:
    """Capture refuses a second request; a restarted capture, without memory of the opening, does not, but the meter
    does.
    """
    ran = bounded()
    opened, closed = (RESTED_S, RESTED_S + OPENS_S, True), (RESTED_S + LASTS_S, RESTED_S + LASTS_S + CLOSES_S, False)
    assert within(ran.loop_open(TWICE - 1)[1:], opened, closed)
    assert len(moves(ran.driven[TWICE - 1].contact)) == 1, "the meter has moved its pin once"
    assert ran.rig.refused[3:6] == [None, f"the contact of line {TWICE} was open a moment ago", None]
    assert ran.rig.state.contact_stuck == [TWICE], "the second capture says that its command did nothing"


def test_a_command_without_end_is_bounded_by_the_drawn_driver_and_by_the_meter() -> None:
    ran = bounded()
    opened, closed = (RESTED_S, RESTED_S + OPENS_S, True), (RESTED_S + 2, RESTED_S + 2.9, False)
    assert within(ran.loop_open(ENDLESS - 1)[1:], opened, closed), "by the driver, which knows of no command"
    assert within(ran.hook[ENDLESS - 1][1:], (*opened[:2], False), (*closed[:2], True))
    assert meter_bounds(ran.driven[ENDLESS - 1]), "by the meter, and later"
    reported = [at for at, lines in ran.rig.reported if ENDLESS in lines]
    assert RESTED_S < reported[0] < RESTED_S + 0.1
    assert ran.rig.suspected == {ENDLESS}, "the meter reported one open that capture had not opened"


def meter_bounds(driven: Driven) -> bool:
    spans = moves(driven.contact)
    most = wire.CONTACT_MOST_MS / 1000
    return len(spans) == 1 and most - 0.01 <= spans[0][1] - spans[0][0] <= most + 0.01


def test_a_pin_that_stands_high_closes_the_contact() -> None:
    ran = bounded()
    opened, closed = (RESTED_S, RESTED_S + OPENS_S, True), (STUCK_S, STUCK_S + 0.1, False)
    assert within(ran.loop_open(STUCK - 1)[1:], opened, closed)
    assert within(ran.hook[STUCK - 1][1:], (*opened[:2], False), (*closed[:2], True)), "the call goes on"


def test_of_a_command_that_is_cut_nothing_is_done_and_the_next_is_heard() -> None:
    ran = bounded()
    (opened, is_open), (closed, _) = ran.loop_open(CUT - 1)[1:]
    assert is_open
    assert CUT_S + 0.1 <= opened <= CUT_S + REPEATED_S + OPENS_S
    assert CUT_S + LASTS_S <= closed <= CUT_S + LASTS_S + CLOSES_S


def test_a_contact_closes_when_linetap_says_no_more() -> None:
    ran = bounded()
    ends = SILENT_S + EXPIRES_S
    assert within(ran.loop_open(LEFT - 1)[1:], (LEFT_S, LEFT_S + OPENS_S, True), (ends - REPEATED_S, ends + 0.1, False))
    assert within(ran.told[LEFT - 1][-1:], (ends - REPEATED_S, ends + 0.1, True))


def test_a_notice_relay_opens_when_linetap_says_no_more() -> None:
    """A tone behind it is in the exchange's loop while it is closed. ARM continues: the meter opens the relay."""
    ran = bounded()
    assert ran.driven[NOTICE - 1].coil[-1][0] > BOUNDS_END_S
    seen, ends = ran.seen[NOTICE - 1], SILENT_S + NOTICE_EXPIRES_S
    assert seen is not None
    at, loop = np.array(seen.second), np.array(seen.loop)

    def tone_a(begins: float) -> float:
        """Half of its swing in the 20 ms from then on."""
        return float(np.ptp(loop[(at >= begins) & (at < begins + 0.02)])) / 2

    before, heard, last, gone = map(tone_a, (NOTICE_S - 0.05, NOTICE_S + 0.2, ends - REPEATED_S - 0.03, ends + 0.05))
    assert min(heard, last) > 30 * max(before, gone), (before, heard, last, gone)


def test_a_line_beside_them_has_nothing_of_it() -> None:
    ran = bounded()
    assert (ran.driven[BESIDE - 1].relay, ran.driven[BESIDE - 1].contact) == ([], [])
    assert [level for _, level in ran.loop_open(BESIDE - 1)] == [False]
    assert [level for _, level in ran.hook[BESIDE - 1]] == [True]


def endless(rig: DrivenRig) -> list[Levels]:
    found = rig.turns(RESTED_S)
    rig.card.contact(ENDLESS - 1, True)
    return found + rig.turns(RESTED_S + 3.2)


def test_a_meter_without_its_bound_is_found(tmp_path: Path) -> None:
    wrong = wrong_program(tmp_path, "contacts.c", "!asked || lasted_us >= METER_CONTACT_MOST_MS * 1000u", "!asked")
    assert not meter_bounds(driven_by(first_turn(endless, wrong))[ENDLESS - 1])


STANDS_S, ASKED_AGAIN_S, RESET_END_S = 3.8, 5.2, 5.8


def begun_anew(rig: DrivenRig) -> list[Levels]:
    found = rig.turns(RESTED_S)
    rig.open(1)
    rig.card.relay(1, True)
    found += rig.turns(STANDS_S)
    rig.part.chip.time.ns += 200 * NS_PER_MS  # a stall of the program
    found += rig.turns(ASKED_AGAIN_S)
    rig.capture_begins()
    rig.open(1)
    return found + rig.turns(RESET_END_S)


def test_a_part_that_is_begun_anew_in_mid_opening_closes_the_contact_and_the_call_goes_on() -> None:
    calls = [Held(watched=(BEGINS_S, RESET_END_S)), *[Held()] * (LINES - 1)]
    driven = driven_by(first_turn(begun_anew))
    ran = second_turn(begun_anew, calls, driven, circuit(calls, driven))
    assert (ran.rig.part.chip.resets, ran.rig.reader.state.restarts) == (1, 1)
    opened, closed = (RESTED_S, RESTED_S + OPENS_S, True), (STANDS_S, STANDS_S + 0.1, False)
    assert within(ran.loop_open(0)[1:], opened, closed), "and it does not open again, though it is asked to"
    assert [level for _, level in driven[1].relay] == [True, False, True], "linetap goes on asking for this one"
    assert STANDS_S + 0.2 < driven[1].relay[1][0] < STANDS_S + 0.25
    assert ran.hook[0][-1][1]
    assert ran.hook[0][-1][0] < STANDS_S + 0.6
    assert ran.rig.refused == [None, None]
    assert ran.rig.reader.state.connected
