# SPDX-License-Identifier: Apache-2.0
"""The demo's abusive call, faster than the demo and on a card without contacts: its script, through `config init` and
the recorder's own code."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from linetap.notices.defaults import make_default_notices
from linetap_bench.demo.__main__ import SCRIPT
from linetap_core.cli import main


def test_without_contacts_the_call_of_the_demo_is_ended_by_its_staff_after_the_notice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    make_default_notices(folder / "notices", ["ko", "end-abuse"])
    assert main(["bench", "--script", str(SCRIPT), "--render", str(folder), "--unit"]) == 0
    _, *replay = shlex.split(capsys.readouterr().out.splitlines()[-1].removeprefix("then: "))
    assert main(replay) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (ended,) = [each for each in records if each.get("end")]
    assert (ended["line"], ended["ended_by"]) == (2, "staff_after_notice")
    assert [mark["kind"] for mark in ended["marks"]] == ["abuse"]
    assert (ended["end"]["situation"], ended["end"]["by"], ended["end"]["seen_by"]) == ("abuse", "code", "staff")
    notice = ended["end"]["notice"]
    assert (notice["id"], notice["proof"]) == ("end-abuse", "full")
    assert ended["end"]["code_at"] < notice["started_at"] < notice["ended_at"] < ended["ended_at"]
