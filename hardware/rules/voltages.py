# SPDX-License-Identifier: Apache-2.0
"""Rules for ratings: no part is exposed to more than its rating at the worst voltages of its nets.

A net outside NETS has the voltage of its driver, within the chip's supply; without a driver, that of the other ends of
its resistors, diodes and capacitors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from rules.barrier import APART
from rules.card import Card, Fitted
from rules.worst import ACROSS, GROUNDS, NETS, SOURCES, TOLERANT, Range

BEYOND_V = 0.3  # permitted voltage of a chip's pin beyond its supply
PASSES = {"R", "C", "D", "L", "F", "TVS"}
DRIVES = {"output", "power_out", "bidirectional"}
MOST_ROUNDS = 64


def rated(card: Card) -> Iterator[str]:
    carried = ranges(card)
    for net in unknown(card):
        yield f"{net}: nothing says what it carries (worst.py)"
    yield from _let_through(card, carried)
    for part in card.parts.values():
        if not part.kind.fitted:
            continue
        if not part.kind.stands_v:
            yield f"{part.reference} ({part.kind.value}): parts.toml does not say what it stands (stands_v)"
            continue
        feeds = {pin for pin in part.nets if part.type_of(pin) == "power_in"}
        for side in APART.get(part.kind_name, (feeds if len(feeds) > 1 else set(part.nets),)):
            found = _across(part, [net for pin, net in part.nets.items() if pin in side], carried)
            if found > part.kind.stands_v:
                yield f"{part.reference} ({part.kind.value}): {found:.3g} V across it, stands {part.kind.stands_v:g}"


def _let_through(card: Card, carried: dict[str, Range]) -> Iterator[str]:
    """Limits a net with a suppressor to its clamping voltage, whatever NETS states."""
    for part in card.parts.values():
        if part.kind.clamps_v:
            said = max(carried[net].high for net in part.nets.values())
            if said < part.kind.clamps_v:
                clamps = f"{part.kind.clamps_v:g} V"
                yield f"{part.reference} ({part.kind.value}): it lets {clamps} through, worst.py has {said:g}"


def within(card: Card) -> Iterator[str]:
    """A pin of a chip stays within its supply."""
    carried = ranges(card)
    for part in card.parts.values():
        feeds = [carried[net] for pin, net in part.nets.items() if part.type_of(pin) == "power_in"]
        if not part.reference.startswith("U") or len(feeds) < 2:
            continue
        low, high = min(each.low for each in feeds) - BEYOND_V, max(each.high for each in feeds) + BEYOND_V
        for pin, net in part.nets.items():
            judged = (part.kind_name, pin) not in TOLERANT and part.type_of(pin) != "power_in"
            if judged and not low <= carried[net].low <= carried[net].high <= high:
                got = f"{carried[net].low:.3g} to {carried[net].high:.3g} V"
                yield f"{part.reference} ({part.kind.value}): {pin} sees {got}, may see {low:.3g} to {high:.3g}"


def _across(part: Fitted, nets: list[str], carried: dict[str, Range]) -> float:
    for pattern, volts, _ in ACROSS:
        if re.fullmatch(pattern, part.reference):
            return volts
    among = [carried[net] for net in set(nets)]
    if part.symbol == "D":  # forward it conducts
        return carried[part.nets["k"]].high - carried[part.nets["a"]].low if {"a", "k"} <= part.nets.keys() else 0.0
    return max((a.high - b.low for a in among for b in among if a is not b), default=0.0)


@lru_cache(1)
def ranges(card: Card) -> dict[str, Range]:
    """The worst voltages of every net; an unknown one is 0 V."""
    known = {net: each for net in card.nets if (each := _named(net))}
    for _ in range(MOST_ROUNDS):
        after = dict(known)
        for net, ends in card.nets.items():
            if net not in known and (said := _driven(ends, known)):
                after[net] = said
        if after == known:
            break
        known = after
    found = dict(known)
    for _ in range(MOST_ROUNDS):
        after = dict(found)
        for part in card.parts.values():
            for net in part.nets.values():
                passes = net not in known and part.symbol in PASSES and len(part.nets) == 2
                if passes and (said := found.get(part.other(net))):
                    after[net] = after[net].over(said) if net in after else said
        if after == found:
            break
        found = after
    return {net: found.get(net, Range(0, 0)) for net in card.nets}


def _named(net: str) -> Range | None:
    return next((Range(low, high) for pattern, low, high, _ in NETS if re.fullmatch(pattern, net)), None)


def _driven(ends: list[tuple[Fitted, str]], known: dict[str, Range]) -> Range | None:
    """The range of an output, or of a pin that may be an output."""
    for part, pin in ends:
        for kind, name, said, _ in SOURCES:
            if part.kind_name == kind and re.fullmatch(name, pin):
                return said
        if part.type_of(pin) in DRIVES:
            feeds = [known[net] for each, net in part.nets.items() if part.type_of(each) == "power_in" and net in known]
            if len(feeds) > 1:
                return Range(min(each.low for each in feeds), max(each.high for each in feeds))
    return None


def unknown(card: Card) -> list[str]:
    """Nets without a known voltage, for which the rule would be void."""
    return [net for net, each in ranges(card).items() if each == Range(0, 0) and net not in GROUNDS]
