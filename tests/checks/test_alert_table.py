# SPDX-License-Identifier: Apache-2.0
"""wire/alerts.py is the only table of severities, contacts and LEDs, for all code that raises or shows alerts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import linetap
from ill_unit import all_findings, ill_unit
from linetap.checks import CHECKS, Check
from linetap.checks.frame import Words
from linetap_core.records import Severity
from linetap_core.wire.alerts import ALERTS, contact_of, led_of
from linetap_core.wire.legend import CONDITIONS

PACKAGE = Path(linetap.__file__).parent


def test_every_row_has_its_check_and_every_check_its_row() -> None:
    assert [check.id for check in CHECKS] == list(ALERTS)


def test_a_check_without_a_row_says_where_it_belongs() -> None:
    with pytest.raises(KeyError, match=r"fan_stopped: no row in linetap/wire/alerts\.py"):
        Check("fan_stopped", "when it turns", lambda _snapshot, standing: standing)


def test_every_condition_named_is_in_the_legend() -> None:
    for code, kind in ALERTS.items():
        assert {kind.led, kind.led_of_warning or kind.led} <= CONDITIONS.keys(), code


@pytest.mark.parametrize(
    ("check", "severity", "led"),
    [
        ("disk_full", "critical", "disk_full"),
        ("disk_full", "warning", "unit_check"),
        ("line_cut", "critical", "line_fault"),
        ("hum", "warning", "line_check"),
        ("of_a_later_version", "critical", "unit_check"),
        ("of_a_later_version", "warning", "ok"),
    ],
)
def test_the_led_follows_from_check_and_severity(check: str, severity: Severity, led: str) -> None:
    assert led_of(check, severity) == led


def test_what_is_told_of_a_single_line_is_for_those_who_mend_lines() -> None:
    """Alerts about a line are for the maintainers of lines, except those for an action of staff in a call."""
    by_staff = {"call_marked", "call_ending", "mark_far", "long_call"}
    of_a_line = {finding.check for finding in all_findings() if finding.trouble.line is not None} - by_staff
    assert {check: contact_of(check) for check in of_a_line} == dict.fromkeys(of_a_line, "lines")


def test_no_check_spells_its_severity_or_its_led_a_second_time() -> None:
    """Only frame.py makes troubles with a severity, and findings with a LED, both from the table."""
    spelled = {
        (file.name, keyword.arg)
        for file in (PACKAGE / "checks").glob("*.py")
        if file.name != "frame.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg in ("severity", "led", "led_of_warning")
    }
    assert not spelled


@pytest.mark.parametrize(("mere_warning", "severity"), [(False, "critical"), (True, "warning")])
def test_a_trouble_is_as_bad_as_the_table_says_or_a_mere_warning(mere_warning: bool, severity: Severity) -> None:
    words = Words(text_ko="참", text_en="Full.", action_ko="", action_en="", mere_warning=mere_warning)
    trouble = Check("disk_full", "never", lambda _snapshot, _standing: words).trouble(ill_unit())
    assert trouble is not None
    assert (trouble.severity, trouble.text_en) == (severity, "Full.")
