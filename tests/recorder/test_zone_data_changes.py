# SPDX-License-Identifier: Apache-2.0
"""Zone data that change under a running recorder: an end once stated stays, a new one is right, no call is destroyed
early, and nothing stops.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from epoch_vault import folder
from test_wrong_clock import TRUE, OtherTime, verified

from linetap.config.schema import Config
from linetap_core import zones
from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_core.evidence.calls import sealed
from unit_rig import Unit
from zone_rig import SOURCES, ZoneData

HOUR = 3600 * NS_PER_S
DAMAGED = {"gone": None, "empty": b"", "cut": b"TZif2" + bytes(20), "text": b"not a zone\n" * 30}


@pytest.fixture
def data(tmp_path: Path) -> Iterator[ZoneData]:
    data = ZoneData(tmp_path / "zoneinfo")
    for name in SOURCES:
        data.compile(name)
    with data.in_use():
        yield data


def closet(config: Config, zone: str) -> OtherTime:
    retention = msgspec.structs.replace(config.retention, zone=zone)
    there = OtherTime(msgspec.structs.replace(config, retention=retention), TRUE)
    there.right()
    return there


def until(there: OtherTime, call_id: str) -> str:
    retention = there.record(call_id).retention
    assert retention is not None
    assert retention.until is not None
    return retention.until


def goes_to(there: OtherTime, at: str) -> None:
    """Moves the clock at once to an hour before, then in steps of a quarter of an hour, and no further."""
    end_ns = parse_rfc3339(at)
    if (far_ns := end_ns - HOUR - there.true_ns) > 0:
        there.passes(far_ns / (24 * HOUR))
    while there.true_ns < end_ns:
        there.passes(min(HOUR // 4, end_ns - there.true_ns) / (24 * HOUR))


@pytest.mark.parametrize("zone", SOURCES)
def test_an_hour_more_from_next_month_on(unit: Unit, data: ZoneData, zone: str) -> None:
    there = closet(unit.config, zone)
    first = there.call(1)
    day_after = "2027-01-24" if zone == "America/New_York" else "2027-01-25"
    said, record = until(there, first), (folder(there.config, first) / sealed.RECORD).read_bytes()
    assert said == data.midnight(zone, day_after)

    data.compile(zone, summer=True)
    there.passes(2 / 1440)
    second = there.call(2)
    new = until(there, second)
    assert new == data.midnight(zone, day_after)
    assert parse_rfc3339(said) - parse_rfc3339(new) == HOUR
    assert (folder(there.config, first) / sealed.RECORD).read_bytes() == record

    indexes = there.config.vault_path / "index"
    of_the_day = {path.name for path in indexes.iterdir()}
    assert len(of_the_day) == 1, "both are of one day, whatever it ends at"
    goes_to(there, new)
    there.passes(5 / 1440)
    assert not there.is_here(second)
    assert there.is_here(first), "it was said to be kept for an hour more"
    assert {path.name for path in indexes.iterdir()} == of_the_day, "and is found"
    verified(unit)
    goes_to(there, said)
    there.passes(5 / 1440)
    assert not there.is_here(first)
    assert list(indexes.iterdir()) == []
    verified(unit)


@pytest.mark.parametrize("zone", SOURCES)
@pytest.mark.parametrize("bad", DAMAGED)
def test_data_that_can_be_read_no_more(
    unit: Unit, data: ZoneData, zone: str, bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The recorder continues with the data already read; it reports that once."""
    there = closet(unit.config, zone)
    first = there.call(1)
    data_of = DAMAGED[bad]
    if data_of is None:
        (data.folder / zone).unlink()
    else:
        data.put(zone, data_of)
    for _ in range(2):
        there.passes(2 / 1440)
    second = there.call(2)
    assert until(there, second) == until(there, first)
    assert caplog.text.count("cannot be read any more") == 1
    verified(unit)


def test_another_zones_data_under_koreas_name(unit: Unit, data: ZoneData, caplog: pytest.LogCaptureFixture) -> None:
    """It is the only zone whose past is known without any data."""
    there = closet(unit.config, "Asia/Seoul")
    first = there.call(1)
    data.put("Asia/Seoul", (data.folder / "America" / "New_York").read_bytes())
    there.passes(2 / 1440)
    second = there.call(2)
    assert until(there, second) == until(there, first)
    assert "it is another zone's" in caplog.text
    zones._read.clear()  # as in a newly started recorder
    with caplog.at_level(logging.ERROR):
        there.boot(TRUE)
    there.right()
    assert until(there, there.call(1)) == until(there, first)
