# SPDX-License-Identifier: Apache-2.0
"""A scenario's unit, and its expectations of the records."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

import pytest
from scripts import call, script_of

from linetap.config import load_config
from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap_bench.script.scriptkeys import Expect, differences
from linetap_bench.stage.madeunit import make_unit, merged, toml_of
from linetap_core.cli import main
from linetap_core.errors import BadInput
from linetap_core.records import Audio, Caller, CallRecord, Gap, Mark, NoticeRecord, Retention

RECORD = CallRecord(
    call_id="20261124T225600.123Z-L01",
    unit="floor-03",
    line=1,
    direction="in",
    answered_by="hook",
    duration_s=20.5,
    caller=Caller(number="0212345678", by="v23"),
    notices=[NoticeRecord(id="ko", started_at="2026-11-24T22:56:00.123Z", proof="full")],
    marks=[Mark(3.0, "abuse")],
    audio=Audio(samples=80_000, gaps=[Gap(1.0, 20.0, "not_announced")]),
    retention=Retention(class_="marked", epoch="x"),
)
TRUE = Expect(
    line=1,
    direction="in",
    disposition="recorded",
    why="",
    answered_by="hook",
    ended_by="",
    dialled="",
    caller=Caller(number="0212345678", by="v23"),
    no_caller=False,
    internal=False,
    retention="marked",
    marks=["abuse"],
    proofs=["full"],
    gaps=["not_announced"],
    duration_s=(20.4, 20.6),
    recorded_s=(10.0, 10.0),
)


@pytest.fixture(scope="module")
def notices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notices")
    make_default_notices(folder, ANNOUNCEMENTS)
    return folder


def test_a_record_that_is_as_expected_has_no_differences() -> None:
    assert differences(TRUE, RECORD) == []
    assert differences(Expect(), RECORD) == []


@pytest.mark.parametrize(
    "wrong",
    [
        Expect(line=2),
        Expect(direction="out"),
        Expect(why="busy"),
        Expect(answered_by="polarity"),
        Expect(answered_by=""),
        Expect(ended_by="on_hook"),
        Expect(dialled="1"),
        Expect(caller=Caller(number="0212345678", by="v23", withheld=True)),
        Expect(no_caller=True),
        Expect(internal=True),
        Expect(internal_by="ring"),
        Expect(smdr="x"),
        Expect(retention="standard"),
        Expect(marks=[]),
        Expect(marks=["abuse", "abuse"]),
        Expect(proofs=["absent"]),
        Expect(gaps=[]),
        Expect(duration_s=(20.6, 30.0)),
        Expect(recorded_s=(0.0, 9.9)),
    ],
)
def test_every_difference_is_reported(wrong: Expect) -> None:
    (told,) = differences(wrong, RECORD)
    (name,) = [field for field in wrong.__struct_fields__ if getattr(wrong, field) is not None]
    assert told.startswith(f"{name}: ")


def test_what_a_script_says_of_the_unit_goes_into_its_configuration(tmp_path: Path, notices: Path) -> None:
    text = call(rings=1) + (
        '[unit.recording]\nmark_notice = "en"\n[[unit.line]]\nnumber = 2\nextension = "21\\"01"\n'
        '[unit.retention]\nmarked = "long"\nclasses = [{name = "standard", days = 60}, {name = "long", days = 90}]\n'
    )
    path = make_unit(script_of(tmp_path, text), tmp_path, notices)
    config = load_config(path)
    assert config.recording.mark_notice == "en"
    assert config.recording.notice == "ko"
    assert [line.number for line in config.line] == list(range(1, 9))
    assert [line.extension for line in config.line[:3]] == [None, '21"01', None]
    assert [each.days for each in config.retention.classes] == [60, 90]
    keys = (tmp_path / "unit.key").read_bytes(), config.keys
    assert make_unit(script_of(tmp_path, call(rings=1)), tmp_path, notices) == path
    again = load_config(path)
    assert ((tmp_path / "unit.key").read_bytes(), again.keys) == keys
    assert again.recording.mark_notice is None


def test_a_unit_that_cannot_be_is_refused(tmp_path: Path, notices: Path) -> None:
    with pytest.raises(BadInput, match=r"recording\.mark_code"):
        make_unit(script_of(tmp_path, call() + "[unit.recording]\nmark_code = 9\n"), tmp_path, notices)


def test_merging_and_writing_keeps_every_kind_of_value() -> None:
    base = {"a": 1, "t": {"x": 1.5, "y": [1, 2]}, "n": [{"number": 1, "k": "a"}, {"number": 2}]}
    changes = {"b": True, "t": {"y": []}, "n": [{"number": 2, "k": "\\ü"}, {"number": 3}], "p": [{"q": {"r": "s"}}]}
    whole = merged(base, changes)
    assert whole["t"] == {"x": 1.5, "y": []}
    assert whole["n"] == [{"number": 1, "k": "a"}, {"number": 2, "k": "\\ü"}, {"number": 3}]
    assert tomllib.loads(toml_of(whole)) == whole


def test_two_commands_replay_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "calls.toml").write_text("lines = 2\n[[line]]\nnumber = 2\ndeaf = true\n" + call(line=2, rings=1))
    folder = tmp_path / "a folder"
    make_default_notices(folder / "notices", ANNOUNCEMENTS)
    words = ["bench", "--script", str(tmp_path / "calls.toml"), "--render", str(folder), "--unit"]
    assert main(words) == 0
    then = capsys.readouterr().out.splitlines()[-1].removeprefix("then: ")
    linetap, *rest = shlex.split(then)
    assert linetap == "linetap"
    assert main(rest) == 0
    assert '"proof":"absent"' in capsys.readouterr().out


def test_a_unit_is_made_for_what_is_rendered_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "calls.toml").write_text(call())
    assert main(["bench", "--script", str(tmp_path / "calls.toml"), "--unit"]) == 2
    assert "--render" in capsys.readouterr().err
