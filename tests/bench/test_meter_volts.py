# SPDX-License-Identifier: Apache-2.0
"""The volts that the exchange of a card with a meter puts on the wires."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripts import call, timeline_of

from linetap.board.wires import Wires
from linetap_bench.exchange.feed import LEVELS_AHEAD_MS, LevelFeed
from linetap_bench.exchange.meterlines import MeterVolts, volts_on
from linetap_bench.script.scriptkeys import LineSetup
from meter_rig import hundredths


def test_the_simulated_meter_rings_as_an_exchange_does() -> None:
    meter = MeterVolts([LineSetup(number=1)])
    on, none = np.ones((1, 200), np.bool_), np.zeros((1, 200), np.bool_)
    volts = meter.measured(1000, none, on, np.full((1, 200), -4800, np.int16))
    assert int(volts.max()) in range(5500, 5900)
    assert int(volts.min()) in range(-15500, -15200)
    lifted = meter.measured(1000, on, none, np.full((1, 200), -800, np.int16))
    assert (lifted == hundredths(-8)).all()


@pytest.mark.parametrize(("on", "off"), [(48, 8), (24, 6), (48, 40), (-48, -40)])
def test_the_simulated_meter_measures_what_the_wires_have(on: int, off: int) -> None:
    """For a bouncing contact that of its loop at that moment; whatever the voltages."""
    meter = MeterVolts([LineSetup(number=1, on_hook_v=abs(on), off_hook_v=abs(off))])
    hook = np.repeat([0, 1, 0, 1, 0, 1, 0], [100, 100, 100, 3, 2, 100, 100]).astype(np.bool_)[None]
    lifted = np.repeat([0, 1, 0, 1, 1, 1, 0], [100, 100, 100, 3, 2, 100, 100]).astype(np.bool_)[None]
    none = np.zeros_like(hook)
    given = hundredths(np.where(lifted, off, on))
    found = [meter.measured(at, hook[:, at : at + 5], none[:, :5], given[:, at : at + 5]) for at in range(0, 505, 5)]
    assert (np.concatenate(found, axis=1) == np.where(hook, off * 100, on * 100)).all()


def test_a_line_without_a_battery_has_none() -> None:
    meter = MeterVolts([LineSetup(number=1)])
    bits = np.ones((1, 10), np.bool_)
    assert not meter.measured(0, bits, bits, np.zeros((1, 10), np.int16)).any()


@pytest.mark.parametrize("metered", [True, False])
def test_only_a_card_with_a_meter_has_ringing_on_its_wires(metered: bool, run_dir: Path, tmp_path: Path) -> None:
    """Without a meter the card has a comparator, and the wires carry the battery alone."""
    wires = Wires.create(run_dir / "w", 1)
    timeline = timeline_of(tmp_path, "lines = 1\n" + call(start_s=0.1, rings=2))
    feed = LevelFeed(wires, timeline, 0, metered=metered)
    feed.update(0, 0)
    volts = volts_on(wires)(1, LEVELS_AHEAD_MS - 1)
    ring = wires.samples(LEVELS_AHEAD_MS, LEVELS_AHEAD_MS - 1)[1]
    assert ring.any()
    assert (np.abs(volts[ring]).max() > 5000) == metered
    assert (volts[~ring] == hundredths(-48)).all()
