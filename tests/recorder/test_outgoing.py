# SPDX-License-Identifier: Apache-2.0
"""Outgoing calls over audio from the exchange: dialled, ringback, busy, voice; judged by the record alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linetap.config.schema import Config, Recording
from linetap.recorder.replay.command import replay
from linetap_bench.exchange.timeline import render
from linetap_bench.script.script import load_script
from linetap_bench.sounds.voices import Voices, default_folder
from linetap_core.clock import parse_rfc3339
from unit_rig import START, make_unit

CALL = """
[[call]]
line = 1
start_s = 1.0
direction = "out"
rings = 2
talk_s = 8.0
talk = ["여보세요, 시청 민원실입니다. 어제 문의하신 건으로 전화드렸습니다."]
"""


def told(tmp_path: Path, run_dir: Path, script: str, **policy: Any) -> dict[str, Any]:
    """The record of the one call of a script."""
    (tmp_path / "calls.toml").write_text("lines = 2\nseed = 5\n" + script)
    audio, events = render(load_script(tmp_path / "calls.toml"), Voices(default_folder()), tmp_path)
    config: Config = make_unit(tmp_path, run_dir, recording=Recording(**policy)).config
    calls = replay(config, audio, events, tmp_path / "out", parse_rfc3339(START), no_echo=False, deaf=set())
    assert len(calls) == 1
    whole: dict[str, Any] = json.loads((tmp_path / "out" / "calls.jsonl").read_text())
    return whole


def test_digits_and_the_answer_by_voice_after_ringback(tmp_path: Path, run_dir: Path) -> None:
    call = told(tmp_path, run_dir, CALL + 'digits = "0312345678"\n')
    assert (call["dialled"], call["answered_by"], call["disposition"]) == ("0312345678", "tone", "recorded")
    assert call["notice"]["proof"] == "full"


def test_the_number_dialled_is_not_in_the_public_record(tmp_path: Path, run_dir: Path) -> None:
    call = told(tmp_path, run_dir, CALL + 'digits = "0312345678"\n')
    path = next((tmp_path / "out").glob(f"2*/*/*/{call['call_id']}/record.json"))
    assert "0312345678" not in path.read_text()
    assert b"0312345678" not in b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()
                                         and p.name != "calls.jsonl")  # fmt: skip


@pytest.mark.parametrize("number", ["119", "9112", "02119", "9031112", "*23#113", "*23119", "1121"])
def test_an_emergency_call_is_neither_announced_nor_recorded(tmp_path: Path, run_dir: Path, number: str) -> None:
    call = told(tmp_path, run_dir, CALL + f'digits = "{number}"\n')
    assert (call["disposition"], call["why"], call["notice"]) == ("skipped", "emergency", None)


@pytest.mark.parametrize(("number", "why"), [("1191", ""), ("119", "emergency"), ("91121", "emergency")])
def test_an_extension_that_begins_as_an_emergency_number_is_none(
    tmp_path: Path, run_dir: Path, number: str, why: str
) -> None:
    policy = {"internal_pattern": r"^1\d{3}$", "record_internal": True}
    call = told(tmp_path, run_dir, CALL + f'digits = "{number}"\n', **policy)
    assert (call["disposition"], call["why"]) == ("skipped" if why else "recorded", why)


def test_policy_may_have_emergency_calls_recorded(tmp_path: Path, run_dir: Path) -> None:
    call = told(tmp_path, run_dir, CALL + 'digits = "119"\n', record_emergency=True)
    assert call["disposition"] == "recorded"


def test_an_internal_call_is_skipped_with_a_line(tmp_path: Path, run_dir: Path) -> None:
    call = told(tmp_path, run_dir, CALL + 'digits = "2345"\n')
    assert (call["disposition"], call["why"], call["internal"]) == ("skipped", "internal", True)


def test_a_busy_number_is_never_answered(tmp_path: Path, run_dir: Path) -> None:
    """Busy for longer than the time to the answer: no notice is played to a tone."""
    busy = CALL.replace("talk_s = 8.0\n", "busy_s = 14.0\n").replace('talk = ["', 'outcome = "busy"\n#talk = ["')
    call = told(tmp_path, run_dir, busy + 'digits = "0312345678"\n')
    assert (call["disposition"], call["dialled"], call["notice"]) == ("unanswered", "0312345678", None)


def test_a_long_ringback_is_waited_for(tmp_path: Path, run_dir: Path) -> None:
    """Five rings last longer than the time to the answer, which restarts with each."""
    call = told(tmp_path, run_dir, CALL.replace("rings = 2", "rings = 5") + 'digits = "0312345678"\n')
    assert call["answered_by"] == "tone"
    waited_s = (parse_rfc3339(call["answered_at"]) - parse_rfc3339(call["off_hook_at"])) / 1e9
    assert waited_s > 14
