# SPDX-License-Identifier: Apache-2.0
"""The card's digital twin, driven: calls at each corner of the line are ended by linetap's command, as seen by the
exchange and by linetap; and the effect of a wrong drawing, or of missing edges on ARM.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache

import pytest
from circle_rig import (
    BEGINS_S,
    CLOSES_S,
    LASTS_S,
    ON_HOOK_A,
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
from hardware_rig import drawn_card, front_end

from linetap.board.interface import Levels
from part_rig import LINES, needs_part
from simulation.linetable import CORNERS_V
from twin.driven import Driven
from twin.wires import moves

pytestmark = [
    *needs_part,
    pytest.mark.skipif(not shutil.which("ngspice"), reason="ngspice is not installed: it has the drawn net"),
]

APART_S = 0.08  # between commands to two lines, so that they are distinguishable
LEARNT_BELOW_V = 25  # the profile's least voltage of an on-hook line


def held(battery_v: float, off_hook_v: float, corner: str) -> Held:
    learnt = (battery_v, off_hook_v) if battery_v < LEARNT_BELOW_V or off_hook_v > LEARNT_BELOW_V else None
    return Held(battery_v, off_hook_v, corner=corner, learnt=learnt)


PACES = (("slow", "fast"), ("fast", "slow"), ("slow", "fast"), ("fast", "slow"))  # a part has no more lines
RELEASED = [
    held(*volts, f"{end}, {pace}")
    for volts, paces in zip(CORNERS_V, PACES, strict=True)
    for end, pace in zip(("lowest", "highest"), paces, strict=True)
]
ASKED_S = [RESTED_S + APART_S * row for row in range(LINES)]
ONE_END_S = RESTED_S + LASTS_S + 0.24
RELEASES_END_S = ASKED_S[-1] + LASTS_S + 0.24


def releases(rig: DrivenRig) -> list[Levels]:
    found: list[Levels] = []
    for row, at in enumerate(ASKED_S):
        found += rig.turns(at)
        rig.open(row + 1)
    return found + rig.turns(RELEASES_END_S)


@cache
def commanded() -> DrivenRig:
    return first_turn(releases)


@cache
def released() -> Played:
    calls = [replace(call, watched=(BEGINS_S, at + LASTS_S + 0.24)) for call, at in zip(RELEASED, ASKED_S, strict=True)]
    driven = driven_by(commanded())
    return second_turn(releases, calls, driven, circuit(calls, driven))


@pytest.mark.parametrize("row", range(LINES), ids=lambda row: f"{RELEASED[row].battery_v:g} V, {RELEASED[row].corner}")
def test_a_call_is_released_by_a_command_of_linetap(row: int) -> None:
    ran, at = released(), ASKED_S[row]
    opened, closed = (at, at + OPENS_S, True), (at + LASTS_S, at + LASTS_S + CLOSES_S, False)
    assert within(ran.loop_open(row)[1:], opened, closed), "the exchange sees a telephone that is put down"
    lifted = (RESTED_S - 0.21, RESTED_S - 0.19, True)
    edges = (lifted, (*opened[:2], False), (*closed[:2], True))
    assert within(ran.hook[row], *edges), ran.hook[row]
    assert within(ran.told[row], *edges), "the part's own edges"


def test_nobody_complains_of_releases() -> None:
    rig = released().rig
    assert rig.refused == [None] * LINES
    assert (rig.state.opened, rig.state.contact_stuck, rig.state.contact_open) == ([], [], [])
    assert (rig.reader.state.frames_lost, rig.reader.state.restarts, rig.part.chip.resets) == (0, 0, 0)


def one_release(rig: DrivenRig) -> list[Levels]:
    found = rig.turns(RESTED_S)
    rig.open(1)
    return found + rig.turns(ONE_END_S)


def test_without_edges_on_arm_nothing_moves_and_linetap_says_so() -> None:
    calls = [Held(watched=(BEGINS_S, ONE_END_S)), *[Held()] * (LINES - 1)]
    driven = [replace(driven_by(commanded())[0], coil=[]), *[Driven()] * (LINES - 1)]
    ran = second_turn(one_release, calls, driven, circuit(calls, driven))
    assert moves(driven[0].contact), "the meter does what it is asked for"
    assert [level for _, level in ran.loop_open(0)] == [False], "lifted, and nothing else"
    assert [level for _, level in ran.hook[0]] == [True]
    assert ran.rig.state.contact_stuck == [1]


def test_drivers_that_are_exchanged_are_found() -> None:
    """The notice relay's transistor drives the contact's coil, and the contact's the relay's."""
    relay, contact = (front_end().elements[name].nodes for name in ("Q101", "Q102"))
    wrong = front_end().rewired("Q101", relay[0], contact[1], relay[2])
    wrong = wrong.rewired("Q102", contact[0], relay[1], contact[2])
    call = replace(Held(), watched=(BEGINS_S, RESTED_S + 0.3))
    driven = driven_by(commanded())[:1]
    for netlist, opens in ((None, True), (wrong, False)):
        (seen,) = circuit([call], driven, netlist)
        assert seen is not None
        assert (abs(seen.loop[-1]) < ON_HOOK_A) is opens


def test_pins_of_two_lines_that_are_exchanged_are_found() -> None:
    (meter,) = drawn_card().of("meter")
    wrong = drawn_card().exchanged((meter.reference, "contact1"), (meter.reference, "contact2"))
    right = moves(driven_by(commanded())[0].contact)[0][0] - ASKED_S[0]
    assert right < OPENS_S < moves(driven_by(commanded(), wrong)[0].contact)[0][0] - ASKED_S[0]
