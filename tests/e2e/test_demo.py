# SPDX-License-Identifier: Apache-2.0
"""`./build.sh demo` with its abusive call alone: ended by the card's contact, opened and verified, without
leftovers.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from linetap_bench.demo.__main__ import SCRIPT
from linetap_bench.exchange.feed import read_log

LIMIT_S = 200
CALL = "\n[[call]]\n"


@pytest.mark.timeout(300)
def test_the_abusive_call_is_ended_by_the_card(tmp_path: Path) -> None:
    head, *calls = SCRIPT.read_text().split(CALL)
    (abusive,) = [call for call in calls if '"**2"' in call]
    script, folder = tmp_path / "calls.toml", tmp_path / "demo"
    # A notice disturbed by a busy machine is repeated: staff wait for the second, too.
    text = head + CALL + abusive
    for before, longer in (("duration_s = 50.0", "duration_s = 65.0"), ("talk_s = 25.0", "talk_s = 40.0")):
        assert text.count(before) == 1
        text = text.replace(before, longer)
    script.write_text(text)
    command = [sys.executable, "-m", "linetap_bench.demo", "--folder", str(folder), "--script", str(script)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ended by released, situation abuse, its notice heard: full, free by dial_tone" in ended.stdout
    assert "the exchange ended the call, and dial tone came." in ended.stdout
    (opened,) = read_log(folder / "exchange").releases
    assert (opened.line, opened.outcome) == (2, "released")
