# SPDX-License-Identifier: Apache-2.0
"""Electrical behaviour of exchanges and telephones on a line, the events that a tap must detect, and VM on the drawn
net.

The calls are those of linetable.py's rows; `shows` names the row. All times are in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from math import sqrt

from simulation.linetable import BREAK_MS, CORNERS_V, FLASH_MS, RING_BATTERY_V, RING_HZ, RING_VRMS, Shown
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, waveform

FEED_OHM = 400  # of each wire
BELOW_V, ABOVE_V = 30, 16  # a battery below the first, or off-hook above the second, requires learning
STEP_MS = 1

Span = tuple[float, float]
Edges = list[tuple[float, float, bool]]  # earliest, latest; off-hook, or ringing


@dataclass(frozen=True, slots=True)
class Call:
    """A call. `lines`: ngspice elements around the card. `hook` and `ring`: the expected edges; `learnt`: on-hook and
    off-hook volts, where the line's limits are not the profile's; `turned`: the seconds of polarity reversals.
    """

    name: str
    lines: Sequence[str]
    seconds: float
    hook: Edges
    ring: Edges = field(default_factory=list)
    learnt: tuple[float, float] | None = None
    turned: Sequence[float] = ()
    shows: Shown = field(default_factory=dict)


def battery(volts: float, turned: Sequence[float] = (), reversed_: bool = False) -> list[str]:
    """A battery on the ring wire, with the tip grounded, reversed at each of `turned`; on the tip if `reversed_`."""
    ring, tip = (0.0, -volts) if reversed_ else (-volts, 0.0)
    points = {"ring": [f"0 {ring:g}"], "tip": [f"0 {tip:g}"]}
    for at in turned:
        points["ring"].append(f"{at:g} {ring:g} {at + 1e-3:g} {tip:g}")
        points["tip"].append(f"{at:g} {tip:g} {at + 1e-3:g} {ring:g}")
        ring, tip = tip, ring
    return [
        f"Vring b 0 pwl({' '.join(points['ring'])})", f"Rring b /RING1 {FEED_OHM}",
        f"Vtip a 0 pwl({' '.join(points['tip'])})", f"Rtip a /TIP1 {FEED_OHM}",
    ]  # fmt: skip


def telephone(ohm: float, closed: Sequence[Span]) -> list[str]:
    """A telephone whose loop is closed during these spans."""
    points = ["0 0"]
    for start, stop in closed:
        points += [f"{start:g} 0", f"{start + 1e-4:.6f} 1", f"{stop:g} 1", f"{stop + 1e-4:.6f} 0"]
    return [
        f"Vk k 0 pwl({' '.join(points)})",
        f"Bphone /TIP_TEL1 /RING1 I = V(/TIP_TEL1,/RING1) / {ohm:g} * V(k)",
    ]


def ohm_for(volts: float, battery_v: float) -> float:
    """The resistance of a telephone that holds a line at `volts`."""
    return 2 * FEED_OHM * volts / (battery_v - volts)


def edges(closed: Sequence[Span], late: float = 0.003) -> Edges:
    """The edges of a loop that closes and opens, with the precision of linetap's dates."""
    return [
        (at - 0.003, at + late, level) for start, stop in closed for at, level in ((start, True), (stop, False))
    ]  # fmt: skip


def answered(name: str, battery_v: float, off_v: float, turned: Sequence[float] = (), reversed_: bool = False) -> Call:
    closed = [(0.35, 0.7)]
    lines = [*battery(battery_v, turned, reversed_), *telephone(ohm_for(off_v, battery_v), closed)]
    ways = ("turns at the answer", "turns back at the end")
    shows: Shown = {"battery_v": battery_v, "off_hook_v": off_v}
    if turned or reversed_:
        shows["polarity"] = "reversed" if reversed_ else ways[len(turned) - 1]
    learnt = (battery_v, off_v) if battery_v < BELOW_V or off_v > ABOVE_V else None
    return Call(name, lines, 0.9, edges(closed), learnt=learnt, turned=turned, shows=shows)


def dialled(break_ms: float, make_ms: float, pulses: int) -> Call:
    break_s, make_s = break_ms / 1000, make_ms / 1000
    opens = [0.5 + i * (break_s + make_s) for i in range(pulses)]
    closed = [(0.3, opens[0]), *((at + break_s, after) for at, after in pairwise([*opens, opens[-1] + 2 * make_s]))]
    closed[-1] = (closed[-1][0], closed[-1][0] + 0.2)
    name = f"{pulses} breaks of {break_ms:g} ms, {make_ms:g} ms apart"
    shows: Shown = {"break_ms": break_ms, "make_ms": make_ms}
    return Call(name, [*battery(48), *telephone(200, closed)], closed[-1][1] + 0.1, edges(closed), shows=shows)


def flashed(open_ms: float) -> Call:
    open_s = open_ms / 1000
    closed = [(0.3, 0.5), (0.5 + open_s, 0.7 + open_s)]
    lines = [*battery(48), *telephone(200, closed)]
    return Call(f"a flash of {open_ms:g} ms", lines, 0.8 + open_s, edges(closed), shows={"flash_ms": open_ms})


def broken(break_ms: float) -> Call:
    """The exchange interrupts its battery while the telephone stays off-hook: linetap must report no edge."""
    ends, closed = 0.6 + break_ms / 1000, [(0.3, 0.8 + break_ms / 1000)]
    lines = [
        "Vring b 0 -48", f"Vw w 0 pwl(0 1 0.6 1 0.6001 0 {ends:g} 0 {ends + 1e-4:g} 1)",
        f"Bring b /RING1 I = V(b,/RING1) / {FEED_OHM} * V(w)", f"Btip 0 /TIP1 I = V(0,/TIP1) / {FEED_OHM} * V(w)",
        *telephone(200, closed),
    ]  # fmt: skip
    name = f"the exchange breaks the loop for {break_ms:g} ms"
    return Call(name, lines, closed[0][1] + 0.2, edges(closed), shows={"loop_break_ms": break_ms})


