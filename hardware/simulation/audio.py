# SPDX-License-Identifier: Apache-2.0
"""Audio requirements: frequency response, level, loss and balance."""

from __future__ import annotations

from math import log10

from drawing.tables import load_kinds
from simulation.converters import REFERENCE_V, captured_db, decibels, of_adc
from simulation.corners import all_to_one_side
from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run

# An exchange and a telephone of 600 ohm, with the 10 V of an off-hook loop between them.
LOOP = ["Vdc x 0 10", "Vac y x dc 0 ac 1", "Rexchange y /TIP1 600", "Rphone /TIP_TEL1 /RING1 600", "Rearth /RING1 0 1u"]
HALF = 0.5  # share of the exchange's volt at the telephone without a card
RINGING_V = 75.0  # rms
SWEEP = ".ac dec 40 300 3400"
PLAYING = Supply(relay=3.3)
LOW = Supply(relay=3.3, v5=4.75)


def corners_of(netlist: Netlist) -> list[Netlist]:
    return [netlist, all_to_one_side(netlist, -1), all_to_one_side(netlist, 1)]


def response(netlist: Netlist) -> list[Finding]:
    """RX relative to its own level at 1 kHz, its share of the line's voltage, and its level in the converter.

    The weakest digit, -26 dBm0 a tone, is detected down to -29 (DtmfNumbers); the loudest, two of -3, reaches full
    scale.
    """
    measures = [
        ".meas ac least min vdb(/RX1) from=300 to=3400",
        ".meas ac most max vdb(/RX1) from=300 to=3400",
        ".meas ac at_1k find vdb(/RX1) at=1000",
        ".meas ac line find vdb(/TIP1) at=1000",
    ]
    found = [run(Deck(each, [*LOOP, SWEEP], measures)) for each in corners_of(netlist)]
    gain = [each["at_1k"] - each["line"] for each in found]
    captured = of_adc([each + captured_db() for each in gain])
    ripple = [each[end] - each["at_1k"] for each in found for end in ("least", "most")]
    return [
        over("Audio, 300-3400 Hz against 1 kHz", ripple, "dB", least=-0.5, most=0.5),
        over("Receive gain, RX against the line", gain, "dB", least=-9, most=-6),
        over("Captured level, against the line's", captured, "dB", least=-3, most=0),
    ]


def ringing_heard(netlist: Netlist) -> list[Finding]:
    """Ringing in dBm0 if RX were not limited: its rails are 11 dB above the converter's full scale.

    There is no requirement: a ringing line is not recorded, and caller ID is sent between the bursts.
    """
    line = ["Vdc x 0 48", "Vac y x dc 0 ac 1", "Rexchange y /RING1 600", "Rearth /TIP1 0 1u", ".ac dec 40 15 100"]
    found = [run(Deck(each, line, [".meas ac rx find vdb(/RX1) at=20"])) for each in corners_of(netlist)]
    levels = [each["rx"] + decibels(RINGING_V / REFERENCE_V) + captured_db() for each in found]
    return [over("Ringing of 75 V at 20 Hz in what is captured, before it is cut off", of_adc(levels), "dBm0")]


def rest(netlist: Netlist) -> list[Finding]:
    """RX of a silent line, with both signs of the amplifier's offset, which is amplified by a hundred."""
    offset_v = load_kinds()["opamp"].offset_mv / 1000
    corners = [netlist, *(netlist.given({"U108": f"off={sign * offset_v:.4g}"}) for sign in (-1, 1))]
    found = [run(Deck(each, [*LOOP, ".tran 1m 50m"], [".meas tran rx find v(/RX1) at=40m"])) for each in corners]
    return [over("RX at rest, of 3.3 V", [each["rx"] for each in found], "V", least=1.25, most=1.75)]


def talk(netlist: Netlist) -> list[Finding]:
    """The meter samples at 1 kHz: speech must not alias into a moving line voltage.

    Both wires move against earth, as each has its own filter.
    """
    line = ["Va a 0 5 ac 0.5", "Vb 0 b 5 ac 0.5", "Ra a /TIP1 300", "Rb b /RING1 300", "Rphone /TIP_TEL1 /RING1 600"]
    measures = [".meas ac slow find vdb(/VM1) at=20", ".meas ac said find vdb(/VM1) at=3000"]
    found = [run(Deck(each, [*line, ".ac dec 20 10 3400"], measures)) for each in corners_of(netlist)]
    below = [each["slow"] - each["said"] for each in found]
    return [over("Talk at 3 kHz in the meter's samples, below what moves at 20 Hz", below, "dB", least=18)]


def insertion(netlist: Netlist) -> list[Finding]:
    """The telephone's loss through the card."""
    measures = [".meas ac least min vdb(/TIP_TEL1) from=300 to=3400"]

    def loss(supply: Supply) -> list[float]:
        found = (run(Deck(each, [*LOOP, SWEEP], measures, supply)) for each in corners_of(netlist))
        return [20 * log10(HALF) - each["least"] for each in found]

    return [
        over("Insertion loss, listening", loss(Supply()), "dB", most=0.1),
        over("Insertion loss, while the notice plays", loss(PLAYING), "dB", most=2.5),
    ]


def balance(netlist: Netlist) -> list[Finding]:
    """A common-mode signal: its conversion to a differential one (47 CFR 68.310), and its level in RX.

    For RX two parts of the receive path are at opposite limits of their tolerance.
    """
    drive = ["Vac y 0 dc 0 ac 1", "Rtip y /TIP1 300", "Rring y /RING1 300", "Epair pair 0 /TIP1 /RING1 1"]
    skew = netlist.scaled({"R118": 1.01, "R119": 1.01, "R120": 0.99, "R121": 0.99, "C106": 1.2, "C107": 0.8})
    skew = skew.scaled({"R122": 1.001, "R123": 0.999, "R124": 1.001, "R125": 0.999, "R126": 0.999, "R127": 1.001})

    def decibels(node: str, supply: Supply) -> list[float]:
        measures = [f".meas ac most max vdb({node}) from=300 to=3400"]
        return [-run(Deck(each, [*drive, SWEEP], measures, supply))["most"] for each in (netlist, skew)]

    return [
        over("Longitudinal balance, listening (model only)", decibels("pair", Supply()), "dB", least=60),
        over("Longitudinal balance, while the notice plays (model only)", decibels("pair", PLAYING), "dB", least=60),
        over("Common mode in RX, below the line's (model only)", decibels("/RX1", Supply()), "dB", least=60),
    ]
