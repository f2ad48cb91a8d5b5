# SPDX-License-Identifier: Apache-2.0
"""The PBX's report during the call: a line `connected` answers the outgoing call of that line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linetap.config.schema import Smdr
from linetap.recorder.replay.command import replay
from linetap_bench.exchange.timeline import render
from linetap_bench.script.script import load_script
from linetap_bench.sounds.voices import Voices, default_folder
from linetap_core.clock import parse_rfc3339
from unit_rig import START, make_unit

# Answered 6 s after the last digit; the exchange continues to ring, so that there is no other evidence.
CALL = """
lines = 2
seed = 5
[[call]]
line = 1
start_s = 1.0
direction = "out"
digits = "0312345678"
ringback = false
progress_s = 12.0
talk_after_s = 4.0
talk_s = 6.0
talk = ["여보세요, 시청 민원실입니다."]
[[call.sound]]
play = "tone"
at_s = 1.0
hz = [440.0, 480.0]
cadence_ms = [1000, 2000]
[[smdr]]
at_s = {at_s}
text = "{text}"
"""
SAID_S = 10.5


def record(tmp_path: Path, run_dir: Path, text: str) -> dict[str, Any]:
    (tmp_path / "calls.toml").write_text(CALL.format(text=text, at_s=SAID_S))
    audio, events = render(load_script(tmp_path / "calls.toml"), Voices(default_folder()), tmp_path)
    config = make_unit(tmp_path, run_dir).config
    lines = [msgspec.structs.replace(line, extension=str(2100 + line.number)) for line in config.line]
    layout = Smdr(format="columns", columns="kind:1 time:8 ext:4", kinds="O=out C=connected")
    config = msgspec.structs.replace(config, line=lines, smdr=layout)
    replay(config, audio, events, tmp_path / "out", parse_rfc3339(START), no_echo=False, deaf=set())
    told: dict[str, Any] = json.loads((tmp_path / "out" / "calls.jsonl").read_text())
    return told


def test_a_line_that_says_connected_answers_the_call(tmp_path: Path, run_dir: Path) -> None:
    call = record(tmp_path, run_dir, "C 07:56:10 2101")
    assert call["answer"] == {"by": "pbx", "confidence": "certain", "evidence": ["pbx"]}
    said_ns = parse_rfc3339(START) + round(SAID_S * 1e9)
    assert abs(parse_rfc3339(call["answered_at"]) - said_ns) < 1e9
    assert call["smdr"] is None, "it is not the call's own line, which comes at its end"


@pytest.mark.parametrize("text", ["O 07:56:10 2101", "C 07:56:10 2102", "C 07:56:10 2999", "C 7:56 2101"])
def test_no_other_line_does(tmp_path: Path, run_dir: Path, text: str) -> None:
    assert record(tmp_path, run_dir, text)["answered_by"] != "pbx"
