# SPDX-License-Identifier: Apache-2.0
"""The driver of the series contact: it opens while the meter's pin toggles, for 3 s at most, and again only after a
pause.
"""

from __future__ import annotations

from simulation.corners import Wrong, all_to_one_side, all_wrongs, worst
from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run, run_all

NETS = {"/CONTACT1", *(f"/Line1/{net}" for net in ("ca", "cr", "go", "ct", "th", "cg", "ck"))}
REFERENCE = "REFC"
PROBE = ["Vt /TIP1 0 1", "Rload /TIP_TEL1 0 100k"]  # a volt applied behind the closed contact
START_S = 0.05
HALF_MS = 1.0  # the meter toggles the pin with each of its samples
SLOW_MS = 100.0  # a crashed program that still toggles the pin ten times a second
BIAS_A = 20e-9  # input bias of a comparator, of either sign; from memory
MOST_S, LEAST_S = 3.0, 2.0
PAUSE_S = 1.6  # pause after which a new command has no effect yet: the contact stays closed
LONG_PAUSE_S = 5.0


def asked(*windows: tuple[float, float]) -> str:
    """V(asked) is 1 during these windows, in seconds."""
    points = ["0 0"]
    for start, stop in windows:
        points += [f"{start:.6f} 0", f"{start + 1e-6:.6f} 1", f"{stop:.6f} 1", f"{stop + 1e-6:.6f} 0"]
    return f"Vasked asked 0 pwl({' '.join(points)})"


def edges(netlist: Netlist) -> list[Finding]:
    """The pin itself toggles: the delay of the contact, in cold and in heat, with all parts fast and slow."""
    part, stop = driver(netlist), 0.3
    ends = [all_to_one_side(part, -1), all_to_one_side(part, 1)]
    corners = [(part, 27.0), *((each, celsius) for each in ends for celsius in (0.0, 60.0))]
    lines = [*PROBE, *moving(HALF_MS), asked((START_S, stop)), ".tran 1m 0.5 0 1m"]
    measures = [
        f".meas tran opens when v(/TIP_TEL1)=0.5 fall=1 td={START_S}",
        f".meas tran closes when v(/TIP_TEL1)=0.5 rise=last td={stop}",
    ]
    found = run_all(Deck(each, lines, measures, Supply(contact=EDGES), celsius) for each, celsius in corners)
    return [
        over("Contact: open after the first edge", [(e["opens"] - START_S) * 1000 for e in found], "ms", most=80),
        over("Contact: closed after the last edge", [(e["closes"] - stop) * 1000 for e in found], "ms", most=100),
    ]


def bounded(netlist: Netlist) -> list[Finding]:
    """A command without end, with every part of the driver and a comparator's bias at their worst."""
    part = driver(netlist)

    def measure(changed: Netlist, supply: Supply, bias: float = 0) -> dict[str, float]:
        lines = [*PROBE, *forced((START_S, 9)), f"Ibias 0 /Line1/ct {bias:g}", ".tran 2m 3.6 0 2m"]
        measures = [
            f".meas tran opens when v(/TIP_TEL1)=0.5 fall=1 td={START_S}",
            f".meas tran closes when v(/TIP_TEL1)=0.5 rise=1 td={START_S}",
        ]
        found = run(Deck(changed, lines, measures, supply))
        return {"lasts": found["closes"] - found["opens"]}

    nominal, shortest, longest = worst(part, _of_driver(part), measure)["lasts"]
    slack = max(abs(measure(part, Supply(), sign * BIAS_A)["lasts"] - nominal) for sign in (-1, 1))
    lasts = [nominal, shortest - slack, longest + slack]
    return [over("Contact: open under a command without end for", lasts, "s", least=LEAST_S, most=MOST_S)]


def pause(netlist: Netlist) -> list[Finding]:
    """Repeated commands: their total opening time, and that only a pause permits a new opening."""
    part, back = driver(netlist), 2.8
    restarting = [(START_S + i / 2, START_S + i / 2 + 0.45) for i in range(16)]  # a meter that restarts twice a second
    soon, late = back + PAUSE_S, back + LONG_PAUSE_S
    behind = ".meas tran v {how} v(/TIP_TEL1) from={start} to={stop}"
    rhythm, locked, free = run_all([
        Deck(part, [*PROBE, "Bopen open 0 V = V(/TIP_TEL1) < 0.5 ? 1 : 0", *forced(*restarting), ".tran 2m 8 0 2m"],
             [".meas tran s integ v(open) from=0 to=8"]),
        Deck(part, [*PROBE, *forced((START_S, back), (soon, 9)), f".tran 2m {soon + 1} 0 2m"],
             [behind.format(how="min", start=back, stop=soon + 1)]),
        Deck(part, [*PROBE, *forced((START_S, back), (late, 9.9)), f".tran 2m {late + 1} 0 2m"],
             [behind.format(how="max", start=late + 0.1, stop=late + 1)]),
    ])  # fmt: skip
    again = "Contact: asked for again after {:g} s without command, of 1 V behind it"
    return [
        over("Contact: open in 8 s of a command that stops for 50 ms in every 500", [rhythm["s"]], "s", most=MOST_S),
        over(again.format(PAUSE_S), [locked["v"]], "V", least=0.99),
        over(again.format(LONG_PAUSE_S), [free["v"]], "V", most=0.01),
    ]


