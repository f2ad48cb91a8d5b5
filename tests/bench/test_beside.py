# SPDX-License-Identifier: Apache-2.0
"""The bench of the desk's load passes its pages to another tool's command."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from linetap_bench.measure import deskload
from linetap_bench.stage.processes import ChildFailed


def test_the_command_is_told_where_and_as_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    words = f'echo "$LINETAP_LOAD_URL|$LINETAP_LOAD_SESSIONS|$LINETAP_LOAD_CA" > {shlex.quote(str(said))}'
    monkeypatch.setenv(deskload.COMMAND, f"sh -c {shlex.quote(words)}")
    deskload.run_independent("https://127.0.0.1:8443", ["one", "two"], Path("/ca.pem"))
    assert said.read_text() == "https://127.0.0.1:8443|one two|/ca.pem\n"


def test_what_it_says_is_not_in_the_benchs_table(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(deskload.COMMAND, "echo figures")
    deskload.run_independent("https://127.0.0.1:8443", [], Path("/ca.pem"))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "figures\n")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/nowhere/locust -u 32", "/nowhere/locust: No such file or directory"),
        ("sh -c 'exit 3'", "sh ended with 3"),
        ("locust 'half", "No closing quotation"),
    ],
)
def test_a_failed_command_is_reported_in_a_line(command: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(deskload.COMMAND, command)
    with pytest.raises(ChildFailed) as failed:
        deskload.run_independent("https://127.0.0.1:8443", [], Path("/ca.pem"))
    assert str(failed.value) == f"{deskload.COMMAND}: {why}"


def test_without_one_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(deskload.COMMAND, raising=False)
    deskload.run_independent("https://127.0.0.1:8443", [], Path("/ca.pem"))
