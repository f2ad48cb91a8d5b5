# SPDX-License-Identifier: Apache-2.0
"""The real services over zone data that are damaged during a call: it is recorded, sealed, and has its right end; also
by a recorder started then.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_faketime import LATE_S, SCRIPT, Closet, _signers

from linetap_core.records import CallRecord
from linetap_desk.proofs import callfolder
from linetap_desk.vaultproofs.verifyvault import verify_vault
from zone_rig import ZoneData

SEOUL, TOKYO = "Asia/Seoul", "Asia/Tokyo"
TRUNCATED = b"TZif2" + bytes(30)


def until(record: CallRecord) -> str:
    assert record.retention is not None
    assert record.retention.until is not None
    return record.retention.until


@pytest.mark.timeout(300)
@pytest.mark.parametrize("zone", [SEOUL, TOKYO])
def test_zone_data_that_is_cut_off_in_mid_call(tmp_path: Path, zone: str) -> None:
    """A recorder keeps the data already read; a new one knows Korea's zone without any."""
    data = ZoneData(tmp_path / "zoneinfo")
    data.compile(zone)
    with Closet(tmp_path, SCRIPT, {f'zone = "{SEOUL}"': f'zone = "{zone}"'}, patient=False) as closet:
        closet.children._env["PYTHONTZPATH"] = str(data.folder)
        closet.says(0)
        closet._kept.touch()
        closet.start("capture")
        recorder = closet.start("recorder")
        panel = closet.start("panel")
        closet.until(lambda: len(closet.records()) == 1, "the first call is sealed", LATE_S)
        closet.until(lambda: closet.line_is(2, "recording"), "the second is recorded", LATE_S)
        data.put(zone, TRUNCATED)
        closet.until(lambda: len(closet.records()) == 2, "the second call is sealed", LATE_S)
        first, second = closet.records()
        assert until(first) == until(second)
        assert "Traceback" not in "".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
        for child in (recorder, panel):
            assert child.process.poll() is None
        closet.children.end(recorder)
        words = [sys.executable, "-m", "linetap", "config", "check", str(closet.config_path)]
        env = os.environ | {"PYTHONTZPATH": str(data.folder)}
        anew = subprocess.run(words, env=env, capture_output=True, text=True, timeout=LATE_S, check=False)
        assert (anew.returncode == 0) == (zone == SEOUL), anew.stderr  # another zone is never guessed
        verdicts = verify_vault(closet.config.vault_path, callfolder.load_signers(_signers(closet)))
        assert [problem for verdict in verdicts for problem in verdict.problems] == []
