# SPDX-License-Identifier: Apache-2.0
"""The PBX's lines up to the mail of 00:20: the day's account, a real reporter, a real broker, a real ingest."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from smdr_rig import SEOUL, at, call, config_of, panasonic
from test_smdr_join import Rig

from broker import Broker, until
from ingest_rig import Ingesting, rows
from linetap_core.clock import NS_PER_S, SYSTEM, ManualClock, from_utc_ns
from linetap_desk.commands import desk
from linetap_desk.ingest import tables
from reporter_rig import Floor

LINES = ({"extension": "2101"}, {"extension": "2102"})


def seconds_to(moment: datetime) -> float:
    """Seconds from the rig's START."""
    return (round(moment.astimezone(UTC).timestamp()) * NS_PER_S - at(0)) / NS_PER_S


def test_at_twenty_past_midnight_the_letter_names_the_unit(
    tmp_path: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three calls of the day before: one in both, one only in the PBX, one only in the unit."""
    today = from_utc_ns(SYSTEM.utc_ns()).astimezone(SEOUL).date()  # the desk accepts no day that is years away
    midnight_s = seconds_to(datetime.combine(today, time(), SEOUL))
    rig = Rig(config_of(*LINES), clock=ManualClock(at(midnight_s - 60), 5 * NS_PER_S))
    for line in (1, 2):
        rig.ends(call(line, midnight_s - 90, midnight_s - 60, number=f"0101234567{line}"))
    rig.prints(panasonic(midnight_s - 90, 30, "2101", "01012345671"))
    rig.prints(panasonic(midnight_s - 1000, 200, "2102", "01012345679"))
    while rig.clock.utc_ns() < at(midnight_s + 601):
        rig.clock.advance(NS_PER_S)
        rig.join.turn()
    day = rig.join.ledger.last_day()
    assert rig.day().unmatched == 0, "midnight takes back what the alert said"

    signers, yesterday = tmp_path / "allowed_signers", (today - timedelta(days=1)).isoformat()
    (tmp_path / "desk.toml").write_text('db = "sqlite:///desk.db"\n')
    with Broker(tmp_path / "broker") as broker, Floor(tmp_path, run_dir, broker.port) as floor:
        signers.write_text(floor.signers.read_text())
        with Ingesting(tmp_path, broker.port, signers) as ingest:
            ingest.start()
            floor.lines("idle", "idle", "idle", smdr_connected=True, pbx_day=day)
            floor.reporter()
            until(lambda: rows(ingest.engine, tables.pbx_days), why=ingest.said)
            assert ingest.end() == 0
    said = letter(tmp_path, ManualClock(at(midnight_s + 1200)), capsys)
    figures = "교환기 통화 PBX calls 2, 녹음 recorded 1, 누락 missing 1, 교환기에 없는 녹음 not at the PBX 1"
    assert said.splitlines()[0] == f"{yesterday} (Asia/Seoul)"
    assert f"교환기 대조 coverage against the PBX: 50.0 %; 기기 units 1, {figures}\n" in said
    assert f"교환기와 다른 기기 units that differ from the PBX: 1\n  floor-03: {figures}\n" in said
    assert "이날 대조 없음 no report for this day: 0\n" in said
    said = letter(tmp_path, ManualClock(at(midnight_s + 86_400 + 1200)), capsys)
    assert "이날 대조 없음 no report for this day: 1 (floor-03)\n" in said, "of the night after nothing has come yet"


def letter(folder: Path, clock: ManualClock, capsys: pytest.CaptureFixture[str]) -> str:
    parser = argparse.ArgumentParser()
    desk.add_arguments(parser)
    assert desk.run(parser.parse_args(["summary", "--config", str(folder / "desk.toml")]), clock) == 0
    return capsys.readouterr().out
