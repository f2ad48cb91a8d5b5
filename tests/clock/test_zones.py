# SPDX-License-Identifier: Apache-2.0
"""Missing, damaged or wrong zone data change no day, no `until` and no time of the PBX."""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from linetap_core import zones
from linetap_core.clock import NS_PER_S, parse_rfc3339

LIMIT_S = 120
# 23:59:59.999 and 00:00 in Seoul, the end of a leap second (2016-12-31T23:59:60Z), and an autumn night of New York.
MOMENTS = [
    "2026-11-28T14:59:59.999Z",
    "2026-11-28T15:00:00.000Z",
    "2017-01-01T00:00:00.000Z",
    "2026-11-01T05:30:00.000Z",
]
SAYS = """
import json, sys
from linetap_core.clock import parse_rfc3339
from linetap.recorder.smdr.layouts import parser
from linetap.recorder.pbx.ledger import Ledger
from linetap.recorder.pbx.match import Matcher
from linetap.config.retention import retention_of
from smdr_rig import config_of
config = config_of({"extension": "2101"})
parse, ledger = parser(config), Ledger(config, Matcher(config))
said = []
for text in json.loads(sys.argv[1]):
    ns = parse_rfc3339(text)
    kept = retention_of(config, ns, 1, "recorded", False)
    told = parse("O 11/28 23:59:58 00:00:10 2101 01012345678", ns)
    said.append([kept.epoch, kept.until, ledger.day_at(ns).day, told and told.started_ns])
print(json.dumps(said))
"""


def said_with(tmp_path: Path, **env: str) -> tuple[list[list[object]], str]:
    tests = Path(__file__).parents[1]
    path = f"{tests / 'rigs'}:{tests / 'recorder'}"
    done = subprocess.run(
        [sys.executable, "-c", SAYS, json.dumps(MOMENTS)], capture_output=True, text=True, timeout=LIMIT_S, check=False,
        env={**os.environ, "PYTHONPATH": path, **env}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> list[list[object]]:
    found, _ = said_with(tmp_path_factory.mktemp("right"))
    assert found[0][1] == "2027-01-27T15:00:00.000Z"
    assert found[1][1] == "2027-01-28T15:00:00.000Z"
    return found


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Seoul", ":/nonexistent", "EST5EDT,M3.2.0,M11.1.0", ""])
def test_the_machines_own_zone_decides_nothing(tmp_path: Path, right: list[list[object]], zone: str) -> None:
    assert said_with(tmp_path, TZ=zone)[0] == right


DAMAGED = {"gone": None, "empty": b"", "cut": b"TZif2" + bytes(20), "noise": random.Random(17).randbytes(400)}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_without_its_zone_data_a_unit_in_korea_says_the_same(
    tmp_path: Path, right: list[list[object]], data: bytes | None
) -> None:
    if data is not None:
        (tmp_path / "Asia").mkdir()
        (tmp_path / "Asia" / "Seoul").write_bytes(data)
    found, told = said_with(tmp_path, PYTHONTZPATH=str(tmp_path))
    assert found == right
    assert "zone_data" in told, "and it is said"


def test_koreas_own_data_agree_with_what_is_built_in(caplog: pytest.LogCaptureFixture) -> None:
    """Every day from the end of summer time in 1988 on, as far as the machine's data reach."""
    with caplog.at_level(logging.ERROR):
        built_in = zones._korea("a test")
    assert built_in.key == "Asia/Seoul"
    for year in range(1989, 2038):
        for month in range(1, 13):
            moment = datetime(year, month, 15, 12, tzinfo=UTC)
            assert moment.astimezone(built_in).isoformat() == moment.astimezone(ZoneInfo("Asia/Seoul")).isoformat()


@pytest.mark.parametrize("name", ["Europe/Nowhere", "../../etc/passwd", ""])
def test_another_zone_is_not_guessed(name: str) -> None:
    with pytest.raises((KeyError, ValueError, OSError)):
        zones.zone_of(name)


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01", "2026-12-31"])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Seoul"])
def test_a_day_begins_and_ends_when_date_says_so(zone: str, day: str) -> None:
    """Coreutils' `date` decides; New York's days of March and November have 23 and 25 hours."""

    def midnight_ns(of: date) -> int:
        shown = subprocess.run(
            ["date", "-d", f"{of} 00:00", "+%s"], capture_output=True, timeout=LIMIT_S, check=True,
            env={**os.environ, "TZ": zone},
        )  # fmt: skip
        return int(shown.stdout) * NS_PER_S

    one = date.fromisoformat(day)
    assert zones.start_of_ns(one, zones.zone_of(zone)) == midnight_ns(one)
    assert zones.end_of_ns(one, zone) == midnight_ns(one + timedelta(days=1))
    assert parse_rfc3339(zones.end_text(one, zone)) == zones.end_of_ns(one, zone)
    assert zones.local_time(zones.end_of_ns(one, zone) - 1, zones.zone_of(zone)).date() == one
