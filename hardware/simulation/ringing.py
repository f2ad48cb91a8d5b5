# SPDX-License-Identifier: Apache-2.0
"""A ringing line: seen, never taken for a lifted handset, and not loaded."""

from __future__ import annotations

from itertools import product
from math import sqrt

from simulation.corners import all_to_one_side
from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.spice import Deck, run_all

FREQUENCIES_HZ = (15.3, 17.0, 20.0, 25.0, 68.0)  # ringer types A and B of 47 CFR 68.312
VOLTS_RMS = (40.0, 75.0, 110.0, 150.0)
BATTERIES_V = (42.0, 48.0, 56.0)
ENDS = list(product((15.3, 68.0), (40.0, 150.0), (42.0, 56.0)))
SEEN_S = 0.15  # what the recorder, too, calls a burst
STARTS_S, BURST_S, END_S = 0.4, 0.6, 1.6


def ringing(netlist: Netlist) -> list[Finding]:
    """All 60 combinations as drawn; their ends with every part slow, and with every part fast."""
    combinations = [(netlist, *each) for each in product(FREQUENCIES_HZ, VOLTS_RMS, BATTERIES_V)]
    for sign in (-1, 1):
        combinations += [(all_to_one_side(netlist, sign), *each) for each in ENDS]
    return _findings(combinations)


def ends_of_ringing(netlist: Netlist) -> list[Finding]:
    """The same at the ends alone, as drawn: enough to show that a wrong part is found."""
    return _findings([(netlist, *each) for each in ENDS])


def an_end_of_ringing(netlist: Netlist, end: tuple[float, float, float]) -> list[Finding]:
    """One of `ENDS`: a finding over all of them holds where it holds at each."""
    return _findings([(netlist, *end)])


def _findings(combinations: list[tuple[Netlist, float, float, float]]) -> list[Finding]:
    found = run_all(_deck(*each) for each in combinations)
    seen = [(each["seen"] - STARTS_S) * 1000 for each in found]
    over_after = [(each["gone"] - STARTS_S - BURST_S) * 1000 for each in found]
    return [
        over(
            "Ringing: DC drawn",
            [abs(each[f"dc_{wire}"]) * 1e6 for each in found for wire in ("tip", "ring")],
            "uA",
            most=3000,
        ),
        over(
            "Ringing, 15.3-68 Hz, 40-150 Vrms: the HOOK pin at its lowest",
            [each["hook"] for each in found],
            "V",
            least=2.5,
        ),
        over("Ringing seen after", seen, "ms", most=SEEN_S * 1000),
        over(
            "Ringing: the pin RINGING at its lowest in a burst, once seen", [e["steady"] for e in found], "V", least=2.5
        ),
        over("Ringing over, seen after", over_after, "ms", most=500),
    ]


def _deck(netlist: Netlist, hertz: float, volts: float, battery: float) -> Deck:
    """The exchange rings on the ring wire, on top of its battery."""
    peak = volts * sqrt(2)
    lines = [
        f"Vring a 0 sin(-{battery} {peak:.6g} {hertz} {STARTS_S})",
        f"Vbattery b 0 -{battery}",
        f"Bfeed c 0 V = time < {STARTS_S + BURST_S} ? V(a) : V(b)",
        "Vwire c f 0", "Rring f /RING1 400", "Vtip e 0 0", "Rtip e /TIP1 400",
        f".tran 0.2m {END_S} 0 0.5m",
    ]  # fmt: skip
    periods = int((BURST_S - 0.1) * hertz) / hertz
    measures = [
        f".meas tran dc_ring avg i(Vwire) from={STARTS_S + 0.1} to={STARTS_S + 0.1 + periods:.6f}",
        f".meas tran dc_tip avg i(Vtip) from={STARTS_S + 0.1} to={STARTS_S + 0.1 + periods:.6f}",
        f".meas tran hook min v(/HOOK1) from={STARTS_S} to={END_S}",
        f".meas tran seen when v(/RINGING1)=1.65 rise=1 td={STARTS_S}",
        f".meas tran steady min v(/RINGING1) from={STARTS_S + SEEN_S} to={STARTS_S + BURST_S}",
        f".meas tran gone when v(/RINGING1)=1.65 fall=last td={STARTS_S}",
    ]
    return Deck(netlist, lines, measures)
