# SPDX-License-Identifier: Apache-2.0
"""Ringing: the load on the line is small, and the meter's input follows it on both sides of the battery."""

from __future__ import annotations

from itertools import product
from math import sqrt

from simulation.converters import meter_reads
from simulation.corners import all_to_one_side
from simulation.finding import Finding, over
from simulation.linetable import RING_BATTERY_V, RING_HZ, RING_VRMS
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run_all

FREQUENCIES_HZ = (15.3, 17.0, 20.0, 25.0, 68.0)  # ringer types A and B of 47 CFR 68.312
VOLTS_RMS = (40.0, 75.0, 110.0, 150.0)
BATTERIES_V = (42.0, 48.0, 56.0)
ENDS = list(product(RING_HZ, RING_VRMS, RING_BATTERY_V))
STARTS_S, BURST_S, END_S = 0.2, 0.6, 0.8
PEAK_V = 30.0  # to either side of the mean: the profile's ring_peak_v


def ringing(netlist: Netlist) -> list[Finding]:
    """All 60 combinations with nominal parts; their limits with every part slow, and with every part fast."""
    combinations = [(netlist, *each) for each in product(FREQUENCIES_HZ, VOLTS_RMS, BATTERIES_V)]
    for sign in (-1, 1):
        combinations += [(all_to_one_side(netlist, sign), *each) for each in ENDS]
    return _findings(combinations)


def ends_of_ringing(netlist: Netlist) -> list[Finding]:
    """The same only at the limits, with nominal parts: enough to show that a wrong part is found."""
    return _findings([(netlist, *each) for each in ENDS])


def an_end_of_ringing(netlist: Netlist, end: tuple[float, float, float]) -> list[Finding]:
    """One of `ENDS`: a finding over all of them holds if it holds at each."""
    return _findings([(netlist, *end)])


def _findings(combinations: list[tuple[Netlist, float, float, float]]) -> list[Finding]:
    found = run_all(_deck(*each) for each in combinations)
    supply = Supply()
    swing = [(meter_reads(e["high"], supply) - meter_reads(e["low"], supply)) / 2 for e in found]
    return [
        over(
            "Ringing: DC drawn",
            [abs(each[f"dc_{wire}"]) * 1e6 for each in found for wire in ("tip", "ring")],
            "uA",
            most=3000,
        ),
        over("Ringing, 15.3-68 Hz, 40-150 Vrms: half the swing that the meter reads", swing, "V", least=PEAK_V),
    ]


def _deck(netlist: Netlist, hertz: float, volts: float, battery: float) -> Deck:
    """The exchange rings on the ring wire, superposed on its battery."""
    peak = volts * sqrt(2)
    lines = [
        f"Vring a 0 sin(-{battery} {peak:.6g} {hertz} {STARTS_S})",
        f"Vbattery b 0 -{battery}",
        f"Bfeed c 0 V = time < {STARTS_S + BURST_S} ? V(a) : V(b)",
        "Vwire c f 0", "Rring f /RING1 400", "Vtip e 0 0", "Rtip e /TIP1 400",
        f".tran 0.2m {END_S} 0 0.5m",
    ]  # fmt: skip
    periods = int((BURST_S - 0.1) * hertz) / hertz
    window = f"from={STARTS_S + 0.1} to={STARTS_S + 0.1 + periods:.6f}"
    measures = [
        f".meas tran dc_ring avg i(Vwire) {window}",
        f".meas tran dc_tip avg i(Vtip) {window}",
        f".meas tran high max v(/VM1) {window}",
        f".meas tran low min v(/VM1) {window}",
    ]
    return Deck(netlist, lines, measures)