def dead_meter(netlist: Netlist) -> list[Finding]:
    """A meter that was dead before, or dies during the command with its pin low or high; one that toggles ten times a
    second.
    """
    part, stop = driver(netlist), 0.3
    never = [Deck(part, [*PROBE, asked((START_S, 9)), ".tran 1m 1"], [_least(0.01, 1)], Supply(contact=how))
             for how in ("0", "3.3", "3.3 * V(asked)")]  # fmt: skip
    slowly = [*PROBE, *moving(SLOW_MS), asked((START_S, 9)), ".tran 1m 1"]
    never.append(Deck(part, slowly, [_least(0.01, 1)], Supply(contact=EDGES)))
    lines = [*PROBE, *moving(HALF_MS), asked((START_S, stop)), ".tran 1m 0.5 0 1m"]
    closes = f".meas tran closes when v(/TIP_TEL1)=0.5 rise=last td={stop}"
    stuck_high = f"{EDGES} + 3.3 * (1 - V(asked)) * u(time - {stop})"
    died = run_all(Deck(part, lines, [closes], Supply(contact=how)) for how in (EDGES, stuck_high))
    still = [each["v"] for each in run_all(never)]
    gate = run(Deck(part, [*PROBE, ".tran 1m 0.2"], [".meas tran v max v(/Line1/cg) from=0.1 to=0.2"]))["v"]
    after = [(each["closes"] - stop) * 1000 for each in died]
    return [
        over("Contact: its pin low, high, moved once or slowly, of 1 V behind it", still, "V", least=0.99),
        over("Contact: closed after the meter dies while it is open", after, "ms", most=100),
        over("Contact: the gate of its driver, which may conduct from 0.4 V, at rest", [gate], "V", most=0.2),
    ]


def without_power(netlist: Netlist) -> list[Finding]:
    """The coil's rail, 3.3 V and both fail while the pin toggles; the reference is lost; there is no power at all."""
    part, goes = driver(netlist), 0.3
    falls = f"Vgone gone 0 pwl(0 1 {goes} 1 {goes + 0.01} 0)"
    rails = {"COIL": ("coil2", "Bcoil2 coil2 0 V = 5 * V(gone)"), "+3V3": ("v32", "Bv32 v32 0 V = 3.3 * V(gone)")}
    decks = []
    for lost in (["COIL"], ["+3V3"], ["COIL", "+3V3"]):
        cut, lines = part, [*PROBE, falls, *forced((START_S, 9)), ".tran 1m 0.6 0 1m"]
        for rail in lost:
            name, source = rails[rail]
            cut, lines = cut.renamed(rail, name), [*lines, source]
        decks.append(Deck(cut, lines, [f".meas tran closes when v(/TIP_TEL1)=0.5 rise=last td={goes}"]))
    closes = [(each["closes"] - goes) * 1000 for each in run_all(decks)]
    dark = Deck(part, [*PROBE, ".tran 1m 0.1"], [_least(0.01, 0.1)], Supply(v3=0, v5=0, vref=0, coil=0))
    shorted = [*PROBE, *forced((START_S, 9)), "Rshort short 0 1", ".tran 2m 4 0 2m"]
    late = Deck(part.renamed(REFERENCE, "short"), shorted, [_least(MOST_S + 0.1, 4)])
    return [
        over("Contact: closed after the coil's rail, 3.3 V or both go", closes, "ms", most=100),
        over("Contact: no power at all, of 1 V behind it", [run(dark)["v"]], "V", least=0.99),
        over("Contact: its reference shorted, 3 s later, of 1 V behind it", [run(late)["v"]], "V", least=0.99),
    ]


def coil(netlist: Netlist) -> list[Finding]:
    """The current of one coil, the voltage at its driver at release, and a coil with a broken wire."""
    part = driver(netlist)
    lines = [*PROBE, *forced((START_S, 0.5)), ".tran 20u 0.7 0 50u"]
    measures = [".meas tran i min i(Vcoil) from=0.3 to=0.45", ".meas tran v max v(/Line1/ck) from=0.4 to=0.7"]
    found = run(Deck(part, lines, measures))
    nodes = part.elements["K102"].nodes
    broken = Deck(part.rewired("K102", nodes[0], "cut", *nodes[2:]), [*lines, "Rcut cut 0 1e9"], [_least(0.1, 0.6)])
    return [
        over("Contact: coil", [-found["i"] * 1000], "mA", most=110),
        over("Contact: at its driver, which stands 20 V, when it lets go", [found["v"]], "V", most=10),
        over("Contact: its coil broken, asked for, of 1 V behind it", [run(broken)["v"]], "V", least=0.99),
    ]


def driver(netlist: Netlist) -> Netlist:
    """The driver of line 1's contact, with the references."""
    alone = netlist.touching(NETS)
    return Netlist(alone.elements | {name: each for name, each in netlist.elements.items() if each.sheet == 9})


def forced(*windows: tuple[float, float]) -> list[str]:
    """Edges replaced by the voltage to which they charge the capacitor; thousands of edges take seconds to simulate."""
    return [asked(*windows), "Bforced forced 0 V = 2.2 * V(asked)", "Rforced forced /Line1/cr 100"]


EDGES = "3.3 * V(edges) * V(asked)"


def moving(half_ms: float) -> list[str]:
    return [f"Vedges edges 0 pulse(0 1 0.5m 1u 1u {half_ms:g}m {2 * half_ms:g}m)"]


def _least(start: float, stop: float) -> str:
    return f".meas tran v min v(/TIP_TEL1) from={start:g} to={stop:g}"


def _of_driver(part: Netlist) -> list[Wrong]:
    """The deviations that affect the time: the driver's own parts, and the rails."""
    own = {name for name, each in part.elements.items() if each.sheet == 1}
    return [each for each in all_wrongs(part) if each.kind == "rail" or each.name in own]
