# SPDX-License-Identifier: Apache-2.0
"""Maps the meter's pins, and edges on ARM, to nets of the drawn card: which net a pin drives, and when it is high."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from linetap_core.clock import NS_PER_S
from linetap_core.errors import BadInput
from rules.card import Card
from rules.relays import lasts_s

Levels = list[tuple[float, bool]]  # (second, its new level); low before the first


def meter_pins(card: Card) -> dict[str, tuple[str, int]]:
    """Net -> (port, pin), of each net on a pin of one of the meter's ports: /RELAY1 is on GPIOB's 8."""
    (meter,) = card.of("meter")
    return {
        meter.nets[row.name]: (f"GPIO{row.number[1]}", int(row.number[2:]))
        for row in meter.kind.pin_rows()
        if row.name in meter.nets and row.number[0] == "P"
    }


def levels(changes: Iterable[tuple[int, int]], pin: int) -> Levels:
    """The levels of one pin, from a port's (ns, all pins driven high)."""
    found: Levels = []
    for ns, driven in changes:
        high = bool(driven >> pin & 1)
        if high != (bool(found) and found[-1][1]):
            found.append((ns / NS_PER_S, high))
    return found


def moves(found: Levels, still_s: float = 0.005) -> list[tuple[float, float]]:
    """Spans in which a pin toggles: each ends when it is stable for `still_s`."""
    spans: list[tuple[float, float]] = []
    for at, _ in found:
        if spans and at - spans[-1][1] < still_s:
            spans[-1] = spans[-1][0], at
        else:
            spans.append((at, at))
    return spans


def coils(card: Card, arm: Levels) -> Levels:
    """Times at which the coils have their rail, from the edges of one pin of the Pi. The one-shot starts, or restarts,
    at each falling edge: A of the SN74LV123A with B and CLR high (TI SCLS393P); that the SN74LVC1G123 is alike is from
    memory.
    """
    (shot,) = card.of("oneshot")
    lasts = lasts_s(card, shot.nets)
    if lasts is None:
        raise BadInput("the one-shot that arms the relays has not one resistor and one capacitor")
    falls = [at for (_, before), (at, level) in pairwise(arm) if before and not level]
    found: Levels = []
    for at in falls:
        if found and at <= found[-1][0]:
            found.pop()
        else:
            found.append((at, True))
        found.append((at + lasts, False))
    return found
