# SPDX-License-Identifier: Apache-2.0
"""Pulse dialling at the meter's input; and the relay, which closes only by command."""

from __future__ import annotations

from simulation.corners import all_to_one_side
from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run, run_all

EXCHANGE = ["Vbattery b 0 -48", "Rring b /RING1 400", "Rtip 0 /TIP1 400"]
TELEPHONE_OHM = 200
METER_LIMIT_V = 1.5 + 21 / 161  # between off-hook and on-hook, as learned by the meter


def telephone(closed: list[tuple[float, float]]) -> list[str]:
    """A telephone whose loop is closed during these spans, in seconds."""
    points = ["0 0"]
    for start, stop in closed:
        points += [f"{start} 0", f"{start + 1e-4:.6f} 1", f"{stop} 1", f"{stop + 1e-4:.6f} 0"]
    return [
        f"Vk k 0 pwl({' '.join(points)})",
        f"Bphone /TIP_TEL1 /RING1 I = V(/TIP_TEL1,/RING1) / {TELEPHONE_OHM} * V(k)",
    ]


def pulses(netlist: Netlist) -> list[Finding]:
    """A zero at 10 pulses a second, 60 ms open and 40 ms closed: VM, sampled by the meter, follows."""
    breaks = [0.6 + i / 10 for i in range(10)]
    closed = [(0.3, breaks[0]), *((at + 0.06, at + 0.1) for at in breaks[:-1]), (breaks[-1] + 0.06, 2.2)]
    lines = [*EXCHANGE, *telephone(closed), ".tran 0.2m 2.6 0 0.2m"]
    level = f"v(/VM1)={METER_LIMIT_V:.5f}"
    measures = [f".meas tran open{i} when {level} rise={i} td=0.55" for i in range(1, 11)]
    measures += [f".meas tran shut{i} when {level} fall={i} td=0.55" for i in range(1, 11)]
    corners = [netlist, all_to_one_side(netlist, -1), all_to_one_side(netlist, 1)]
    found = run_all(Deck(each, lines, measures) for each in corners)
    lengths = [(each[f"shut{i}"] - each[f"open{i}"]) * 1000 for each in found for i in range(1, 11)]
    return [over("Meter: ten breaks of 60 ms at 10 pps read as", lengths, "ms", least=58, most=62)]


def relay(netlist: Netlist) -> list[Finding]:
    """From tip to the notice transformer: closed only if the pin is high and the coil rail armed."""
    ways = {
        "closed": Supply(relay=3.3),
        "pin low": Supply(),
        "not armed": Supply(relay=3.3, coil=0),
    }
    lines = ["Vt /TIP1 0 1", "Rr /RING1 0 1e9", ".tran 10m 1"]
    measures = [".meas tran v find v(/Line1/na) at=1", ".meas tran i find i(Vcoil) at=1"]
    load = ["Rload /Line1/na 0 100k"]
    found = {name: run(Deck(netlist, [*lines, *load], measures, supply)) for name, supply in ways.items()}
    # A floating pin may still leak a microampere.
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
        over("Relay: coil", [-found["closed"]["i"] * 1000], "mA", most=110),
    ]
