# SPDX-License-Identifier: Apache-2.0
"""Rules for the 12 V entry and the 5 V to the Pi: the fuse carries the card and survives plugging in, the entry's
protection is present and correctly oriented, and no wire is overloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pcb.printed import POLAR
from rules.card import Card, Fitted
from simulation.budget import CONTACT_A, PI_A, rails
from simulation.inrush import ENTRY, PULSES, charging_j

COLD = 1 / 1.15  # share of its resistance in parts.toml, which is that of a warm fuse
PLUG, FUSED, VIN, RETURN = "/supply/plug", "/supply/fused", "/supply/vin", "/supply/ret"
GATE_V = (6.0, 18.0)  # of the diode: the transistor is on at 6 V, its gate stands 20 V (SQJ457EP)
GATE_OHM = (10e3, 1e6)  # limits the current of the gate's diode, and holds the gate against leakage; from memory


def plugged(card: Card) -> Iterator[str]:
    """The fuse carries the card's current at 9 V permanently, and the charge of the capacitors at plug-in.

    Whatever supply and cable are used, the fuse dissipates at most the charging energy in its own resistance: i2t is at
    most that energy divided by its ohms. Too small a fuse has a high resistance and passes this test alone.
    """
    entry = {f"/supply/{net}" for net in ENTRY}
    takes = charging_j(part.kind for net in entry for part in card.on(net, "C"))
    fuses = card.between(PLUG, FUSED, "F")
    if len(fuses) != 1:
        yield f"{len(fuses)} fuses between the plug of 12 V and what is behind it"
    for fuse in fuses:
        i2t = takes / (fuse.kind.ohm * COLD) if fuse.kind.ohm else float("inf")
        most = PULSES * fuse.kind.melts_a2s
        name = f"{fuse.reference} ({fuse.kind.value})"
        if i2t > most:
            yield f"{name}: {i2t:.3g} A2s as it is plugged in, stands {most:.3g} each time"
        if fuse.kind.most_ma < _fused_ma():
            yield f"{name}: carries {fuse.kind.most_ma:.0f} mA for good, the card takes {_fused_ma():.0f}"


@cache
def _fused_ma() -> float:
    return next(rail.gives_ma for rail in rails() if rail.net == FUSED)


def guarded(card: Card) -> Iterator[str]:
    """The suppressor is behind the fuse, the gate's diode and resistor at the transistor, and the capacitor has its
    polarity.
    """
    if not any(_leads(part, RETURN, FUSED) for part in card.of("tvs18")):
        yield f"no suppressor whose cathode is on {FUSED} and whose anode is on {RETURN}"
    for part in card.of("pmos"):
        gate, source = part.nets.get("g", ""), part.nets.get("s", "")
        if not any(_leads(each, gate, source) for each in card.of("zener12")):
            yield f"{part.reference}: no diode of 12 V from its gate to its source, cathode at the source"
        for each in card.between(gate, source, "D"):
            if not GATE_V[0] <= (volts := each.kind.stands_v) <= GATE_V[1]:
                yield f"{each.reference}: holds the gate at {volts:g} V, asked {GATE_V[0]:g} to {GATE_V[1]:g}"
        holds = [each for each in card.between(gate, RETURN, "R") if GATE_OHM[0] <= each.value <= GATE_OHM[1]]
        if len(holds) != 1:
            yield f"{part.reference}: {len(holds)} resistors of 10 kohm to 1 Mohm turn it on, from its gate to {RETURN}"
    for part in card.on(VIN, "C"):
        if part.kind_name in POLAR and part.nets["1"] != VIN:
            yield f"{part.reference}: its plus is not on {VIN}"


def _leads(part: Fitted, anode: str, cathode: str) -> bool:
    return (part.nets.get("a"), part.nets.get("k")) == (anode, cathode)


def carried(card: Card) -> Iterator[str]:
    """Each contact is rated for its share of the Pi's current, there and back."""
    for header in card.of("pi_header"):
        for name, net in (("5V", "+5V"), ("GND", "GND")):
            wires = sum(on == net and pin.startswith(name) for pin, on in header.nets.items())
            if not wires or PI_A / wires >= CONTACT_A:
                good = f"each good for less than {CONTACT_A:g} A"
                yield f"{header.reference}: {PI_A:g} A of {net}, contacts {wires}, {good}"
