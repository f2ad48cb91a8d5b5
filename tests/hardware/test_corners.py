# SPDX-License-Identifier: Apache-2.0
"""The calls' corners are the worst of each possible state of a line, and there are no others."""

from __future__ import annotations

import shutil
from functools import cache

import pytest
from hardware_rig import front_end
from twin_rig import corners, handset

from drawing.tables import load_kinds
from simulation.calls import FEED_OHM
from simulation.converters import drawn_reference, meter_reads, share_of
from simulation.corners import (
    CLAMP,
    CLOCK,
    EXCHANGED,
    LEAK_A,
    MOVES,
    Wrong,
    all_to_one_side,
    all_wrongs,
    effects,
    leaks,
)
from simulation.linetable import CORNERS_V, LINE
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run

pytestmark = pytest.mark.skipif(not shutil.which("ngspice"), reason="ngspice is not installed: it has the drawn net")

APART_S = 0.1
LEAST_V = 0.02  # of the line: the limit for all parts together that do not affect a reading
STEADY = {  # tip and ring, before the exchange's resistors
    **{f"on-hook, {volts:g} V": (0.0, -volts) for volts in (24.0, 42.0, 48.0, 56.0)},
    **{f"{off_v:g} V of {volts:g}": (-(volts - off_v) / 2, -(volts + off_v) / 2)
       for volts, off_v in (*CORNERS_V, (48.0, 9.6), (48.0, 5.0), (48.0, 40.0))},
}  # fmt: skip
TURNED = {f"{EXCHANGED}{name}": (ring, tip) for name, (tip, ring) in STEADY.items()}
OPEN = {
    "no line": ["Rt /TIP1 0 1e12", "Rr /RING1 0 1e12"],
    "tip cut": ["Rt /TIP1 0 1e12", "Vr b 0 -48", f"Rr b /RING1 {FEED_OHM}"],
    "ring cut": ["Rr /RING1 0 1e12", f"Rt 0 /TIP1 {FEED_OHM}"],
}


def states(netlist: Netlist, supply: Supply) -> dict[str, float]:
    """The pin's share of its reference in each state; the steady ones in turn."""
    steady = STEADY | TURNED
    waves = [
        " ".join(
            f"{i * APART_S:g} {volts[wire]} {(i + 0.9) * APART_S:g} {volts[wire]}"
            for i, volts in enumerate(steady.values())
        )
        for wire in (0, 1)
    ]
    lines = [
        f"Vt t 0 pwl({waves[0]})", f"Rt t /TIP1 {FEED_OHM}", f"Vr r 0 pwl({waves[1]})", f"Rr r /RING1 {FEED_OHM}",
        f".tran 1m {len(steady) * APART_S:g} 0 1m",
    ]  # fmt: skip
    measures = [f".meas tran v{i} find v(/VM1) at={(i + 0.8) * APART_S:g}" for i in range(len(steady))]
    found = list(run(Deck(netlist, lines, measures, supply)).values())
    at_end = [".meas tran v find v(/VM1) at=19m"]
    found += [run(Deck(netlist, [*around, ".tran 1m 20m"], at_end, supply))["v"] for around in OPEN.values()]
    return {name: share_of(v, supply, drawn_reference()) for name, v in zip((*steady, *OPEN), found, strict=True)}


@cache
def that_move() -> tuple[list[Wrong], list[dict[str, float]]]:
    """The deviations that affect a reading of the handset, with their effects."""
    wrongs = [*all_wrongs(front_end()), *leaks(front_end())]
    found = effects(front_end(), wrongs, handset)
    moving = [(wrong, effect) for wrong, effect in zip(wrongs, found, strict=True) if abs(effect[""]) >= MOVES]
    return [wrong for wrong, _ in moving], [effect for _, effect in moving]


def test_one_end_of_each_part_is_the_worst_of_every_state() -> None:
    """An exchanged pair, and a line with a cut ring, differ only by the reference."""
    wrongs, known = that_move()
    assert {wrong.name for wrong in wrongs} == {
        "vref", *(f"R{i}" for i in (*range(101, 107), 901, 902)), "U101", "U901", "D102", "D103",
    }  # fmt: skip
    for wrong, at_handset, found in zip(wrongs, known, effects(front_end(), wrongs, states), strict=True):
        for state, effect in found.items():
            expected = at_handset[EXCHANGED if state in TURNED else ""]
            assert abs(effect) < MOVES or effect * expected > 0, f"{wrong.name}, {state}"


def test_the_other_parts_move_no_reading() -> None:
    wrongs, _ = that_move()
    names = {wrong.name for wrong in wrongs}
    others = [wrong for wrong in all_wrongs(front_end()) if wrong.name not in names]
    assert len(others) > 50
    before = states(front_end(), Supply())
    for side in (-1, 1):
        at = (front_end(), Supply())
        for wrong in others:
            at = wrong.apply(*at, side)
        moved = {name: abs(share - before[name]) for name, share in states(*at).items()}
        assert max(moved.values()) * meter_span() < LEAST_V, moved


def meter_span() -> float:
    """Volts of the line for the whole reference."""
    return meter_reads(3.0, Supply(), "VREF") - meter_reads(0.0, Supply(), "VREF")


def test_every_steady_state_of_the_lines_table_is_among_them() -> None:
    asked = {(row["battery_v"], row["off_hook_v"]) for rows in LINE for row in rows.states() if "off_hook_v" in row}
    names = STEADY.keys()
    assert {f"{off_v:g} V of {volts:g}" for volts, off_v in asked} <= names
    assert {f"on-hook, {volts:g} V" for volts, _ in asked} <= names


def test_slow_and_fast_are_every_capacitor_at_one_side() -> None:
    for name, corner in corners().items():
        if name != "as drawn":
            ends = all_to_one_side(front_end(), 1 if name.endswith("slow") else -1)
            capacitors = [ref for ref in ends.elements if ref.startswith("C")]
            assert len(capacitors) > 10
            assert all(corner.netlist.elements[ref] == ends.elements[ref] for ref in capacitors), name


def test_converter_and_clock_are_with_them() -> None:
    assert f"{CLOCK * 1e6:g} ppm" in load_kinds()["clock_8MHz"].rating
    assert load_kinds()[CLAMP].rating.startswith(f"{LEAK_A * 1e9:g} nA")
    lowest, highest = corners()["lowest, slow"], corners()["highest, slow"]
    assert (lowest.converter, lowest.clock) == (-highest.converter, -highest.clock)
    assert lowest.converter < 0 < highest.clock
    assert lowest.supply.vref > 3.0 > highest.supply.vref
    assert corners()[f"{EXCHANGED}lowest, slow"].supply.vref < 3.0, "a reading below zero is less with less of it"
