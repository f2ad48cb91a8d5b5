# SPDX-License-Identifier: Apache-2.0
"""Output written by a compromised service, unit or broker on an administrator's terminal: it moves no cursor, starts no
line and changes no text direction.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from attack_house import House
from linetap import checks
from linetap.checks import Watch, take_snapshot
from linetap.checks.command import print_json, print_lines
from linetap_core import jsontext, rundir
from linetap_core.cli import main
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.evidence.authorization.command import Answer
from linetap_core.records import Fault
from linetap_core.rundir import ANSWER, answers_for
from linetap_core.service import StateFile
from linetap_desk.watch import command as watching
from state_files import capture, panel, recorder, reporter, unit

SIGNS = "\x1b]0;x\x07 \x9b31m \u202e \u2066 \u2028 \x85 \x7f \U000e0041 \r\n"
ANSWERED = Answer(unit="floor-03", at="", done=False, code=SIGNS, text=SIGNS)


def plain(text: str) -> bool:
    return all(line.isprintable() for line in text.removesuffix("\n").split("\n"))


@pytest.mark.parametrize("value", [SIGNS, [SIGNS], {"a": SIGNS, SIGNS: 1}, ANSWERED, '가나다 \U0001f600 \\ "'])
def test_a_line_of_json_says_the_same_in_signs_that_print(value: Any) -> None:
    line = jsontext.line(value)
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert json.loads(line) == jsontext.decode(jsontext.line(value).encode())
    if isinstance(value, str):
        assert json.loads(line) == value


def test_what_prints_stays_as_it_is() -> None:
    assert jsontext.line({"a": "회의실 é"}) == '{"a":"회의실 é"}\n'


def test_an_answer_of_the_recorder(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is in the recorder's folder, unsigned."""
    file = House(run_dir).file
    monkeypatch.setattr("secrets.token_hex", lambda _: "5f0c")
    answers = answers_for(run_dir, rundir.TERMINAL)
    answers.mkdir(parents=True, exist_ok=True)
    (answers / f"5f0c{ANSWER}").write_bytes(msgspec.json.encode(ANSWERED))
    (run_dir / "a.command").write_bytes(b"{}")
    assert main(["command", "apply", str(run_dir / "a.command"), "--config", str(file)]) == 1
    said = capsys.readouterr().out
    assert plain(said)
    assert said.count("\n") == 1
    assert json.loads(said)["text"] == SIGNS


def test_a_change_that_is_watched() -> None:
    change = {"t": "2026-11-28T00:00:00.000Z", "unit": SIGNS, "kind": "alert", "text": SIGNS}
    for line in (watching._text(change), watching._line(change)):
        assert plain(line)
        assert line.count("\n") == 1


@pytest.mark.parametrize("who", ["capture@1", "recorder", "reporter", "panel"])
def test_what_a_service_says_of_the_fault_it_has_ended_with(run_dir: Path, who: str) -> None:
    """`linetap check`, run by root, and the text of an alert."""
    clock, config = ManualClock(monotonic_ns=1000 * NS_PER_S), unit(run_dir)
    states = {"capture@1": capture(), "recorder": recorder(), "reporter": reporter(), "panel": panel()}
    states[who].fault = Fault(SIGNS, SIGNS)
    for name, state in states.items():
        StateFile(run_dir, name, clock).write(state)
    watch = Watch(config, clock, grace_ms=0)
    watch.services()
    clock.advance(10 * NS_PER_S)
    watch.services()
    found = checks.run(take_snapshot(config, watch, clock))
    assert found, "they have ended"
    lines, rows = io.StringIO(), io.StringIO()
    print_lines(found, lines)
    print_json(found, rows)
    assert plain(lines.getvalue())
    assert plain(rows.getvalue())
    assert len(lines.getvalue().split("\n")) == len(found) + 1
    assert len(json.loads(rows.getvalue())) == len(found)
