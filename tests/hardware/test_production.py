# SPDX-License-Identifier: Apache-2.0
"""The production test passes a card as drawn, and a wrong one fails at its own row: ngspice's results for the net with
the fault reach the test's program through the meter's port and the codec.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import msgspec
import pytest
from hardware_rig import front_end

from card_on_bench import BenchCard, InC, Sampling, card, failed, report_on, sound_line
from cmeter_rig import program
from linetap.board.meter import protocol as wire
from linetap.cardtest.rows import CardReport, encode
from rules.faults import UNTOLD, faults, said
from rules.incircuit import ELSEWHERE, elsewhere
from simulation import production
from simulation.production import Answers
from simulation.spice import each

UNSEEN = [name for name, _ in faults(front_end()) if said(UNTOLD, name)]  # not detected by a running unit
TELLS = {  # fault: exactly the rows that must fail
    "C101 open": {"meter_db"},
    "C102 open": {"meter_db"},
    "C106 shorted": {"echo_100_db"},
    "C107 shorted": {"echo_100_db"},
    "C108 open": {"echo_15000_db"},
    "C110 shorted": {"playing_v", "echo_100_db"},
    "C116 shorted": {"opens_ms"},
    "C118 shorted": {"open_s"},
    "D101 open": {"spark_exchange_v"},
    "D109 open": {"spark_telephone_v"},
    "F103 open": {"spark_telephone_v"},
    "K101 shorted 3-4": {"silent_db", "unarmed_db"},
    "K101 shorted 5-6": {"silent_db", "unarmed_db"},
    "Q101 shorted 1-2": {"silent_db", "spark_exchange_v"},
    "Q101 shorted 2-3": {"silent_db", "spark_exchange_v"},
    "R138 open": {"open_s"},
    "R139 shorted": {"open_s"},
    "R140 open": {"open_s"},
    "R141 open": {"open_s"},
    "R142 open": {"open_s"},
    "R142 shorted": {"open_s"},
    "U111 open": {"open_s"},
}
LINES = 8
ALIKE = 7  # faults on one card, one a line, beside a sound line


@cache
def answered() -> dict[str, Answers]:
    """The answers of every fault that a running unit cannot detect."""
    found = [(name, netlist) for name, netlist in faults(front_end()) if name in UNSEEN]
    return dict(zip([name for name, _ in found], each(lambda it: production.answers(it[1]), found), strict=True))


@cache
def rows_that_fail() -> dict[str, set[str]]:
    """Fault -> the rows that failed on its line, seven faulty lines on a card."""
    rows: dict[str, set[str]] = {}
    names = sorted(answered())
    for first in range(0, len(names), ALIKE):
        some = names[first : first + ALIKE]
        lines = [answered()[name] for name in some]
        lines += [sound_line()] * (LINES - len(lines))
        report = report_on(BenchCard(lines), range(1, LINES + 1))
        assert {line for _, line in failed(report)} <= set(range(1, len(some) + 1)), "a sound line or the card failed"
        rows |= {name: {row for row, line in failed(report) if line == i} for i, name in enumerate(some, 1)}
    return rows


def test_a_card_as_drawn_passes() -> None:
    report = report_on(card())
    assert (failed(report), report.stopped, report.passed) == (set(), "", True)
    assert msgspec.json.decode(encode(report), type=CardReport) == report


@pytest.mark.parametrize("fault", TELLS)
def test_a_fault_that_no_running_unit_tells_fails_its_row(fault: str) -> None:
    assert rows_that_fail()[fault] == TELLS[fault]


def test_what_the_test_does_not_tell_is_said() -> None:
    untold = {name for name in UNSEEN if not rows_that_fail()[name]}
    assert {name for name in untold if not elsewhere(name)} == set()
    assert {name for name in UNSEEN if elsewhere(name)} == untold, "the table excuses what is told"
    assert len(UNSEEN) == len(TELLS) + len(untold)
    assert all(any(elsewhere(name) == why for name in untold) for _, why in ELSEWHERE)


LOUD = dict.fromkeys(production.TONES_HZ, -7.0)
QUIET = {hz: db - 13 for hz, db in sound_line().echo_db.items()}
READ = {"fed_v", "reversed_v", "loop_v", "playing_v", "open_v"}
WRONG: dict[str, tuple[Answers, set[str]]] = {
    "tip and ring exchanged": (
        replace(sound_line(), fed_v=-48.0, reversed_v=48.0, loop_v=-24.0, playing_v=-24.0, open_v=-48.0), READ
    ),
    "a reference of 3.3 V": (
        replace(sound_line(), fed_v=52.8, reversed_v=-52.8, loop_v=26.4, playing_v=26.4, open_v=52.8), READ
    ),
    "the converter's gain not set, 13 dB": (replace(sound_line(), echo_db=QUIET), {"echo_db"}),
    "relays whose watchdog is bypassed": (
        replace(sound_line(), unarmed_db=LOUD, unarmed_opens=True), {"unarmed_db", "unarmed_v"}
    ),
    "a contact that is welded": (
        replace(sound_line(), delay_ms=float("nan"), open_ms=0.0), {"opens_ms", "open_v", "open_s"}
    ),
}  # fmt: skip


@cache
def wrong_lines() -> set[tuple[str, int]]:
    """One wrong line on each card."""
    made = [answers for answers, _ in WRONG.values()]
    return failed(report_on(BenchCard(made + [sound_line()] * (LINES - len(made))), range(1, LINES + 1)))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_fails(name: str) -> None:
    line = list(WRONG).index(name) + 1
    assert {row for row, at in wrong_lines() if at == line} == WRONG[name][1]
    assert max(at for _, at in wrong_lines()) == len(WRONG)


def test_lines_that_are_crossed_fail() -> None:
    found = failed(report_on(BenchCard([sound_line()] * LINES, wired=[1, 0, *range(2, LINES)])))
    assert {("echo_db", 1), ("echo_db", 2), ("opens_ms", 1), ("others_v", 2)} <= found


def test_a_line_that_its_neighbour_hears_fails() -> None:
    made = card()
    made.beside_db = -55.0
    assert failed(report_on(made)) == {("neighbour_db", 1), ("neighbour_db", 2)}


def test_a_lid_switch_that_is_dead_fails() -> None:
    assert failed(report_on(BenchCard([sound_line()] * LINES, lid_works=False))) == {("lid", 0)}


def test_the_meters_own_program_is_tested_alike() -> None:
    """In C, with its own frames: a line with an endless opening, beside a sound one."""
    made = card(open_ms=float("inf"))
    with InC(program(), made.volts) as made.meter:
        report = report_on(made)
    assert (failed(report), report.stopped) == ({("open_s", 1)}, "")


def test_a_converter_that_does_not_answer_fails() -> None:
    made = card()
    sampling(made).converters = wire.CONVERTER_2
    assert failed(report_on(made)) == {("flags", 0)}


def test_samples_that_do_not_arrive_end_the_test() -> None:
    made = card()
    sampling(made).lose(0.01)
    report = report_on(made)
    assert not report.passed
    assert "samples did not arrive" in report.stopped


def test_a_meter_that_falls_silent_leaves_what_was_measured() -> None:
    report = report_on(Unplugged([sound_line()] * LINES))
    assert (report.passed, report.stopped) == (False, "nothing from the meter for 2 s: cable, hub, supply, its program")
    assert report.rows
    assert not failed(report)


def sampling(made: BenchCard) -> Sampling:
    assert isinstance(made.meter, Sampling)
    return made.meter


class Unplugged(BenchCard):
    """A card whose cable is pulled when the telephones are applied."""

    def set(self, state: str) -> None:
        super().set(state)
        sampling(self).dead = state == "loop"
