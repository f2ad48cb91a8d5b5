# SPDX-License-Identifier: Apache-2.0
"""A day of different calls: each scenario is rendered, replayed on its own unit, and compared with its expectations."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from linetap.commission.init import SIGNERS
from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap_bench.exchange.timeline import render
from linetap_bench.script.script import load_script
from linetap_bench.script.scriptkeys import Expect, differences
from linetap_bench.sounds.voices import Voices, default_folder
from linetap_bench.stage.madeunit import STARTS_AT, make_unit
from linetap_core.cli import main
from linetap_core.records import CallRecord

DAY = Path(__file__).parents[1] / "scenarios" / "day"
SCENARIOS = sorted(DAY.glob("*.toml"))


@pytest.fixture(scope="module")
def notices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notices")
    make_default_notices(folder, ANNOUNCEMENTS)
    return folder


def test_a_day_has_twelve_calls() -> None:
    assert [path.stem[:2] for path in SCENARIOS] == [f"{number:02d}" for number in range(1, 13)]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_records_are_as_the_scenario_expects(path: Path, tmp_path: Path, notices: Path) -> None:
    script = load_script(path)
    audio, events = render(script, Voices(default_folder()), tmp_path)
    words = ["--config", make_unit(script, tmp_path, notices), "--audio", audio, "--events", events]
    words += ["--out", tmp_path / "vault", "--start", STARTS_AT]
    for number in script.deaf_lines:
        words += ["--deaf-line", number]
    assert main(["replay", *map(str, words)]) == 0
    told = (tmp_path / "vault" / "calls.jsonl").read_text().splitlines()
    records = [msgspec.json.decode(line, type=CallRecord) for line in told]
    assert main(["verify", str(tmp_path / "vault"), "--signers", str(tmp_path / SIGNERS)]) == 0
    assert wrong(script.expect, records) == []


def wrong(expected: list[Expect], records: list[CallRecord]) -> list[str]:
    """The differences, call by call in the order of their beginnings."""
    records = sorted(records, key=lambda record: record.call_id)
    found = [
        f"{record.call_id}: {text}"
        for each, record in zip(expected, records, strict=False)
        for text in differences(each, record)
    ]
    if len(expected) != len(records):
        began = json.dumps([record.call_id for record in records])
        found.append(f"{len(records)} calls and not {len(expected)}: {began}")
    return found
