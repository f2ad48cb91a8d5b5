# SPDX-License-Identifier: Apache-2.0
"""Simulates the production test of a card: the fixture's signals on a line, and the answers of sound and faulty cards.

The limits of `rows`, figures of the drawing, are the test's limits (firmware/unit/linetap/cardtest/limits.py).
`answers` is one card's answer to all of them; tests use it as a card for the test's program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, nan

from simulation.audio import PLAYING, corners_of
from simulation.converters import DAC_FULL_V, decibels, full_db, meter_reads
from simulation.corners import all_wrongs, worst
from simulation.finding import Finding, over
from simulation.netlist import Element, Netlist
from simulation.oneshot import EDGES, HALF_MS, PROBE, START_S, asked, driver, forced, moving
from simulation.spice import Deck, Supply, run

FED_V, SIDE_OHM, PHONE_OHM = (
    48.0,
    300,
    600,
)  # the fixture: battery, resistance in each wire, telephone
FEED = [f"Vbattery b 0 -{FED_V}", f"Rring b /RING1 {SIDE_OHM}", f"Rtip 0 /TIP1 {SIDE_OHM}"]
REVERSED = [f"Vbattery b 0 -{FED_V}", f"Rtip b /TIP1 {SIDE_OHM}", f"Rring 0 /RING1 {SIDE_OHM}"]
PHONE = [f"Rphone /TIP_TEL1 /RING1 {PHONE_OHM}"]
TONES_HZ = (100, 300, 1000, 3400, 15_000)
MIDDLE_HZ, UPPER_HZ = 1000, 3400
METER_HZ = 1100  # the meter samples 1000 times a second, so this aliases to 100 Hz
LINE_PER_VM = 161
SPARK_V, SPARK_OHM = 450.0, 100_000  # the insulation tester that triggers a thyristor, with a milliampere
MIDDLES = {"middle": "VMID", "half": "V2V5", "edges": "REFC"}
RAIL_5V = (4.75, 5.25)
GIVES = {hz: f".meas ac rx{hz} find vdb(/RX1) at={hz}" for hz in TONES_HZ}
SWEEP = ".ac dec 60 50 20000"


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of line 1. Volts as read by its meter; `echo_db` by frequency, in dB of the played level; times in
    ms.

    `open_ms` is inf if the contact does not close by itself, 0 if it does not open.
    """

    absent_v: float
    fed_v: float
    reversed_v: float
    loop_v: float
    playing_v: float
    open_v: float
    delay_ms: float
    open_ms: float
    echo_db: dict[int, float]
    rest_db: dict[int, float]  # relay not energised
    unarmed_db: dict[int, float]  # relay energised, but no current for the coils
    unarmed_opens: bool
    meter_db: float
    spark_exchange_v: float
    spark_telephone_v: float


def rows(netlist: Netlist) -> list[Finding]:
    """The figures that are in no other row."""
    corners = corners_of(netlist)
    played = [_tones(each, PLAYING) for each in corners]
    silent = [_tones(each, Supply()) for each in corners]
    named = [
        over(f"Production: echo at {hz} Hz, against 1 kHz", [e[hz] - e[MIDDLE_HZ] for e in played], "dB")
        for hz in TONES_HZ
        if hz != MIDDLE_HZ
    ]
    read = [_meter(each) for each in corners]
    sparks = [value for each in corners for value in _sparks(each)]
    return [
        *named,
        over("Production: 1.1 kHz in the meter's reading, in dB of a volt", read, "dB"),
        over("Production: echo at 3400 Hz, the relay open", [each[UPPER_HZ] for each in silent], "dB", most=-90),
        over("Production: a thyristor at a milliampere, the contact open", sparks, "V", least=275, most=400),
    ]


def middles(netlist: Netlist) -> list[Finding]:
    """Voltmeter readings at the pads of the references, with all rails and parts at their worst."""
    part = Netlist({name: each for name, each in netlist.elements.items() if each.sheet == 9})
    measures = [f".meas tran {name} find v({net}) at=2" for name, net in MIDDLES.items()]

    def measure(changed: Netlist, supply: Supply) -> dict[str, float]:
        return _run(changed, [".tran 20m 2.1"], measures, supply)

    wrongs = [each for each in all_wrongs(part) if each.kind == "rail" or each.name in part.elements]
    ends = worst(part, wrongs, measure)
    half = [measure(part, Supply(v5=volts))["half"] for volts in RAIL_5V]
    low, high = ends["half"][1] - ends["half"][0], ends["half"][2] - ends["half"][0]
    return [
        over("References: VMID", list(ends["middle"]), "V", least=1.48, most=1.52),
        over("References: V2V5, with 4.75 to 5.25 V", [half[0] + low, half[1] + high], "V", least=2.3, most=2.7),
        over("References: REFC", list(ends["edges"]), "V", least=1.25, most=1.35),
    ]


