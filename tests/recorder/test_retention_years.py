# SPDX-License-Identifier: Apache-2.0
"""A class of N days against a rule of years, counted as the Civil Code counts (art. 157, 159, 160): no call is
destroyed before its years are over, whatever leap days they have, nor more than two days later.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from linetap.commission import template
from linetap.config.retention import retention_of
from linetap.config.schema import RetentionClass, RetentionPolicy
from linetap_core.clock import parse_rfc3339
from linetap_core.zones import zone_of
from unit_rig import Unit

DOCUMENT = (Path(__file__).parents[2] / "docs" / "epochs.md").read_text()
SEOUL = zone_of("Asia/Seoul")


def documented() -> dict[int, int]:
    """Years -> days, by docs/epochs.md."""
    years, days = (re.findall(r"\d+", row) for row in re.findall(r"^\| (?:Years|`days`) \|.*$", DOCUMENT, re.MULTILINE))
    return dict(zip(map(int, years), map(int, days), strict=True))


def last_day(ended: date, years: int) -> date:
    """The last day of a period of years after an event of that day."""
    first = ended + timedelta(days=1)  # art. 157: the day itself is not counted
    year = first.year + years
    longest = monthrange(year, first.month)[1]
    if first.day > longest:  # art. 160(3): without the day in the last month, that month's last day
        return date(year, first.month, longest)
    return date(year, first.month, first.day) - timedelta(days=1)  # art. 160(2): the day before the one like the first


def ends() -> list[date]:
    """Days around each end of February and each turn of a year; 2100 has no 29 February."""
    around = [(2, 26), (2, 27), (2, 28), (3, 1), (3, 2), (6, 15), (12, 30), (12, 31), (1, 1)]
    found = [date(year, month, day) for year in [*range(2026, 2040), *range(2086, 2106)] for month, day in around]
    return found + [date(year, 2, 29) for year in (2028, 2032, 2036, 2088, 2092, 2096, 2104)]


@pytest.mark.parametrize("years", [1, 2, 3, 5, 10])
def test_no_call_is_destroyed_before_its_years_are_over(unit: Unit, years: int) -> None:
    days = documented()[years]
    classes = [RetentionClass(name="standard", days=days), RetentionClass(name="less", days=days - 1)]
    config = replace(unit.config, retention=RetentionPolicy(classes=classes))
    less = replace(config, retention=replace(config.retention, default="less"))
    too_short = 0
    for day in ends():
        for clock in (time(0, 0), time(23, 59, 59, 999000)):
            ended_ns = parse_rfc3339(datetime.combine(day, clock, SEOUL).isoformat())
            kept = date.fromisoformat(retention_of(config, ended_ns, 1, "recorded", False).epoch)
            assert timedelta(0) <= kept - last_day(day, years) <= timedelta(days=2), day
            too_short += date.fromisoformat(retention_of(less, ended_ns, 1, "recorded", False).epoch) < last_day(
                day, years
            )
    assert too_short, "fewer days would do"


def test_the_comment_in_unit_toml_says_the_same() -> None:
    text = " ".join(Path(template.__file__).read_text().replace("#", " ").split())
    assert "366 for one year, 1096 for three, 1827 for five, 3653 for ten" in text
    assert {years: documented()[years] for years in (1, 3, 5, 10)} == {1: 366, 3: 1096, 5: 1827, 10: 3653}
