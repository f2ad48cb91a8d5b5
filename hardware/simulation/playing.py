# SPDX-License-Identifier: Apache-2.0
"""Playback: the level of the notice on the line, in the captured audio, and on the adjacent line."""

from __future__ import annotations

from math import nan, sqrt

from linetap.config.numbers import NoticeNumbers
from linetap_core.codecs.g711 import FULL_SCALE_DBM0
from simulation.audio import PLAYING, SWEEP, corners_of
from simulation.converters import DAC_FULL_V, REFERENCE_V, dac_most_v, decibels, full_db, of_adc, of_dac
from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run, run_all

LOW = Supply(relay=3.3, v5=4.75)
# An exchange and a telephone of 600 ohm on a line, i.e. 300 ohm together.
LOAD = ["Rexchange /TIP1 /RING1 600", "Rphone /TIP_TEL1 /RING1 600", "Rearth /RING1 0 1u"]
ALONE = ["Rexchange /TIP1 /RING1 600", "Rearth /RING1 0 1u"]
MOST_DBU = -9.0  # 47 CFR 68.308: -9 dBm on average over 3 s into 600 ohm, where dBm and dBu are one
SPOKEN_DBM0 = -16.0  # notices/importer.py
OUTPUTS = ("do", "eo")
BESIDE = [
    *("Rexchange2 /TIP2 /RING2 600", "Rphone2 /TIP_TEL2 /RING2 600", "Rearth2 /RING2 0 1u"),
    *(
        "Vrelay2 /RELAY2 0 0",
        "Vcontact2 /CONTACT2 0 0",
        "Vtx2 /TX2 0 0",
        "Rrx2 /RX2 0 1Meg",
        "Crx2 /RX2 adc2 1u",
        "Radc2 adc2 0 10k",
    ),
]
# Assumed: a metre of ribbon with one wire of each pair side by side, 50 pF; rails of 0.2 ohm; amplifiers with 80 dB
# supply rejection. The board's copper is not modelled.
WIRES_BESIDE = "Cbeside /TIP1 /TIP2 50p"
RAILS_OHM = 0.2
DRIVERS = ("U109", "U112", "U209", "U212")
REJECTION = {"U108": "psr=1e-4", "U208": "psr=1e-4", **dict.fromkeys(DRIVERS, "psr=1e-4 rail=5")}


def notice(netlist: Netlist) -> list[Finding]:
    """Full drive into 300 ohm. The echo's requirement: proofs search to 20 dB below the line's echo level."""
    lines = [*LOAD, f"Vtx /TX1 0 dc 0 ac {DAC_FULL_V}", SWEEP]
    measures = [".meas ac line find vm(/TIP1) at=1000", ".meas ac rx find vm(/RX1) at=1000"]
    corners = corners_of(netlist)

    def levels(supply: Supply) -> list[tuple[float, float]]:
        """dBu on the line, and dB of the captured signal relative to the played one."""
        found = [run(Deck(each, lines, measures, supply)) for each in corners]
        return [(_db(each["line"]) - decibels(REFERENCE_V), _db(each["rx"]) - full_db()) for each in found]

    drive = [*LOAD, f"Vtx /TX1 0 sin(0 {dac_most_v() * sqrt(2):.4f} 1000)", ".tran 10u 80m 0 10u"]
    ends = [
        f".meas tran {how}_{out} {how} v(/Line1/{out}) from=60m to=80m" for out in OUTPUTS for how in ("min", "max")
    ]
    swings = [run(Deck(each, drive, ends, LOW)) for each in corners]
    room = [min(each[f"min_{out}"], LOW.v5 - each[f"max_{out}"]) for each in swings for out in OUTPUTS]

    def mean(load: list[str]) -> list[float]:
        """The level of a notice on the line, at the limits of the gain."""
        decks = [Deck(each, [*load, *lines[len(LOAD) :]], measures[:1], PLAYING) for each in corners]
        spoken = SPOKEN_DBM0 + NoticeNumbers().most_gain_db - FULL_SCALE_DBM0
        return of_dac([decibels(found["line"] / REFERENCE_V) + spoken for found in run_all(decks)])

    played, silent = levels(PLAYING), levels(Supply())
    echo = of_adc(of_dac([captured for _, captured in played]))
    return [
        over("Notice at full drive into 300 ohm", of_dac([line for line, _ in played]), "dBu", least=-5, most=-1),
        over(
            "Notice spoken at -16 dBm0, raised as far as it may be, 300 ohm",
            mean(LOAD),
            "dBu",
            least=-18,
            most=MOST_DBU,
        ),
        over("Notice spoken at -16 dBm0, raised as far as it may be, 600 ohm", mean(ALONE), "dBu", most=MOST_DBU),
        over("Notice in what is captured, against as it is played", echo, "dB", least=-20, most=0),
        over("Notice at full drive: what is left of 4.75 V above and below it", room, "V", least=0.1),
        over("Notice at full drive, the relay open", [line for line, _ in silent], "dBu", most=-70),
    ]


def _db(volts: float) -> float:
    return decibels(volts) if volts > 0 else nan


def neighbour(_netlist: Netlist) -> list[Finding]:
    """A notice on line 1 as captured on line 2, relative to line 1: through references, rails and wires.

    It needs two front ends, so it is read from the drawing whatever netlist is given.
    """
    both = Netlist.read().line(1, 2).given(REJECTION)
    lines = [*LOAD, *BESIDE, WIRES_BESIDE, f"Vtx /TX1 0 dc 0 ac {DAC_FULL_V}", SWEEP]
    measures = [".meas ac own min vdb(/RX1) from=300 to=3400", ".meas ac other max vdb(/RX2) from=300 to=3400"]
    found = run(Deck(both, lines, measures, Supply(relay=3.3, ohm=RAILS_OHM)))
    below = found["own"] - found["other"]
    return [over("A notice in the neighbour's RX, below its own (model only)", [below], "dB", least=60)]