def answers(netlist: Netlist) -> Answers:
    delay_ms, open_ms = _opening(netlist)
    loop = [*FEED, *PHONE]
    stuck = _with_contact(netlist, "stuck=1")
    return Answers(
        absent_v=_reads(netlist, []),
        fed_v=_reads(netlist, FEED),
        reversed_v=_reads(netlist, REVERSED),
        loop_v=_reads(netlist, loop),
        playing_v=_reads(netlist, loop, PLAYING),
        open_v=_reads(stuck, loop),
        delay_ms=delay_ms,
        open_ms=open_ms,
        echo_db=_tones(netlist, PLAYING),
        rest_db=_tones(netlist, Supply()),
        unarmed_db=_tones(netlist, Supply(relay=3.3, coil=0)),
        unarmed_opens=_opening(netlist, Supply(contact=EDGES, coil=0))[1] > 0,
        meter_db=_meter(netlist),
        spark_exchange_v=_spark(stuck, "/TIP1"),
        spark_telephone_v=_spark(stuck, "/TIP_TEL1"),
    )


def _with_contact(netlist: Netlist, how: str) -> Netlist:
    return netlist.given({"K102": how}) if "K102" in netlist.elements else netlist


def _reads(netlist: Netlist, around: list[str], supply: Supply | None = None) -> float:
    supply = supply or Supply()
    found = _run(netlist, [*around, ".tran 10m 40m"], [".meas tran vm find v(/VM1) at=35m"], supply)
    return meter_reads(found["vm"], supply)


def _tones(netlist: Netlist, supply: Supply) -> dict[int, float]:
    drive = [*FEED, *PHONE, f"Vtx /TX1 0 dc 0 ac {DAC_FULL_V}", SWEEP]
    found = _run(netlist, drive, list(GIVES.values()), supply)
    return {hz: found[f"rx{hz}"] - full_db() for hz in GIVES}


def _meter(netlist: Netlist) -> float:
    drive = [*FEED, *PHONE, f"Vtx /TX1 0 dc 0 ac {DAC_FULL_V}", SWEEP]
    found = _run(netlist, drive, [f".meas ac vm find vdb(/VM1) at={METER_HZ}"], PLAYING)
    return found["vm"] + decibels(LINE_PER_VM)


def _sparks(netlist: Netlist) -> tuple[float, float]:
    stuck = _with_contact(netlist, "stuck=1")
    return _spark(stuck, "/TIP1"), _spark(stuck, "/TIP_TEL1")


def _spark(netlist: Netlist, tip: str) -> float:
    """The voltage across a pair, from a source that rises slowly and supplies a milliampere or two."""
    source = [f"Vspark a 0 pwl(0 0 0.1 {SPARK_V})", f"Rspark a {tip} {SPARK_OHM}", "Rearth /RING1 0 1u"]
    found = _run(netlist, [*source, ".tran 0.5m 0.15 0 0.5m"], [f".meas tran v find v({tip}) at=0.145"], Supply())
    return found["v"]


def _opening(netlist: Netlist, supply: Supply | None = None) -> tuple[float, float]:
    """The delay after the first edge, and the opening time under endless edges."""
    part, supply = driver(netlist), supply or Supply(contact=EDGES)
    opens = f".meas tran opens when v(/TIP_TEL1)=0.5 fall=1 td={START_S}"
    closes = f".meas tran closes when v(/TIP_TEL1)=0.5 rise=1 td={START_S}"
    soon = _run(part, [*PROBE, *moving(HALF_MS), asked((START_S, 9)), ".tran 1m 0.3 0 1m"], [opens], supply)
    if soon["opens"] != soon["opens"]:
        return nan, 0.0
    long = _run(
        part, [*PROBE, *forced((START_S, 9)), ".tran 2m 3.7 0 2m"], [opens, closes], replace(supply, contact="0")
    )
    lasts = (long["closes"] - long["opens"]) * 1000 if long["closes"] == long["closes"] else inf
    return (soon["opens"] - START_S) * 1000, lasts


def _run(netlist: Netlist, lines: list[str], measures: list[str], supply: Supply) -> dict[str, float]:
    """Runs the netlist with 1 Tohm at each net, because a fault may have left one floating."""
    nets = sorted({node for part in netlist.elements.values() for node in part.nodes} - {"GND"})
    tied = [Element(f"R9{i:05}", (node, "0"), "1e12", subcircuit=False).text() for i, node in enumerate(nets)]
    return run(Deck(netlist, [*tied, *lines], measures, supply))
