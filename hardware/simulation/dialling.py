# SPDX-License-Identifier: Apache-2.0
"""A handset that is lifted, dials with pulses, flashes and is put down; and the relay, which only a command closes."""

from __future__ import annotations

from simulation.corners import all_to_one_side
from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run, run_all

EXCHANGE = ["Vbattery b 0 -48", "Rring b /RING1 400", "Rtip 0 /TIP1 400"]
TELEPHONE_OHM = 200
METER_LIMIT_V = 1.5 + 21 / 161  # between off-hook and on-hook, as the meter would have learned it


def telephone(closed: list[tuple[float, float]]) -> list[str]:
    """A loop that is closed from and to, in seconds."""
    points = ["0 0"]
    for start, stop in closed:
        points += [f"{start} 0", f"{start + 1e-4:.6f} 1", f"{stop} 1", f"{stop + 1e-4:.6f} 0"]
    return [
        f"Vk k 0 pwl({' '.join(points)})",
        f"Bphone /TIP_TEL1 /RING1 I = V(/TIP_TEL1,/RING1) / {TELEPHONE_OHM} * V(k)",
    ]


def hook_latency(netlist: Netlist) -> list[Finding]:
    """One lifted handset, as drawn and with all delays at their ends, in the cold and in the heat of a closet."""
    ends = [all_to_one_side(netlist, -1), all_to_one_side(netlist, 1)]
    corners = [(netlist, 27), *((each, celsius) for each in ends for celsius in (-20, 60))]
    lines = [*EXCHANGE, *telephone([(0.5, 1.0)]), ".tran 0.5m 1.4 0 0.5m"]
    measures = [
        ".meas tran off when v(/HOOK1)=1.65 fall=1 td=0.4",
        ".meas tran on when v(/HOOK1)=1.65 rise=last td=0.4",
        ".meas tran ringing max v(/RINGING1) from=0.4 to=1.4",
    ]
    found = run_all(Deck(each, lines, measures, celsius=celsius) for each, celsius in corners)
    return [
        over("HOOK pin: off-hook after", [(each["off"] - 0.5) * 1000 for each in found], "ms", least=35, most=75),
        over("HOOK pin: on-hook after", [(each["on"] - 1.0) * 1000 for each in found], "ms", most=5),
        over(
            "Lifting and hanging up taken for ringing: the pin at its highest",
            [e["ringing"] for e in found],
            "V",
            most=0.5,
        ),
    ]


def answer(netlist: Netlist) -> list[Finding]:
    """A handset lifted in the middle of a burst, which the exchange rings on for 200 ms: at the start and the end of
    what it may ring with.
    """
    lifted, rings_until = 0.6, 0.8
    decks = []
    for corner in (netlist, all_to_one_side(netlist, -1), all_to_one_side(netlist, 1)):
        for hertz, peak in ((15.3, 57), (20, 106), (68, 212)):
            lines = [
                f"Vring b 0 sin(-48 {peak} {hertz} 0.2)",
                f"Bfeed c 0 V = time < {rings_until} ? V(b) : -48",
                "Rring c /RING1 400", "Rtip 0 /TIP1 400", *telephone([(lifted, 1.4)]), ".tran 0.5m 1.2 0 0.5m",
            ]  # fmt: skip
            measures = [
                f".meas tran off when v(/HOOK1)=1.65 fall=last td={lifted}",
                ".meas tran stays max v(/HOOK1) from=1.0 to=1.2",
                f".meas tran early min v(/HOOK1) from=0.1 to={lifted}",
            ]
            decks.append(Deck(corner, lines, measures))
    found = run_all(decks)
    after = [(each["off"] - rings_until) * 1000 for each in found]
    return [
        over("HOOK pin: answered in a burst, off-hook after the last of the ringing", after, "ms", most=75),
        over("HOOK pin: the burst before it, the pin at its lowest", [each["early"] for each in found], "V", least=2.5),
        over("HOOK pin: the call after it, the pin at its highest", [each["stays"] for each in found], "V", most=0.8),
    ]


