# SPDX-License-Identifier: Apache-2.0
"""docs/alerts.toml against the checks and Prometheus's rules: nothing is missing, nothing is unknown."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from linetap.checks import CHECKS
from linetap_core.cli import commands

ROOT = Path(__file__).resolve().parents[2]
ALERTS = tomllib.loads((ROOT / "docs" / "alerts.toml").read_text())
PAGES = ("operations", "closet", "walk-test", "replacing", "alerts", "desk-alerts", "logs-and-restarts")
MANUAL = "\n".join((ROOT / "docs" / f"{name}.md").read_text() for name in PAGES)
ENTRIES = [(code, entry) for part in ALERTS.values() for code, entry in part.items()]


def test_every_check_has_an_entry_and_none_is_unknown() -> None:
    assert list(ALERTS["unit"]) == [check.id for check in CHECKS], "in the order of CHECKS"


def test_every_rule_of_the_desk_has_an_entry_and_none_is_unknown() -> None:
    rules = yaml.safe_load((ROOT / "systemd" / "prometheus" / "linetap.rules.yml").read_text())
    assert list(ALERTS["desk"]) == [rule["alert"] for group in rules["groups"] for rule in group["rules"]]


@pytest.mark.parametrize(("code", "entry"), ENTRIES, ids=[code for code, _ in ENTRIES])
def test_an_entry_says_cause_check_and_cure_and_names_what_is_there(code: str, entry: dict[str, str]) -> None:
    assert list(entry) == ["cause", "check", "cure"]
    assert all(len(text) > 10 for text in entry.values())
    assert f"### `{code}`" in MANUAL
    text = " ".join(entry.values())
    assert set(re.findall(r"`linetap ([a-z]+)", text)) <= commands().keys()
    for path in re.findall(r"\b(?:docs|hardware)/[a-z-]+\.[a-z]+", text):
        assert (ROOT / path).is_file(), path
    known = {check.id for check in CHECKS}
    for named in re.findall(r"\bSee `([a-z_]+)`", text):
        assert named in known, named


def test_commands_of_the_manual_are_there() -> None:
    assert set(re.findall(r"^linetap ([a-z]+)", MANUAL, re.MULTILINE)) <= commands().keys()
