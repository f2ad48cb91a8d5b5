# SPDX-License-Identifier: Apache-2.0
"""Flap damping: the reports of an alert that comes and goes, on a manual clock."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linetap.checks import CHECKS, Damper, Finding, Trouble
from linetap.checks.judgement import CHANGES, QUIET_S, RECOUNT_S, REWORD_S, WINDOW_S
from linetap.reporter.telemetry import AlertTelemetry
from linetap_core.clock import NS_PER_S
from linetap_core.records import Severity
from linetap_core.wire.topics import Topics

OF_A_CALL = [check.id for check in CHECKS if check.of_a_call]


def hum(severity: Severity | None = "warning", check: str = "hum", text: str = "It hums.") -> list[Finding]:
    if severity is None:
        return []
    trouble = Trouble(severity=severity, text_ko="소음", text_en=text, action_ko="조이십시오", action_en="Tighten it.")
    return [Finding(check, "line_check", "since", trouble)]


class Told:
    """A damper that gets the findings once a second."""

    def __init__(self) -> None:
        self.damper, self.now_s = Damper(CHECKS), 0
        self.last: list[Finding] = []

    def for_s(self, seconds: int, findings: list[Finding]) -> list[list[Finding]]:
        told = []
        for _ in range(seconds):
            told.append(self.damper.steadied(findings, self.now_s * NS_PER_S))
            self.now_s += 1
        self.last = told[-1]
        return told

    def flap(self, changes: int, every_s: int, check: str = "hum") -> None:
        for n in range(changes):
            self.for_s(every_s, hum("warning", check) if n % 2 == 0 else [])


def test_what_stands_and_what_clears_is_reported_at_once() -> None:
    told = Told()
    assert told.for_s(3600, hum()) == [hum()] * 3600
    assert told.for_s(3600, []) == [[]] * 3600
    assert not any(finding.changes for finding in told.last)


def test_after_so_many_changes_it_stays_raised_and_reports_it() -> None:
    told = Told()
    told.flap(CHANGES - 1, 10)
    ((last,),) = told.for_s(1, [])
    assert last.trouble.text_en == "Comes and goes: It hums."
    assert last.trouble.text_ko.startswith("나타났다 사라지기를")
    assert (last.changes, last.since, last.trouble.severity) == (CHANGES, "since", "warning")
    assert told.last == [last]


def test_a_damped_alert_clears_after_a_quiet_time() -> None:
    told = Told()
    told.flap(CHANGES, 10)
    quiet = told.for_s(QUIET_S, [])
    assert [bool(each) for each in quiet] == [True] * (QUIET_S - 10) + [False] * 10
    assert not any(finding.changes for finding in told.last)
    assert told.for_s(1, hum()) == [hum()], "and begins anew"


def test_when_it_is_quiet_and_stands_it_is_an_ordinary_alert_again() -> None:
    told = Told()
    told.flap(CHANGES + 1, 10)
    assert told.for_s(QUIET_S, hum())[-1] == hum()


def test_slow_changes_are_no_flapping() -> None:
    told = Told()
    told.flap(100, WINDOW_S // (CHANGES - 1) + 1)
    assert not any(finding.changes for finding in told.last)


def test_the_worst_is_reported_at_once_and_stays() -> None:
    told = Told()
    told.flap(CHANGES, 10)
    assert told.for_s(1, hum("critical"))[0][0].trouble.severity == "critical"
    assert told.for_s(200, hum("warning"))[-1][0].trouble.severity == "critical"


def test_the_words_follow_what_it_is_now() -> None:
    told = Told()
    told.flap(CHANGES + 1, 10)
    assert told.for_s(REWORD_S + 1, hum(text="Line 2 hums too."))[-1][0].trouble.text_en.endswith("Line 2 hums too.")


def cut(*lines: int) -> list[Finding]:
    texts = f"Lines {lines}: no voltage."
    trouble = Trouble(severity="critical", text_ko="", text_en=texts, action_ko="", action_en="", lines=lines)
    return [Finding("line_cut", "line_fault", "since", trouble)] if lines else []


def test_a_further_line_is_named_at_once_and_each_but_once_a_minute() -> None:
    told = Told()
    for n in range(CHANGES):
        told.for_s(2, cut(3) if n % 2 == 0 else [])
    ((held,),) = told.for_s(1, [])
    assert held.trouble.lines == (3,)
    ((held,),) = told.for_s(1, cut(3, 5))
    assert (held.trouble.lines, held.trouble.text_en) == ((3, 5), "Comes and goes: Lines (3, 5): no voltage.")
    worded = [held.trouble.lines for turn in range(60) for (held,) in told.for_s(5, cut(5 + turn % 2))]
    changes = sum(before != after for before, after in pairwise(worded))
    assert changes <= 2 * (300 // REWORD_S + 1), "lines that take turns"


@pytest.mark.parametrize("check", OF_A_CALL)
def test_what_belongs_to_a_call_is_never_held(check: str) -> None:
    told = Told()
    told.flap(10 * CHANGES, 10, check)
    assert told.for_s(1, []) == [[]]


def test_the_checks_of_calls_are_known() -> None:
    assert OF_A_CALL == ["call_marked", "call_ending", "mark_far", "long_call"]


@given(st.lists(st.tuples(st.sampled_from([None, "warning", "critical"]), st.integers(1, 900)), max_size=40))
def test_nothing_that_stands_is_reported_as_well_or_as_better(bouts: list[tuple[Severity | None, int]]) -> None:
    told = Told()
    rank = {None: 0, "warning": 1, "critical": 2}
    for severity, seconds in bouts:
        found = told.for_s(1, hum(severity))[0]
        told.now_s += seconds - 1
        assert rank[found[0].trouble.severity if found else None] >= rank[severity]


@given(st.lists(st.integers(1, 120), min_size=100, max_size=300))
def test_publications_are_bounded_however_it_flaps(pauses: list[int]) -> None:
    told, alerts = Told(), AlertTelemetry(Topics("u"), ["hum"])
    published = 0
    for n, pause in enumerate(pauses):
        found = told.for_s(1, hum() if n % 2 else [])[0]
        published += len(alerts.changed(found, told.now_s * NS_PER_S))
        told.now_s += pause - 1
    windows = told.now_s / WINDOW_S + 1
    assert published <= windows * (CHANGES + WINDOW_S / RECOUNT_S)
