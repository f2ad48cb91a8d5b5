# SPDX-License-Identifier: Apache-2.0
"""A leap second at its most harmful moment: in the middle of calls, at the very end of a day of retention.

The kernel repeats 23:59:59, synchronised throughout; CLOCK_MONOTONIC_RAW counts the second.
"""

from __future__ import annotations

import msgspec
import pytest
from epoch_vault import begin, finish
from test_wrong_clock import OtherTime, verified

from linetap.config.schema import Config
from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from unit_rig import Unit

S = 1 / 86_400  # days
BEFORE_NS = parse_rfc3339("2026-12-31T23:59:50.000Z")
MIDNIGHT = "2027-01-01T00:00:00.000Z"


class Closet(OtherTime):
    """A closet whose days end at the leap second: 24:00 UTC. Its clock is synchronised from the beginning."""

    def __init__(self, config: Config, at: str) -> None:
        retention = msgspec.structs.replace(config.retention, zone="UTC")
        super().__init__(msgspec.structs.replace(config, retention=retention), at)
        self.true_ns, self.synced = parse_rfc3339(at), True
        self.passes(S)

    def until_second(self, at: str) -> None:
        self.passes((parse_rfc3339(at) - self.clock.utc_ns()) / NS_PER_S * S)

    def leaps(self, seconds: int = 1) -> None:
        """Inserts (1) or removes (-1) a second, which the recorder takes for a set clock."""
        self.clock.step_utc(-seconds * NS_PER_S)
        self.vault.log_leaf("clock_step", self.clock.utc_ns(), ms=-1000.0 * seconds)
        self.passes(0)

    def begins(self, line: int) -> str:
        return begin(self.vault, rfc3339(self.clock.utc_ns()), line)

    def ends(self, call_id: str) -> str:
        until = finish(self.vault, self.config, call_id, rfc3339(self.clock.utc_ns())).until
        assert until is not None
        return until


def test_calls_around_it_end_on_the_right_day(unit: Unit) -> None:
    """Three that end by the old day, in any of its last seconds, and one by the new: none is amended."""
    there = Closet(unit.config, rfc3339(BEFORE_NS))
    calls = [there.begins(line) for line in (1, 2, 3, 4)]
    there.until_second("2026-12-31T23:59:59.400Z")
    ends = [there.ends(calls[0])]
    there.until_second("2026-12-31T23:59:59.900Z")
    there.leaps()
    there.until_second("2026-12-31T23:59:59.400Z")
    ends.append(there.ends(calls[1]))
    there.until_second("2026-12-31T23:59:59.999Z")
    ends.append(there.ends(calls[2]))
    there.until_second(MIDNIGHT)
    ends.append(there.ends(calls[3]))
    assert ends == ["2027-03-02T00:00:00.000Z"] * 3 + ["2027-03-03T00:00:00.000Z"]
    there.passes(1)
    assert [there.amendments(call_id) for call_id in calls] == [[]] * 4
    verified(unit)


@pytest.mark.parametrize("seconds", [1, -1], ids=["a second more", "a second less"])
def test_a_day_that_ends_with_it_destroys_nothing_early(unit: Unit, seconds: int) -> None:
    there = Closet(unit.config, "2026-11-01T12:00:00.000Z")
    call_id = there.begins(1)
    there.passes(10 * S)
    assert there.ends(call_id) == MIDNIGHT
    there.until_second("2026-12-31T23:59:58.900Z" if seconds < 0 else "2026-12-31T23:59:59.900Z")
    assert there.is_here(call_id)
    there.leaps(seconds)
    assert there.is_here(call_id)
    there.until_second("2026-12-31T23:59:59.999Z")
    assert there.is_here(call_id), "counted time is a second ahead of the clock, and nobody's end comes by it"
    there.until_second("2027-01-01T00:00:02.000Z")
    assert not there.is_here(call_id)
    assert there.vault.vault.upkeep is not None
    assert not there.vault.vault.upkeep.time.is_distrusted
    verified(unit)
