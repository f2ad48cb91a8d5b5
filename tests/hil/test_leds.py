# SPDX-License-Identifier: Apache-2.0
"""A unit's LEDs, from its pins; and a test that the tests' reader distinguishes all patterns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from keptunit import Site, UnitMaker
from leds import LOOK_S, pattern, shows
from machine import Machine

from linetap_core.wire.legend import PATTERNS, STEP_MS, lit

pytestmark = [pytest.mark.hil, pytest.mark.quick]


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory, site: Site, shared: Path) -> Iterator[Machine]:
    """The unit without alerts, with a broker."""
    with UnitMaker(site, shared) as maker:
        yield maker.unit(tmp_path_factory.mktemp("unit"))


def test_each_pattern_is_known_by_its_look() -> None:
    """each pattern of the legend is known from its pin, whenever somebody begins to look"""
    for name in PATTERNS:
        for began_ms in range(0, 4500, STEP_MS // 2):
            levels = [(ms / 1000, "01"[lit(name, began_ms + ms)]) for ms in range(0, round(LOOK_S * 1000), 20)]
            seen = [now for at, now in enumerate(levels) if at == 0 or levels[at - 1][1] != now[1]]
            assert pattern(seen, LOOK_S) == name, (name, began_ms)


def test_the_leds_follow(unit: Machine) -> None:
    """LEDs, off the pins: the legend's patterns of a unit that is well and of a dead capture"""
    unit.run("systemctl", "stop", "linetap-capture@1")
    unit.until(lambda: shows(unit, "capture_dead"), "FAULT says that capture is dead")
    unit.run("systemctl", "start", "linetap-capture@1")
    unit.until(lambda: shows(unit, "ok"), "RUN is lit and FAULT dark again")
