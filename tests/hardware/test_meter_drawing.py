# SPDX-License-Identifier: Apache-2.0
"""From the line to the edges: the output of the drawing's front end, read by the meter's own program."""

from __future__ import annotations

import numpy as np
import pytest
from hardware_rig import front_end

from cmeter_rig import LINES, edges_of, said_by_c
from linetap.ring import I16
from simulation.converters import meter_reads
from simulation.corners import all_to_one_side
from simulation.dialling import EXCHANGE, telephone
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run

RINGS = [
    "Vring b 0 sin(-48 106 20 0.3)",
    "Bfeed c 0 V = time < 0.9 ? V(b) : -48",
    "Rring c /RING1 400",
    "Rtip 0 /TIP1 400",
]

SETTLED_MS = 100  # switch-on of the simulated circuit


def read(netlist: Netlist, around: list[str], ms: int) -> I16:
    """Line 1 as sampled by the meter, int16 (8, ms), 0.01 V; the other lines are on-hook."""
    measures = [f".meas tran v{at} find v(/VM1) at={at / 1000}" for at in range(1, ms + 1)]
    found = run(Deck(netlist, [*around, f".tran 0.2m {(ms + 1) / 1000} 0 0.2m"], measures))
    line = np.array([meter_reads(vm, Supply()) for vm in found.values()]) * 100
    rows = np.full((LINES, ms), -4800, np.int16)
    rows[0] = np.rint(line).astype(np.int16)
    rows[0, :SETTLED_MS] = rows[0, SETTLED_MS]
    return rows


def edges(volts: I16) -> list[tuple[int, str, bool]]:
    found = edges_of(said_by_c(volts), volts.shape[1])
    assert {channel for _, channel, _, _ in found} <= {0}
    return [(at, which, level) for at, _, which, level in found]


@pytest.mark.parametrize("side", [0, -1, 1], ids=["as drawn", "parts fast", "parts slow"])
def test_a_three_is_three_breaks(side: int) -> None:
    """Ten pulses a second, 60 ms open and 40 ms closed."""
    breaks = [0.5, 0.6, 0.7]
    closed = [(0.2, 0.5), (0.56, 0.6), (0.66, 0.7), (0.76, 1.2)]
    netlist = all_to_one_side(front_end(), side) if side else front_end()
    found = edges(read(netlist, [*EXCHANGE, *telephone(closed)], 1100))
    hook = [(at, level) for at, which, level in found if which == "hook"]
    want = [(200, True)] + [
        (round(at * 1000) + after, level) for at in breaks for after, level in ((0, False), (60, True))
    ]
    assert [level for _, level in hook] == [level for _, level in want]
    assert max(abs(at - true) for (at, _), (true, _) in zip(hook, want, strict=True)) <= 3


def test_ringing_is_ringing_and_nobody_has_answered() -> None:
    found = edges(read(front_end(), [*RINGS, "Rphone /TIP1 /RING1 1e6"], 1100))
    (on, _), (off, _) = [(at, level) for at, which, level in found if which == "ring"]
    assert 300 < on <= 370
    assert 900 < off <= 970
    assert not [each for each in found if each[1] == "hook"]


LIFTED = [*EXCHANGE, *telephone([(0.2, 2.0)])]
OPENS_MS, SHUTS_MS, BOUNCE_MS = 500, 1500, 10  # the longest bounce of a closing contact of a Schrack RT2


def bouncing(for_ms: int) -> list[str]:
    """A contact in place of K102 that opens at once, and closes with makes of 1 ms and breaks of 2 ms."""
    at = [SHUTS_MS + i for i in range(0, for_ms, 3)]
    makes = [(0, OPENS_MS), *((start, start + 1) for start in at), (SHUTS_MS + for_ms, 4000)]
    points = [f"{start / 1000 + 1e-5:.6f} 1 {stop / 1000:.6f} 1 {stop / 1000 + 1e-5:.6f} 0 " for start, stop in makes]
    gaps = [f"{start / 1000:.6f} 0 " if start else "0 1 " for start, _ in makes]
    wave = "".join(gap + point for gap, point in zip(gaps, points, strict=True))
    return [f"Vg g 0 pwl({wave})", "Bk /TIP1 /TIP_TEL1 I = V(/TIP1,/TIP_TEL1) * (1e-9 + 10 * V(g))"]


def hook_of(for_ms: int) -> list[tuple[int, bool]]:
    found = edges(read(front_end().without("K102"), [*LIFTED, *bouncing(for_ms)], 1900))
    return [(at, level) for at, which, level in found if which == "hook"]


def test_a_contact_that_bounces_is_one_opening() -> None:
    hook = hook_of(BOUNCE_MS)
    assert [level for _, level in hook] == [True, False, True]
    (_, opened, closed) = (at for at, _ in hook)
    assert abs(opened - OPENS_MS) <= 3
    assert SHUTS_MS <= closed <= SHUTS_MS + BOUNCE_MS + 5


def test_a_contact_that_bounces_for_too_long_shows() -> None:
    (*_, (closed, _)) = hook_of(10 * BOUNCE_MS)
    assert closed > SHUTS_MS + BOUNCE_MS + 5


def test_a_sense_path_that_is_too_slow_shows() -> None:
    """The same three on a drawing with a wrong capacitor: the test can detect it."""
    around = [*EXCHANGE, *telephone([(0.2, 0.5), (0.56, 0.6), (0.66, 0.7), (0.76, 1.2)])]
    found = edges(read(front_end().replaced("C101", "2.2u"), around, 1100))
    assert len([each for each in found if each[1] == "hook"]) < 7