def pulses(netlist: Netlist) -> list[Finding]:
    """A zero at 10 pulses a second, 60 ms open and 40 ms closed: the meter's VM follows, the pin cannot."""
    breaks = [0.6 + i / 10 for i in range(10)]
    closed = [(0.3, breaks[0]), *((at + 0.06, at + 0.1) for at in breaks[:-1]), (breaks[-1] + 0.06, 2.2)]
    lines = [*EXCHANGE, *telephone(closed), ".tran 0.2m 2.6 0 0.2m"]
    level = f"v(/VM1)={METER_LIMIT_V:.5f}"
    measures = [f".meas tran open{i} when {level} rise={i} td=0.55" for i in range(1, 11)]
    measures += [f".meas tran shut{i} when {level} fall={i} td=0.55" for i in range(1, 11)]
    measures += [
        ".meas tran pin min v(/HOOK1) from=0.605 to=1.56",
        ".meas tran back when v(/HOOK1)=1.65 fall=last td=1.5",
    ]
    corners = [netlist, all_to_one_side(netlist, -1), all_to_one_side(netlist, 1)]
    found = run_all(Deck(each, lines, measures) for each in corners)
    lengths = [(each[f"shut{i}"] - each[f"open{i}"]) * 1000 for each in found for i in range(1, 11)]
    back = [(each["back"] - closed[-1][0]) * 1000 for each in found]
    return [
        over("Meter: ten breaks of 60 ms at 10 pps read as", lengths, "ms", least=58, most=62),
        over(
            "HOOK pin while dialling, as drawn, at its lowest: 40 ms makes pass by", [found[0]["pin"]], "V", least=2.5
        ),
        over("HOOK pin: off-hook again after dialling", back, "ms", most=75),
    ]


def flash(netlist: Netlist) -> list[Finding]:
    """A flash is longer on the pin by the latency, and remains one."""
    measures = [
        ".meas tran open when v(/HOOK1)=1.65 rise=last td=0.8",
        ".meas tran shut when v(/HOOK1)=1.65 fall=last td=0.8",
    ]
    longer = []
    for corner in (netlist, all_to_one_side(netlist, -1), all_to_one_side(netlist, 1)):
        for length in (0.3, 1.0):
            lines = [*EXCHANGE, *telephone([(0.3, 1.0), (1.0 + length, 2.6)]), ".tran 0.5m 2.6 0 0.5m"]
            found = run(Deck(corner, lines, measures))
            longer.append((found["shut"] - found["open"] - length) * 1000)
    return [over("HOOK pin: a flash of 300 or 1000 ms is longer by", longer, "ms", least=30, most=75)]


def relay(netlist: Netlist) -> list[Finding]:
    """From tip to the notice transformer: closed by the pin and an armed coil rail, and by nothing less."""
    ways = {
        "closed": Supply(relay=3.3),
        "pin low": Supply(),
        "not armed": Supply(relay=3.3, coil=0),
    }
    lines = ["Vt /TIP1 0 1", "Rr /RING1 0 1e9", ".tran 10m 1"]
    measures = [".meas tran v find v(/Line1/na) at=1", ".meas tran i find i(Vcoil) at=1"]
    load = ["Rload /Line1/na 0 100k"]
    found = {name: run(Deck(netlist, [*lines, *load], measures, supply)) for name, supply in ways.items()}
    # A pin that nothing drives may still leak a microampere.
    floating = [*lines, *load, "Rleak +3V3 floating 3Meg"]
    found["pin floating"] = run(Deck(netlist.renamed("/RELAY1", "floating"), floating, measures))
    falling = ["Vpin pin 0 pwl(0 3.3 10m 3.3 10.001m 0)", ".tran 10u 40m 0 10u"]
    kick = run(
        Deck(
            netlist.renamed("/RELAY1", "pin"), [*lines[:2], *falling], [".meas tran v max v(/Line1/kd) from=9m to=40m"]
        )
    )
    opened = [each["v"] for name, each in found.items() if name != "closed"]
    return [
        over("Relay: commanded and armed, of 1 V behind the contact", [found["closed"]["v"]], "V", least=0.99),
        over("Relay: pin low, pin floating, or not armed, of 1 V behind the contact", opened, "V", most=0.01),
        over("Relay: at its driver, which stands 20 V, when it opens", [kick["v"]], "V", most=10),
        over("Relay: coil", [-found["closed"]["i"] * 1000], "mA", most=50),
    ]
