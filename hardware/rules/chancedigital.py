# SPDX-License-Identifier: Apache-2.0
"""Random mistakes of the parts that are only drawn, by kind. A rule has to detect each: no simulation covers them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

from rules.card import Card, Fitted
from rules.changes import Change, joined, more, on, opened, pins, worth
from rules.levels import NOMINAL_V, supplies

Candidates = Iterator[tuple[str, Change]]
UNITS = ((1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))
MORE = ("r1k", "r10k", "c100n", "c1u", "diode")


def _parts(card: Card) -> list[Fitted]:
    return [part for part in card.parts.values() if part.kind.fitted and not part.simulated]


def _by_sheet(card: Card) -> dict[str, list[Fitted]]:
    found: dict[str, list[Fitted]] = {}
    for part in _parts(card):
        found.setdefault(part.sheet, []).append(part)
    return found


def _open_pin(card: Card) -> Candidates:
    for part in _parts(card):
        for pin in part.nets:
            yield f"{part.reference} ({part.kind_name}): {pin} on nothing", opened(part.reference, pin)


def _other_supply(card: Card) -> Candidates:
    """A chip's pin, or a pull-up, on another supply."""
    rails = sorted({*supplies(card), "GND", "COIL", "VREF"})
    for part in _parts(card):
        for pin, net in part.nets.items():
            for other in rails if net in rails and part.symbol in ("R", "box") else []:
                if other not in part.nets.values():
                    yield f"{part.reference} ({part.kind_name}): {pin} on {other}", on(part.reference, **{pin: other})


def _wires_crossed(card: Card) -> Candidates:
    """Two wires exchanged between two parts of a sheet, of which one at least is no resistor or capacitor."""
    for parts in _by_sheet(card).values():
        for one, other in combinations(parts, 2):
            for a, net in one.nets.items() if "box" in (one.symbol, other.symbol) else []:
                for b, far in other.nets.items():
                    if net != far:
                        name = f"{one.reference}.{a} ({net}) and {other.reference}.{b} ({far}) exchanged"
                        yield name, pins(one.reference, a, other.reference, b)


def _net_split(card: Card) -> Candidates:
    """Two pins of a block lose the rest of their net, and stay joined."""
    for net, ends in sorted(card.nets.items()):
        own = [(part, pin) for part, pin in ends if part.kind.fitted and not part.simulated]
        for (one, a), (other, b) in combinations(own, 2):
            if one is not other and one.block == other.block and len(ends) > 3:
                yield f"{net} without {one.reference}.{a} and {other.reference}.{b}", _split(one, a, other, b)


def _split(one: Fitted, a: str, other: Fitted, b: str) -> Change:
    apart = f"{one.nets[a]} apart"
    return lambda card: card.rewired(one.reference, **{a: apart}).rewired(other.reference, **{b: apart})


def _nets_joined(card: Card) -> Candidates:
    """Two nets of any two sheets."""
    nets = sorted({net for part in _parts(card) for net in part.nets.values()})
    for one, other in combinations(nets, 2):
        yield f"{one} and {other} joined, of any sheet", joined(one, other)


def _bridged(card: Card) -> Candidates:
    for part in _parts(card):
        ends = [part.nets["d"], part.nets["s"]] if part.symbol in ("nmos", "pmos") else list(part.nets.values())
        if len(ends) == 2 and ends[0] != ends[1]:
            yield f"{part.reference} ({part.kind_name}) bridged", joined(*sorted(ends, key=lambda net: net != "GND"))


def _one_more(card: Card) -> Candidates:
    for sheet, parts in _by_sheet(card).items():
        for one, other in combinations(sorted({net for part in parts for net in part.nets.values()}), 2):
            for kind in MORE if {one, other} - NOMINAL_V.keys() else []:
                yield f"{kind} added on the sheet {sheet} from {one} to {other}", more(kind, sheet, one, other)


def _turned(card: Card) -> Candidates:
    """A plug or chip with its pins in reverse order or with its rows exchanged; a transistor that is rotated."""
    for part in _parts(card):
        names = [row.name for row in part.kind.pin_rows()]
        rows = [name for pair in zip(names[1::2], names[::2], strict=False) for name in pair]
        for how, order in (("reversed", names[::-1]), ("its rows exchanged", rows), ("rotated", names[1:] + names[:1])):
            if len(part.nets) > 2 and len(order) == len(names):
                yield (
                    f"{part.reference} ({part.kind_name}): {how}",
                    _reordered(part, dict(zip(names, order, strict=True))),
                )


def _reordered(part: Fitted, order: dict[str, str]) -> Change:
    nets = {pin: part.nets[theirs] for pin, theirs in order.items() if theirs in part.nets}
    return lambda card: card.with_nets(part.reference, nets)


def _another_value(card: Card) -> Candidates:
    """A resistor, a coil, or a capacitor that belongs to a signal, ten times too large or too small."""
    rails = supplies(card) | NOMINAL_V.keys()
    for part in _parts(card):
        if part.symbol in ("R", "L", "C") and part.value == part.value and set(part.nets.values()) - rails:
            for factor in (10, 0.1):
                value = _written(part.value * factor)
                yield f"{part.reference} ({part.kind_name}) of {value}", worth(part.reference, value)


def _written(value: float) -> str:
    size, unit = next(each for each in UNITS if value >= 0.999 * each[0])
    return f"{value / size:g}{unit}"


KINDS: tuple[Callable[[Card], Candidates], ...] = (
    _open_pin, _other_supply, _wires_crossed, _net_split, _nets_joined, _bridged, _one_more, _turned, _another_value,
)  # fmt: skip
