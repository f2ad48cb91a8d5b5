# SPDX-License-Identifier: Apache-2.0
"""What is heard and what is played: response, loss, balance, and the level of the notice."""

from __future__ import annotations

from math import log10, nan, sqrt

from drawing.tables import load_kinds
from simulation.corners import all_to_one_side
from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run

# An exchange and a telephone of 600 ohm, 10 V of an off-hook loop between them.
LOOP = ["Vdc x 0 10", "Vac y x dc 0 ac 1", "Rexchange y /TIP1 600", "Rphone /TIP1 /RING1 600", "Rearth /RING1 0 1u"]
HALF = 0.5  # of the exchange's volt, where nothing is bridged
SWEEP = ".ac dec 40 300 3400"
PLAYING = Supply(relay=3.3)
LOW = Supply(relay=3.3, v5=4.75)
FULL_V, REFERENCE_V = 1.0, 0.7746  # rms: what the DAC gives at most, 1.5 V behind the amplifier; 1 mW in 600 ohm


def _corners(netlist: Netlist) -> list[Netlist]:
    return [netlist, all_to_one_side(netlist, -1), all_to_one_side(netlist, 1)]


def response(netlist: Netlist) -> list[Finding]:
    """RX against its own level at 1 kHz, and how much of the line's voltage RX is."""
    measures = [
        ".meas ac least min vdb(/RX1) from=300 to=3400",
        ".meas ac most max vdb(/RX1) from=300 to=3400",
        ".meas ac at_1k find vdb(/RX1) at=1000",
        ".meas ac line find vdb(/TIP1) at=1000",
    ]
    found = [run(Deck(each, [*LOOP, SWEEP], measures)) for each in _corners(netlist)]
    gain = [each["at_1k"] - each["line"] for each in found]
    ripple = [each[end] - each["at_1k"] for each in found for end in ("least", "most")]
    return [
        over("Audio, 300-3400 Hz against 1 kHz", ripple, "dB", least=-0.5, most=0.5),
        over("Receive gain, RX against the line", gain, "dB", least=-9, most=-6),
    ]


def rest(netlist: Netlist) -> list[Finding]:
    """RX with nothing on the line, the amplifier's offset to both sides: it is multiplied by a hundred."""
    offset_v = load_kinds()["opamp"].offset_mv / 1000
    corners = [netlist, *(netlist.given({"U108": f"off={sign * offset_v:.4g}"}) for sign in (-1, 1))]
    found = [run(Deck(each, [*LOOP, ".tran 1m 50m"], [".meas tran rx find v(/RX1) at=40m"])) for each in corners]
    return [over("RX at rest, of 3.3 V", [each["rx"] for each in found], "V", least=1.4, most=1.9)]


def talk(netlist: Netlist) -> list[Finding]:
    """The meter samples at 1 kHz: what is said on the line must not come back as a line that moves."""
    measures = [".meas ac slow find vdb(/VM1) at=20", ".meas ac said find vdb(/VM1) at=3000"]
    found = [run(Deck(each, [*LOOP, ".ac dec 20 10 3400"], measures)) for each in _corners(netlist)]
    below = [each["slow"] - each["said"] for each in found]
    return [over("Talk at 3 kHz in the meter's samples, below what moves at 20 Hz", below, "dB", least=18)]


def insertion(netlist: Netlist) -> list[Finding]:
    """What the telephone loses by our being there."""
    measures = [".meas ac least min vdb(/TIP1) from=300 to=3400"]

    def loss(supply: Supply) -> list[float]:
        found = (run(Deck(each, [*LOOP, SWEEP], measures, supply)) for each in _corners(netlist))
        return [20 * log10(HALF) - each["least"] for each in found]

    return [
        over("Insertion loss, listening", loss(Supply()), "dB", most=0.1),
        over("Insertion loss, while the notice plays", loss(PLAYING), "dB", most=2.5),
    ]


def balance(netlist: Netlist) -> list[Finding]:
    """Both wires moved alike: how little of it becomes a signal between them (47 CFR 68.310), or in RX.

    RX is at two parts of the receive path against each other at the ends of their tolerance.
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


def notice(netlist: Netlist) -> list[Finding]:
    """Full drive, a telephone and an exchange of 600 ohm, so 300 ohm together."""
    load = ["Rexchange /TIP1 /RING1 600", "Rphone /TIP1 /RING1 600", "Rearth /RING1 0 1u"]
    lines = [*load, f"Vtx /TX1 0 dc 0 ac {FULL_V}", SWEEP]
    measures = [".meas ac line find vm(/TIP1) at=1000"]
    corners = _corners(netlist)

    def level(each: Netlist, supply: Supply) -> float:
        line = run(Deck(each, lines, measures, supply))["line"]
        return 20 * log10(line / REFERENCE_V) if line > 0 else nan

    drive = [*load, f"Vtx /TX1 0 sin(0 {FULL_V * sqrt(2):.4f} 1000)", ".tran 10u 80m 0 10u"]
    ends = [".meas tran low min v(/Line1/do) from=60m to=80m", ".meas tran high max v(/Line1/do) from=60m to=80m"]
    swings = [run(Deck(each, drive, ends, LOW)) for each in corners]
    room = [min(each["low"], LOW.v5 - each["high"]) for each in swings]
    played, silent = ([level(each, supply) for each in corners] for supply in (PLAYING, Supply()))
    return [
        over("Notice at full drive into 300 ohm", played, "dBm", least=-10, most=-6),
        over("Notice at full drive: what is left of 4.75 V above and below it", room, "V", least=0.1),
        over("Notice at full drive, the relay open", silent, "dBm", most=-70),
    ]


def neighbour(_netlist: Netlist) -> list[Finding]:
    """A notice on line 1 as line 2 hears it, of what line 1 itself hears: what they share are references and rails.

    Two front ends, so it is read from the drawing whatever front end is asked about.
    """
    both = Netlist.read().line(1, 2)
    lines = [
        *("Rexchange /TIP1 /RING1 600", "Rphone /TIP1 /RING1 600", "Rearth /RING1 0 1u"),
        *("Rexchange2 /TIP2 /RING2 600", "Rphone2 /TIP2 /RING2 600", "Rearth2 /RING2 0 1u"),
        *("Vrelay2 /RELAY2 0 0", "Vtx2 /TX2 0 0", "Rrx2 /RX2 0 100k"),
        *("Rhook2 /HOOK2 0 100k", "Rringing2 /RINGING2 0 100k"),
        f"Vtx /TX1 0 dc 0 ac {FULL_V}",
        SWEEP,
    ]
    measures = [".meas ac own min vdb(/RX1) from=300 to=3400", ".meas ac other max vdb(/RX2) from=300 to=3400"]
    found = run(Deck(both, lines, measures, PLAYING))
    below = found["own"] - found["other"]
    return [over("A notice in the neighbour's RX, below its own (model only)", [below], "dB", least=60)]
