# SPDX-License-Identifier: Apache-2.0
"""A plugin of pytest, which `./build.sh hil` names: a machine for each test, and a table of what was shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machine import IMAGE, Machine

_ROWS: list[tuple[str, str, float]] = []
NOTES: list[str] = []  # what a test has measured, for a person


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """With a card as it comes from the factory; not yet on."""
    assert IMAGE.exists(), "./build.sh image makes the image"
    with Machine(tmp_path) as made:
        yield made


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call" or report.outcome != "passed":
        told = (item.function.__doc__ or item.name).strip().splitlines()[0]  # type: ignore[attr-defined]
        _ROWS.append((told, report.outcome, report.duration))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _ROWS:
        terminalreporter.section("the emulated machine")
        for told, outcome, seconds in _ROWS:
            terminalreporter.line(f"{outcome:7} {seconds:5.0f} s  {told}")
        for note in NOTES:
            terminalreporter.line(f"{'':17}{note}")
