# SPDX-License-Identifier: Apache-2.0
"""What exchanges and telephones do on a line, and what a tap must make of it; and VM meanwhile, on the drawn net.

Batteries of 24 to 56 V, 5 to 40 V off-hook, ringing of 15.3 to 68 Hz and 40 to 150 Vrms, flashes of 300 to 1000 ms,
pulses of 15 to 200 ms, polarity turned, wires cut. Seconds throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from math import sqrt

from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, waveform

FEED_OHM = 400  # of each wire
HERTZ, VOLTS_RMS, BATTERIES_V = (15.3, 68.0), (40.0, 150.0), (42.0, 56.0)
STEP_MS = 1

Span = tuple[float, float]
Edges = list[tuple[float, float, bool]]  # no earlier than, no later than; off-hook, or ringing


@dataclass(frozen=True, slots=True)
class Call:
    """`lines`: of ngspice, around the card. `hook` and `ring`: what must come of it; `learnt`: on-hook and off-hook
    volts, where the line's limits are not the profile's; `turned`: the second at which polarity turns.
    """

    name: str
    lines: Sequence[str]
    seconds: float
    hook: Edges
    ring: Edges = field(default_factory=list)
    learnt: tuple[float, float] | None = None
    turned: float | None = None


def battery(volts: float, turned: float | None = None) -> list[str]:
    """On the ring wire, the tip grounded, until it is `turned`."""
    at = 1e9 if turned is None else turned
    return [
        f"Vring b 0 pwl(0 -{volts} {at:g} -{volts} {at + 1e-3:g} 0)", f"Rring b /RING1 {FEED_OHM}",
        f"Vtip a 0 pwl(0 0 {at:g} 0 {at + 1e-3:g} -{volts})", f"Rtip a /TIP1 {FEED_OHM}",
    ]  # fmt: skip


def telephone(ohm: float, closed: Sequence[Span]) -> list[str]:
    """A loop that is closed from and to."""
    points = ["0 0"]
    for start, stop in closed:
        points += [f"{start:g} 0", f"{start + 1e-4:.6f} 1", f"{stop:g} 1", f"{stop + 1e-4:.6f} 0"]
    return [
        f"Vk k 0 pwl({' '.join(points)})",
        f"Bphone /TIP_TEL1 /RING1 I = V(/TIP_TEL1,/RING1) / {ohm:g} * V(k)",
    ]


def ohm_for(volts: float, battery_v: float) -> float:
    """Of a telephone that holds a line at `volts`."""
    return 2 * FEED_OHM * volts / (battery_v - volts)


def edges(closed: Sequence[Span], late: float = 0.003) -> Edges:
    """Of a loop that closes and opens: linetap dates them by the millisecond in which it happened."""
    return [
        (at - 0.003, at + late, level) for start, stop in closed for at, level in ((start, True), (stop, False))
    ]  # fmt: skip


def answered(name: str, battery_v: float, off_v: float, learnt: bool = False, turned: float | None = None) -> Call:
    closed = [(0.35, 0.7)]
    lines = [*battery(battery_v, turned), *telephone(ohm_for(off_v, battery_v), closed)]
    return Call(name, lines, 0.9, edges(closed), learnt=(battery_v, off_v) if learnt else None, turned=turned)


def dialled(name: str, break_s: float, make_s: float, pulses: int) -> Call:
    opens = [0.5 + i * (break_s + make_s) for i in range(pulses)]
    closed = [(0.3, opens[0]), *((at + break_s, after) for at, after in pairwise([*opens, opens[-1] + 2 * make_s]))]
    closed[-1] = (closed[-1][0], closed[-1][0] + 0.2)
    return Call(name, [*battery(48), *telephone(200, closed)], closed[-1][1] + 0.1, edges(closed))


def flashed(open_s: float) -> Call:
    closed = [(0.3, 0.5), (0.5 + open_s, 0.7 + open_s)]
    name = f"a flash of {open_s * 1000:g} ms"
    return Call(name, [*battery(48), *telephone(200, closed)], 0.8 + open_s, edges(closed))


def rung(hertz: float, rms: float, battery_v: float, lifted: float | None = None) -> Call:
    """A burst from 0.3 s; over a telephone that is lifted meanwhile the exchange rings for 50 ms more."""
    begins, ends = 0.3, 0.8 if lifted is None else lifted + 0.05
    lines = [
        f"Vsine s 0 sin(-{battery_v} {rms * sqrt(2):.6g} {hertz} {begins})", f"Vdc g 0 -{battery_v}",
        f"Bfeed b 0 V = time < {ends} ? V(s) : V(g)", f"Rring b /RING1 {FEED_OHM}", f"Rtip 0 /TIP1 {FEED_OHM}",
    ]  # fmt: skip
    over = ends - 0.01 if lifted is None else lifted
    rings: Edges = [(begins, begins + 0.11, True), (over, ends + 0.08, False)]
    if lifted is None:
        return Call(f"{hertz:g} Hz, {rms:g} V on {battery_v:g} V", lines, ends + 0.3, [], rings)
    lines += telephone(200, [(lifted, 9)])
    name = f"lifted {(lifted - begins) * 1000:g} ms into {hertz:g} Hz, {rms:g} V"
    return Call(name, lines, ends + 0.3, [(lifted - 0.003, ends + 0.02, True)], rings)


def cut(name: str, wires: Sequence[str], closed: Sequence[Span], hook: Edges) -> Call:
    """Wires that part at 0.5 s, between the exchange and the card."""
    lines = ["Vring b 0 -48", "Vw w 0 pwl(0 1 0.5 1 0.5001 0)", *telephone(200, closed)]
    for wire, node in (("TIP", "0"), ("RING", "b")):
        whole = f"B{wire} {node} /{wire}1 I = V({node},/{wire}1) / {FEED_OHM} * V(w)"
        lines.append(whole if wire in wires else f"R{wire} {node} /{wire}1 {FEED_OHM}")
    return Call(name, lines, 1.7 if closed else 2.5, hook)


CALLS = (
    answered("a call on 48 V", 48, 9.6),
    answered("a call on 56 V, 12 V off-hook", 56, 12),
    answered("a call on 42 V, 6 V off-hook", 42, 6),
    answered("a handset at 5 V", 48, 5),
    answered("a PBX of 24 V, learnt", 24, 6, learnt=True),
    answered("a short loop of 40 V, learnt", 48, 40, learnt=True),
    answered("polarity turns at the answer", 48, 9.6, turned=0.5),
    dialled("10 pulses a second, 60 to 40", 0.06, 0.04, 10),
    dialled("10 pulses a second, 50 to 50", 0.05, 0.05, 3),
    dialled("breaks of 30 ms", 0.03, 0.07, 3),
    dialled("breaks of 15 ms", 0.015, 0.085, 3),
    dialled("breaks of 200 ms", 0.2, 0.1, 2),
    flashed(0.3),
    flashed(1.0),
    *(rung(*each) for each in product(HERTZ, VOLTS_RMS, BATTERIES_V)),
    *(rung(20, 75, 48, lifted=0.5 + i * 0.0125) for i in range(4)),
    cut("a line that is cut while idle", ("TIP", "RING"), [], []),
    cut("its tip cut while idle", ("TIP",), [], []),
    cut("a line that is cut in a call", ("TIP", "RING"), [(0.35, 9)], [(0.347, 0.353, True), (1.45, 1.56, False)]),
    Call("no line at all", ["Rt /TIP1 0 1e12", "Rr /RING1 0 1e12"], 0.9, []),
)


def vm(call: Call, netlist: Netlist, supply: Supply) -> list[tuple[float, float]]:
    """(second, volts) on the meter's pin, as dense as the simulator thinks right."""
    lines = [*call.lines, f".tran {STEP_MS}m {call.seconds:g} 0 {STEP_MS}m"]
    return waveform(Deck(netlist, lines, [], supply), "/VM1")