def bursts(hertz: float, rms: float, battery_v: float, spans: Sequence[Span]) -> list[str]:
    """Ringing on the ring wire during these spans."""
    ringing = " || ".join(f"(time > {begins:g} && time < {ends:g})" for begins, ends in spans)
    return [
        f"Vsine s 0 sin(-{battery_v} {rms * sqrt(2):.6g} {hertz} {spans[0][0]})", f"Vdc g 0 -{battery_v}",
        f"Bfeed b 0 V = ({ringing}) ? V(s) : V(g)", f"Rring b /RING1 {FEED_OHM}", f"Rtip 0 /TIP1 {FEED_OHM}",
    ]  # fmt: skip


def rings(spans: Sequence[Span]) -> Edges:
    return [
        edge for begins, ends in spans for edge in ((begins, begins + 0.11, True), (ends - 0.01, ends + 0.08, False))
    ]


def rung(hertz: float, rms: float, battery_v: float, *spans: Span) -> Call:
    """A ringing line, with bursts during the spans; one of half a second if none is given."""
    spans = spans or ((0.3, 0.8),)
    shows: Shown = {"ring_hz": hertz, "ring_vrms": rms, "battery_v": battery_v}
    name = f"{hertz:g} Hz, {rms:g} V on {battery_v:g} V"
    if len(spans) > 1:
        name += ", in its cadence"
        on_s, off_s = spans[0][1] - spans[0][0], spans[1][0] - spans[0][1]
        shows |= {"ring_on_ms": round(on_s * 1000, 3), "ring_off_ms": round(off_s * 1000, 3)}
    lines = bursts(hertz, rms, battery_v, spans)
    return Call(name, lines, spans[-1][1] + 0.3, [], rings(spans), shows=shows)


def lifted(into_ms: float) -> Call:
    """A handset lifted during a burst of 20 Hz, 75 V on 48 V; the exchange continues to ring for 50 ms."""
    at = 0.3 + into_ms / 1000
    ends = at + 0.05
    lines = [*bursts(20, 75, 48, [(0.3, ends)]), *telephone(200, [(at, 9)])]
    ring: Edges = [(0.3, 0.41, True), (at, ends + 0.08, False)]
    name = f"lifted {into_ms:g} ms into 20 Hz, 75 V"
    shows: Shown = {"ring_hz": 20.0, "into_burst_ms": into_ms}
    return Call(name, lines, ends + 0.3, [(at - 0.003, ends + 0.02, True)], ring, shows=shows)


def cut(which: str, closed: Sequence[Span], hook: Edges) -> Call:
    """Wires cut at 0.5 s, between the exchange and the card."""
    lines = ["Vring b 0 -48", "Vw w 0 pwl(0 1 0.5 1 0.5001 0)", *telephone(200, closed)]
    for wire, node in (("TIP", "0"), ("RING", "b")):
        whole = f"B{wire} {node} /{wire}1 I = V({node},/{wire}1) / {FEED_OHM} * V(w)"
        parts = which in ("both", wire.lower())
        lines.append(whole if parts else f"R{wire} {node} /{wire}1 {FEED_OHM}")
    when = "in a call" if closed else "idle"
    seconds, shows = 1.7 if closed else 2.5, Shown(cut=which)
    return Call(f"{which} cut, {when}", lines, seconds, hook, shows=shows | {"while": when})


CALLS = (
    answered("a call on 48 V", 48, 9.6),
    answered("a call on 56 V, 12 V off-hook", 56, 12),
    answered("a call on 42 V, 6 V off-hook", 42, 6),
    answered("a handset at 5 V", 48, 5),
    answered("a PBX of 24 V, learnt", 24, 6),
    answered("a short loop of 40 V, learnt", 48, 40),
    *(answered(f"{off_v:g} V off-hook on {battery_v:g} V", battery_v, off_v) for battery_v, off_v in CORNERS_V),
    answered("polarity turns at the answer", 48, 9.6, turned=[0.5]),
    answered("polarity turns at the answer, and back", 48, 9.6, turned=[0.4, 0.6]),
    answered("a call on a pair that is exchanged", 48, 9.6, reversed_=True),
    dialled(60, 40, 10),
    dialled(50, 50, 3),
    dialled(30, 70, 3),
    dialled(BREAK_MS[0], 85, 3),
    dialled(BREAK_MS[1], 100, 2),
    *map(flashed, (*FLASH_MS, 1250)),
    *map(broken, (250, 900)),
    *(rung(*each) for each in product(RING_HZ, RING_VRMS, RING_BATTERY_V)),
    rung(20, 75, 48),
    rung(20, 75, 48, (0.3, 1.3), (3.3, 4.3)),
    *(lifted(200 + i * 12.5) for i in range(4)),
    cut("both", [], []),
    cut("tip", [], []),
    cut("ring", [], []),
    cut("both", [(0.35, 9)], [(0.347, 0.353, True), (1.45, 1.56, False)]),
    Call("no line at all", ["Rt /TIP1 0 1e12", "Rr /RING1 0 1e12"], 0.9, [], shows={"cut": "both", "while": "always"}),
)


def vm(call: Call, netlist: Netlist, supply: Supply) -> list[tuple[float, float]]:
    """(second, volts) on the meter's pin, at the simulator's steps."""
    lines = [*call.lines, f".tran {STEP_MS}m {call.seconds:g} 0 {STEP_MS}m"]
    return waveform(Deck(netlist, lines, [], supply), "/VM1")
