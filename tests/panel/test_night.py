# SPDX-License-Identifier: Apache-2.0
"""The hours of dimmed LEDs, by local time."""

from __future__ import annotations

from pathlib import Path

import pytest

from linetap.board.simulated import SimulatedPanel, brightness_shown
from linetap.config.schema import Panel
from linetap.panel import service
from linetap.panel.legend import Night
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from state_files import Unit, unit


@pytest.mark.parametrize(
    ("begins", "ends", "at", "percent"),
    [
        ("20:00", "06:00", "2026-11-26T19:59:59+09:00", 100),
        ("20:00", "06:00", "2026-11-26T20:00:00+09:00", 20),
        ("20:00", "06:00", "2026-11-27T00:00:00+09:00", 20),
        ("20:00", "06:00", "2026-11-27T05:59:59+09:00", 20),
        ("20:00", "06:00", "2026-11-27T06:00:00+09:00", 100),
        ("00:30", "05:00", "2026-11-27T00:29:00+09:00", 100),
        ("00:30", "05:00", "2026-11-27T03:00:00+09:00", 20),
        ("00:00", "00:00", "2026-11-27T00:00:00+09:00", 100),
    ],
)
def test_night_is_by_the_wall(begins: str, ends: str, at: str, percent: int) -> None:
    night = Night(Panel(night_from=begins, night_to=ends, night_percent=20), "Asia/Seoul")
    assert night.percent(parse_rfc3339(at)) == percent


def test_the_panel_is_dimmed_when_night_comes(run_dir: Path) -> None:
    clock = ManualClock(monotonic_ns=100 * NS_PER_S, utc_ns=parse_rfc3339("2026-11-26T19:59:58+09:00"))
    Unit(run_dir, clock).write()
    panel = service.Panel(unit(run_dir), SimulatedPanel(run_dir), clock)
    panel.tick()
    assert brightness_shown(run_dir) == 100
    clock.advance(2 * NS_PER_S)
    panel.tick()
    assert brightness_shown(run_dir) == 20
    panel.close()
