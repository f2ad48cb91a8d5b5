# SPDX-License-Identifier: Apache-2.0
"""Rules for relays: a relay operates only if both the meter commands it and the Pi's edges arm the coils' rail.

The chain: edges on ARM_IN -> one-shot -> load switch -> COIL -> a coil -> its transistor -> a pin of the meter.
"""

from __future__ import annotations

from collections.abc import Iterator

from rules.card import Card, Fitted

COIL, GROUND = "COIL", "GND"
RELAYS = ("relay", "relay_closed")
WINDOW_S = (0.2, 1.0)  # the Pi toggles every 0.1 s; relays open within a window after it hangs
HEADER, TERMINAL = "pi_header", "terminal2"
ON_COIL = {"relay", "relay_closed", "diode", "load_switch"}  # kinds permitted on the rail, besides capacitors
PULL_DOWN_OHM = (1e3, 100e3)
GATE_OHM = 10e3
# mA: above the current of eight coils at 5.25 V with 10 % less than their 62 ohm, and below the rest of the 5 A at
# which the cells are charged (R1006), after the full load of card and Pi.
LIMIT_MA = (753.0, 1460.0)


def armed(card: Card) -> Iterator[str]:
    """The load switch alone feeds the coils' rail, and only the one-shot enables it.

    On a card without header the Pi's edges arrive at a terminal (`whole`).
    """
    for part in card.on(COIL):
        if part.symbol not in ("C", "R") and part.kind_name not in ON_COIL:
            yield f"{COIL}: {part.reference} is on it, which is neither coil, diode nor the load switch"
        if part.symbol == "D" and not any(each.kind_name in RELAYS for each in card.on(part.other(COIL))):
            yield f"{COIL}: {part.reference} leads {part.other(COIL)} to it, past the load switch"
    switches, shots = card.of("load_switch"), card.of("oneshot")
    if (len(switches), len(shots)) != (1, 1):
        yield "one load switch and one one-shot arm the relays"
        return
    switch, shot = switches[0].nets, shots[0].nets
    if switch.get("vout") != COIL or switch.get("vin") != "+5V":
        yield "the load switch does not take +5V to COIL"
    yield from _down(card, COIL, "the coils' rail")
    if switch.get("on") != shot.get("q") or {part.kind_name for part in card.on(shot.get("q", ""))} - {
        "oneshot", "load_switch", "r10k"
    }:  # fmt: skip
        yield f"{switch.get('on')}: the load switch hears something else than the one-shot"
    yield from _down(card, shot.get("q", ""), "the load switch")
    source = card.nets.get(shot.get("a", ""), [])
    if card.of(HEADER) and not any(part.kind_name == HEADER and pin.startswith("GPIO") for part, pin in source):
        yield "the one-shot is not triggered by a pin of the Pi"
    if any(part.symbol not in ("R",) and part.kind_name not in (HEADER, TERMINAL, "oneshot") for part, _ in source):
        yield f"{shot.get('a')}: something else than the Pi can trigger the one-shot"
    yield from _down(card, shot.get("a", ""), "the one-shot's input")
    for pin in ("b", "clr"):
        if shot.get(pin) != shot.get("vcc"):
            yield f"the one-shot's {pin} is not at its supply"
    yield from _window(card, shot)


def limited(card: Card) -> Iterator[str]:
    """The load switch limits a short behind it and carries eight coils (SLVS841F, 9.5.1; kohm and mA)."""
    for switch in card.of("load_switch"):
        set_by = [each.value / 1000 for each in card.between(switch.nets.get("ilim", ""), switch.nets["gnd"], "R")]
        if len(set_by) != 1:
            yield f"{switch.reference}: not one resistor says where it limits"
            continue
        least, most = 25230 / (1.01 * set_by[0]) ** 1.016, 22980 / (0.99 * set_by[0]) ** 0.94
        if not LIMIT_MA[0] <= least <= most <= LIMIT_MA[1]:
            asked = f"{LIMIT_MA[0]:g} to {LIMIT_MA[1]:g}"
            yield f"{switch.reference}: limits at {least:.0f} to {most:.0f} mA, asked {asked}"


def lasts_s(card: Card, shot: dict[str, str]) -> float | None:
    """The time of the one-shot by its R and C; its constant is about 1 (SN74LVC1G123, above 10 nF). None if either is
    missing.
    """
    rcext, cext = shot.get("rcext", ""), shot.get("cext", "")
    resistors = card.between(shot.get("vcc", ""), rcext, "R")
    capacitors = card.between(rcext, cext, "C")
    return resistors[0].value * capacitors[0].value if len(resistors) == len(capacitors) == 1 else None


def _window(card: Card, shot: dict[str, str]) -> Iterator[str]:
    lasts = lasts_s(card, shot)
    if lasts is None:
        yield "the one-shot has not one resistor and one capacitor"
    elif not WINDOW_S[0] <= lasts <= WINDOW_S[1]:
        yield f"the one-shot lasts {lasts:.3g} s, asked {WINDOW_S[0]:g} to {WINDOW_S[1]:g}"


def commanded(card: Card) -> Iterator[str]:
    """A coil is connected to COIL and one transistor of its own line, with a diode."""
    for part in card.of(*RELAYS):
        low = part.nets.get("c2", "") if part.nets.get("c1") == COIL else part.nets.get("c1", "")
        if COIL not in (part.nets.get("c1"), part.nets.get("c2")):
            yield f"{part.reference}: its coil does not hang on {COIL}"
        drains = [each for each, pin in card.nets.get(low, []) if each.kind_name == "nmos" and pin == "d"]
        if len(drains) != 1 or drains[0].nets.get("s") != GROUND:
            yield f"{part.reference}: its coil has no transistor to ground of its own"
        if not any(each.nets.get("a") == low and each.nets.get("k") == COIL for each in card.between(low, COIL, "D")):
            yield f"{part.reference}: no diode across its coil"
        others = {each.reference for each in card.on(low) if each.kind_name not in ("nmos", "diode")} - {part.reference}
        if others:
            yield f"{low}: {', '.join(sorted(others))} beside the coil of {part.reference}"
    for transistor in card.of("nmos"):
        if transistor.nets.get("s") != GROUND:
            yield f"{transistor.reference}: its source is not on {GROUND}"
        yield from _gate(card, transistor)


def _gate(card: Card, transistor: Fitted) -> Iterator[str]:
    """The gate is off without a command: pulled down at the gate or before its resistor, or driven by the contact's own
    one-shot.
    """
    gate = transistor.nets.get("g", "")
    if gate in ("", "+3V3", "+5V", COIL):
        yield f"{transistor.reference}: its gate is on {gate or 'nothing'}"
        return
    before = [gate, *(each.other(gate) for each in card.on(gate, "R") if each.value <= GATE_OHM)]
    down = any(each.value <= PULL_DOWN_OHM[1] for net in before for each in card.between(net, GROUND, "R"))
    shot = any(pin == "out" and part.kind_name == "comparator" for part, pin in card.nets[gate])
    if not down and not shot:
        yield f"{transistor.reference}: nothing holds its gate down"


def _down(card: Card, net: str, what: str) -> Iterator[str]:
    if not any(PULL_DOWN_OHM[0] <= each.value <= PULL_DOWN_OHM[1] for each in card.between(net, GROUND, "R")):
        yield f"{what} is not pulled down"
