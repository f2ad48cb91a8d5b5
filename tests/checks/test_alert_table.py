# SPDX-License-Identifier: Apache-2.0
"""wire/alerts.py is the one table of severities and LEDs: whoever finds or shows an alert reads them there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import linetap
from linetap.checks import CHECKS
from linetap.records import Severity
from linetap.wire.alerts import ALERTS, led_of
from linetap.wire.legend import CONDITIONS

PACKAGE = Path(linetap.__file__).parent


def test_every_row_has_its_check_and_every_check_its_row() -> None:
    assert [check.id for check in CHECKS] == list(ALERTS)


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


def imported(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", ["wire", "desk"])
def test_who_shows_alerts_of_other_units_does_not_import_the_checks(room: str) -> None:
    sources = list((PACKAGE / room).rglob("*.py"))
    assert sources
    guilty = {
        str(file.relative_to(PACKAGE))
        for file in sources
        if any(name.startswith("linetap.checks") for name in imported(file))
    }
    assert not guilty
