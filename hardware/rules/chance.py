# SPDX-License-Identifier: Apache-2.0
"""Random cards with one mistake each: chosen by a hash of the mistake's own text, so that a change of the drawing
changes few of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import combinations

from rules.card import Card, Fitted
from rules.chancedigital import KINDS
from rules.changes import Change, gone, joined, on, pins, places

SEED = "1"
OF_CHANCE = 48
OF_EACH = 18
ONE_OF_EIGHT = re.compile(r"Line[2-8]$")
SYMMETRIC = {"R", "C", "F", "TVS"}


def of_chance(card: Card, count: int = OF_CHANCE) -> dict[str, Change]:
    """Random mistakes, the same number of each kind, on line 1 and the parts shared by lines; and of each kind of
    chancedigital.py on the parts that are only drawn, which no simulation covers.
    """
    kinds = (_two_pins, _another_net, _two_places, _one_gone, _two_nets)
    found = {name: change for kind in kinds for name, change in drawn(kind(card), count // len(kinds) + 1)}
    return found | {name: change for kind in KINDS for name, change in drawn(kind(card), OF_EACH)}


def drawn(candidates: Iterator[tuple[str, Change]], count: int, seed: str = SEED) -> list[tuple[str, Change]]:
    return sorted(candidates, key=lambda each: hashlib.sha256((seed + each[0]).encode()).digest())[:count]


def _parts(card: Card) -> list[Fitted]:
    return [part for part in card.parts.values() if part.kind.fitted and not ONE_OF_EIGHT.match(part.sheet)]


def _two_pins(card: Card) -> Iterator[tuple[str, Change]]:
    for part in _parts(card):
        if part.symbol not in SYMMETRIC:
            for a, b in combinations(part.nets, 2):
                if part.nets[a] != part.nets[b]:
                    yield (
                        f"{part.reference} ({part.kind_name}): {a} and {b} exchanged",
                        pins(part.reference, a, part.reference, b),
                    )


def _another_net(card: Card) -> Iterator[tuple[str, Change]]:
    nets = _nets_of_sheets(card)
    for part in _parts(card):
        for pin, net in part.nets.items():
            for other in nets[part.sheet]:
                if other not in part.nets.values():
                    yield (
                        f"{part.reference} ({part.kind_name}): {pin} on {other}, not {net}",
                        on(part.reference, **{pin: other}),
                    )


def _two_places(card: Card) -> Iterator[tuple[str, Change]]:
    for one, other in combinations(_parts(card), 2):
        alike = (one.sheet, one.symbol, one.nets.keys()) == (other.sheet, other.symbol, other.nets.keys())
        if alike and one.kind_name != other.kind_name and one.symbol != "box":
            yield (
                f"{one.reference} ({one.kind_name}) and {other.reference} ({other.kind_name}) exchanged",
                places(one.reference, other.reference),
            )


def _one_gone(card: Card) -> Iterator[tuple[str, Change]]:
    for part in _parts(card):
        yield f"{part.reference} ({part.kind_name}) gone", gone(part.reference)


def _two_nets(card: Card) -> Iterator[tuple[str, Change]]:
    for nets in _nets_of_sheets(card).values():
        for one, other in combinations(nets, 2):
            yield f"{one} and {other} joined", joined(one, other)


def _nets_of_sheets(card: Card) -> dict[str, list[str]]:
    nets: dict[str, set[str]] = {}
    for part in _parts(card):
        nets.setdefault(part.sheet, set()).update(part.nets.values())
    return {sheet: sorted(found) for sheet, found in sorted(nets.items())}


BENIGN: tuple[tuple[str, str], ...] = (  # random mistakes that no rule reports, and why that is right
    (r"C\d+ \(c(100n|1u|10u)\) gone", "one capacitor of several at its supply: noise, which no row asks for"),
    (r"C1(08|09) \(c47p\) gone", "keeps radio out of the receive amplifier: far above what is simulated"),
    (r"C\d+ \(c(1u|10u)\) and C\d+ \(c(1u|10u)\) exchanged", "each is enough in the place of the other"),
    (
        r"R14(05|06|07) \(r10k\) of (1k|100k)",
        "holds a gate: 3.3 mA of a pin of the Pi, or 0.1 V of its 1 uA of leakage",
    ),
    (
        r"R11\d\d \(r1k\) of (10k|100)$",
        "the meter's own filter, at 1.6 or 160 kHz: the reading has one of 257 Hz before it",
    ),
    (
        r"C11\d\d \(c10n\) of (1n|100n)",
        "the meter's own filter, at 1.6 or 160 kHz: the reading has one of 257 Hz before it",
    ),
    (r"C12\d\d \(c1u\) of 10u", "an input or a reference of a converter that settles in a second in place of 0.1 s"),
    (r"R1409 \(r10k\) of 100k", "the button's level is then 0.99 of 3.3 V in place of 0.91"),
    (
        r"R1005 \(r100k\) of (10k|1M)",
        "the gate's current is 1.7 mA, within 370 mW of its diode, or 17 uA above its leakage",
    ),
    (r"R1001 \(r10k\) of (1k|100k)", "3.3 mA into an open drain, or 0.3 V of 3 uA of leakage at an input of 3.3 V"),
    (r"R100[34] \(r10k\) of (1k|100k)", "holds an input down: 3.3 mA of its driver, or 0.5 V of 5 uA of leakage"),
    (r"R1109 \(r10k\) of 100k", "beside the 40 kohm that the part has itself: 28 kohm"),
    (r"C1109 \(c100n\) of (10n|1u)", "the reset comes after 0.1 or 10 ms in place of 1"),
    (r"R1408 \(r1k\) of 100$", "the button gives 33 mA into a pin only if that drives low, which no program does"),
    (r"C10(01|11) \(c10u_50V\) of 1u", "the other of the two has 10 uF"),
    (r"C(1001|1011|1014|121[128]|1308) \(c10u\w*\) of 100u", "more than its chip asks for; it settles in seconds"),
    (r"C1515 \(c1u\) of 10u", "the most that USB 2.0 permits at a plug (7.2.4.1)"),
    (r"R1506 \(r10k\) of 100k", "0.3 V of 3 uA of leakage at an input of 3.3 V"),
    (r"C\d+ \(c(100n|10u)(_\d+)?\) and C\d+ \(c\1(_\d+)?\) exchanged", "the same in another case"),
)


def benign(name: str) -> str | None:
    return next((why for pattern, why in BENIGN if re.match(pattern, name)), None)
