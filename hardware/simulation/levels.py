# SPDX-License-Identifier: Apache-2.0
"""Static figures: the load on an idle line, and the accuracy of the meter's voltages."""

from __future__ import annotations

from simulation.converters import meter_reads
from simulation.corners import Wrong, all_to_one_side, all_wrongs, worst
from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run, run_all

MEGOHM = 1e6
NO_LINE_V, OFF_BELOW_V = 3.0, 16.0  # the meter's limits for no line, and for off-hook (meter-protocol.md)
LEAST_LOOP_V = 5.0  # of a handset at the end of a short loop
FED_V = 24.0  # half a battery: the voltage of both wires against ground
PAIR = ["Et /TIP1 m d 0 0.5", "Er m /RING1 d 0 0.5", f"Vm m 0 -{FED_V}"]  # V(d) is tip against ring


def dc_load(netlist: Netlist) -> list[Finding]:
    """47 CFR 68.312: the load on an idle line. Resistances at their low limit, both polarities."""
    low = all_to_one_side(netlist, -1)
    pair = ("Vt /TIP1 m {half}", "Vr m /RING1 {half}", "Rm m 0 1e12")
    leads = ("Vt /TIP1 0 {whole}", "Rr /RING1 0 1e12"), ("Vt /RING1 0 {whole}", "Rr /TIP1 0 1e12")

    def resistance(lines: tuple[str, ...], volts: float) -> float:
        around = [line.format(half=volts / 2, whole=volts) for line in lines]
        found = run(Deck(low, [*around, ".tran 10m 1"], [".meas tran i find i(Vt) at=1"]))
        return abs(volts / found["i"]) / MEGOHM

    across = {volts: [resistance(pair, volts), resistance(pair, -volts)] for volts in (100, 200)}
    to_earth = [resistance(lead, volts) for lead in leads for volts in (100, -100, 200, -200)]
    return [
        over("On-hook resistance, tip to ring, 100 V", across[100], "Mohm", least=5),
        over("On-hook resistance, tip to ring, 200 V", across[200], "Mohm", least=0.03),
        over("On-hook resistance, a lead to earth, 100 and 200 V", to_earth, "Mohm", least=5),
    ]


def metering(netlist: Netlist, reference: str | None = None) -> list[Finding]:
    """The meter's reading of a steady line against the truth, before `linetap line learn` has corrected offsets: the
    converter's code, converted to volts with the program's own constants.
    """
    levels = (-56, -48, -LEAST_LOOP_V, 0, LEAST_LOOP_V, 12, 24, 40, 48, 56)
    wave = " ".join(f"{i / 10:g} {level} {i / 10 + 0.09:g} {level}" for i, level in enumerate(levels))
    lines = [f"Vd d 0 pwl({wave})", *PAIR, f".tran 1m {len(levels) / 10:g} 0 1m"]
    measures = [f".meas tran v{i} find v(/VM1) at={i / 10 + 0.08:g}" for i in range(len(levels))]

    def measure(changed: Netlist, supply: Supply) -> dict[str, float]:
        found = run(Deck(changed, lines, measures, supply))
        read = {level: meter_reads(found[f"v{i}"], supply, reference) for i, level in enumerate(levels)}
        errors = {f"at {level}": value - level for level, value in read.items()}
        handset = {f"handset {sign}": abs(read[sign * LEAST_LOOP_V]) for sign in (-1, 1)}
        return errors | handset | {"24 from 12": read[24] - read[12], "48 from 40": read[48] - read[40]}

    ends = worst(netlist, _of_levels(netlist), measure)
    open_ends = worst(netlist, _of_levels(netlist), lambda changed, supply: _open(changed, supply, reference))
    handset = [*ends["handset -1"], *ends["handset 1"]]
    errors = [value for name, three in ends.items() if name.startswith("at ") for value in three]
    return [
        over("Meter: error from -56 to 56 V, nothing learned", errors, "V", least=-3, most=3),
        over("Meter: a line that is not there reads", list(open_ends["both"]), "V", least=-NO_LINE_V, most=NO_LINE_V),
        over("Meter: a line with its tip cut reads", list(open_ends["tip"]), "V", least=OFF_BELOW_V),
        over("Meter: a handset at 5 V, off-hook, reads", handset, "V", least=NO_LINE_V, most=OFF_BELOW_V),
        over("Meter: 24 V PBX on-hook, above 12 V off-hook by", list(ends["24 from 12"]), "V", least=10),
        over("Meter: 48 V on-hook, above a short loop's 40 V by", list(ends["48 from 40"]), "V", least=6),
    ]


def as_drawn(netlist: Netlist) -> list[Finding]:
    """The same with nominal parts: fast, and sufficient to find a wrong part."""
    lines = ["Vd d 0 {volts}", *PAIR, ".tran 1m 0.1 0 1m"]
    at = (-48, -LEAST_LOOP_V, 0, 48)
    decks = [Deck(netlist, [each.format(volts=v) for each in lines], [".meas tran v find v(/VM1) at=0.09"]) for v in at]
    read = [meter_reads(found["v"], Supply()) - volts for found, volts in zip(run_all(decks), at, strict=True)]
    empty = [value for value in _open(netlist, Supply(), None).items() if value[0] == "both"]
    return [
        over("Meter, as drawn: error from -48 to 48 V", read, "V", least=-1, most=1),
        over("Meter, as drawn: a line that is not there reads", [v for _, v in empty], "V", least=-1, most=1),
    ]


def _open(netlist: Netlist, supply: Supply, reference: str | None) -> dict[str, float]:
    """Both wires cut: below 3 V there is no line. Only the tip cut: the battery on the ring is still measured."""
    ways = {
        "both": ["Rt /TIP1 0 1e12", "Rr /RING1 0 1e12"],
        "tip": ["Rt /TIP1 0 1e12", "Vr b 0 -48", "Rr b /RING1 400"],
    }
    read = {}
    for name, lines in ways.items():
        found = run(Deck(netlist, [*lines, ".tran 1m 0.1 0 1m"], [".meas tran v find v(/VM1) at=0.09"], supply))
        read[name] = meter_reads(found["v"], supply, reference)
    return read


def _of_levels(netlist: Netlist) -> list[Wrong]:
    """The deviations that affect a reading."""
    resistors = {f"R{i}" for i in (*range(101, 107), *range(901, 904))}
    amplifiers = {"U101", "U901"}
    return [each for each in all_wrongs(netlist) if each.name in resistors | amplifiers or each.kind == "rail"]
