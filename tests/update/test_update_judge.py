# SPDX-License-Identifier: Apache-2.0
"""The order of versions, the conditions that count as red, and the parsing of a machine's release."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ill_unit import ill_unit
from linetap.checks import CHECKS, run
from linetap.update import judge
from linetap.update.judge import ALSO_RED, critical_findings, require_fit
from linetap.update.rauc import Info
from linetap.update.state import UpdateFault
from linetap_core.wire import updates

RISING = ["0.0.9", "0.1.0", "0.1.2", "0.1.10", "0.2.0", "1.0.0", "10.0.0"]


def test_versions_are_numbers_and_not_words() -> None:
    for older, newer in itertools.combinations(RISING, 2):
        assert updates.is_older(older, newer)
        assert not updates.is_older(newer, older)
        assert not updates.is_older(newer, newer)


@given(st.text(max_size=20))
def test_any_version_fits_or_is_refused(text: str) -> None:
    with contextlib.suppress(UpdateFault):
        require_fit(Info("linetap", text), "0.1.0")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("VERSION=0.2.0\n", "0.2.0"),
        ("NAME=linetap\nVERSION=1.20.3\nBUILD=x\n", "1.20.3"),
        ("VERSION=0.2\n", None),
        ("VERSION=0.2.0-rc1\n", None),
        ("VERSION=00.2.0\n", None),
        ("XVERSION=0.2.0\n", None),
        ("", None),
        ("\xff", None),
    ],
)
def test_what_a_machine_says_of_itself(
    text: str, version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "release").write_bytes(text.encode("latin-1"))
    monkeypatch.setattr(judge, "RELEASE", tmp_path / "release")
    assert judge.running_version() == version


def test_critical_is_red_and_so_is_what_keeps_a_unit_from_being_reached() -> None:
    found = critical_findings(run(ill_unit()))
    assert {"capture_dead", "recorder_dead", "not_recording", "vault_read_only"} <= set(found)
    assert set(ALSO_RED) <= set(found)
    assert "update_failed" not in found, "one that failed does not keep the next from being taken"
    assert "policy_departs" not in found
    assert set(ALSO_RED) <= {check.id for check in CHECKS}


def test_lines_are_distinguished() -> None:
    assert "line_short 1" in critical_findings(run(ill_unit()))
