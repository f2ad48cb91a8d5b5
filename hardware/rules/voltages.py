# SPDX-License-Identifier: Apache-2.0
"""No part stands on more than it is rated for: the worst that each net can carry, and what hangs on it.

A net that NETS does not name carries what its driver does, which is within its chip's supply; without a driver, what is
at the other ends of its resistors, diodes and capacitors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from rules.barrier import APART
from rules.card import Card, Fitted
from rules.worst import ACROSS, FOR_A_SECOND_V, GROUNDS, LIMITS_V, NETS, SOURCES, TOLERANT, Range

BEYOND_V = 0.3  # of its supply: what a pin of a chip stands
PASSES = {"R", "C", "D", "L", "F", "TVS"}
DRIVES = {"output", "power_out", "bidirectional"}
MOST_ROUNDS = 64


def rated(card: Card) -> Iterator[str]:
    carried = ranges(card)
    for net in unknown(card):
        yield f"{net}: nothing says what it carries (worst.py)"
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


def limited(card: Card) -> Iterator[str]:
    """A suppressor at the return of the 12 V side ends a surge below what the part behind it stands for a second."""
    for kind, (ground, stands) in FOR_A_SECOND_V.items():
        for part in card.of(kind):
            across = card.on(part.nets.get(ground, ""), "D")
            lets = [LIMITS_V[each.kind.value] for each in across if each.kind.value in LIMITS_V]
            if len(lets) != 1 or lets[0] > stands:
                yield f"{part.reference}: its suppressor lets {lets} V through, it stands {stands:g} for a second"


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
    """The worst of every net. One of which nothing is known is at 0 V."""
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
    """By an output, or a pin that may be one."""
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
    """Nets of which nothing is said: a rule over them is none."""
    return [net for net, each in ranges(card).items() if each == Range(0, 0) and net not in GROUNDS]
