# SPDX-License-Identifier: Apache-2.0
"""The changes that turn the card into a wrong one: each is a function of the card."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from drawing.tables import Kind, load_kinds
from rules.card import Card, Fitted

Change = Callable[[Card], Card]


@cache
def _kinds() -> dict[str, Kind]:
    return load_kinds()


def pins(one: str, a: str, other: str, b: str) -> Change:
    return lambda card: card.exchanged((one, a), (other, b))


def on(reference: str, **nets: str) -> Change:
    return lambda card: card.rewired(reference, **nets)


def places(one: str, other: str) -> Change:
    return lambda card: card.refitted(one, other)


def gone(*references: str) -> Change:
    return lambda card: card.without(*references)


def opened(reference: str, pin: str) -> Change:
    return lambda card: card.opened(reference, pin)


def worth(reference: str, value: str) -> Change:
    return lambda card: card.revalued(reference, value)


def sheet(reference: str, **fields: float | str) -> Change:
    return lambda card: card.specified(reference, **fields)


def joined(one: str, other: str) -> Change:
    return lambda card: card.bridged(one, other)


def more(kind_name: str, sheet: str, *nets: str) -> Change:
    """One more part with two pins on a sheet."""

    def change(card: Card) -> Card:
        kind = _kinds()[kind_name]
        pins = dict(zip((row.name for row in kind.pin_rows()), nets, strict=True))
        part = Fitted(f"{kind.symbol}99", sheet, kind_name, kind, pins, False, "")
        return Card(card.parts | {part.reference: part})

    return change
