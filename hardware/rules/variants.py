# SPDX-License-Identifier: Apache-2.0
"""Rules for the parts that every variant has: barrier, protection of the lines, contact, watchdog of the relays.

The other rules check the fitted parts; they cannot detect a missing one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from drawing.project import LINES
from rules.card import Card

OF_A_LINE = {  # kind: the number on each line, and the purpose
    "fuse": (3, "open at a power cross"),
    "sidactor": (2, "hold a surge, before the contact and behind it"),
    "hv_4M99": (4, "are the barrier of the reading"),
    "transformer": (2, "are the barrier of receiver and notice"),
    "r24k_pulse": (4, "bound a surge in the receiver"),
    "c47n_y2": (2, "keep the line's dc from the receiver's transformer"),
    "r510_pulse": (2, "bound a surge in the notice's transformer"),
    "c2u2_400V": (1, "keeps the line's dc from the notice's transformer"),
    "rail_clamp": (2, "clamp the reading"),
    "clamp5": (1, "clamps the notice's driver"),
    "relay": (1, "is the barrier's open gap"),
    "relay_closed": (1, "is the series contact"),
    "nmos": (2, "drive the two relays"),
    "comparator": (2, "bound an opening to 3 s"),
    "c2u2_time": (1, "bounds an opening to 3 s"),
}
OF_A_CARD = {
    "meter": (1, "reads the lines, and commands relays and contacts"),
    "oneshot": (1, "is the relays' watchdog"),
    "load_switch": (1, "is what the watchdog switches"),
    "rj21": (2, "are the lines' plugs, with the contacts between them"),
    "buck": (1, "keeps the 12 V side apart"),
    "holdup": (1, "outlasts a power cut, and tells it"),
    "reference": (1, "is what the reading is measured against"),
    "hub": (1, "joins meter and codec to the Pi"),
    "tvs18": (1, "holds a surge at the entry"),
    "fuse_5A": (1, "opens at a short of the entry"),
}
ON_THE_HEADER = ("eeprom", "rtc", "rs232", "db9")
HEADER, PI_SUPPLY = "pi_header", "PI3V3"
ARM_OUT, ARM_IN = "header4", "terminal2"


def protected(card: Card) -> Iterator[str]:
    """The required parts are present, counted by line and on the card."""
    for line in range(1, LINES + 1):
        here = Counter(part.kind_name for part in card.parts.values() if part.sheet == f"Line{line}")
        for kind, (asked, why) in OF_A_LINE.items():
            if here[kind] != asked:
                yield f"line {line}: {here[kind]} of {asked} {kind}, which {why}"
    all_ = Counter(part.kind_name for part in card.parts.values())
    for kind, (asked, why) in OF_A_CARD.items():
        if all_[kind] != asked:
            yield f"{all_[kind]} of {asked} {kind}, which {why}"


def whole(card: Card) -> Iterator[str]:
    """The Pi's header is fitted with all its parts, or with none of them. ARM always has its terminal."""
    headers = card.of(HEADER)
    for kind in ON_THE_HEADER:
        if (found := len(card.of(kind))) != len(headers):
            yield f"{len(headers)} headers of the Pi, and {found} {kind}"
    for part in card.on(PI_SUPPLY):
        if part.reference.startswith("U") and part.kind_name not in ON_THE_HEADER:
            yield f"{part.reference} hangs on {PI_SUPPLY}, which a card beside card 1 has not"
    if not headers:
        for part in card.on(PI_SUPPLY):
            yield f"{part.reference} hangs on {PI_SUPPLY}, which nothing brings here"
    pins = {net for part in headers for pin, net in part.nets.items() if pin.startswith("GPIO")}
    gives = [part for part in card.of(ARM_OUT) if pins & set(part.nets.values())]
    if len(gives) != len(headers):
        yield f"{len(headers)} headers of the Pi, and {len(gives)} plugs that give ARM to other cards"
    for shot in card.of("oneshot"):
        if not any(part.kind_name == ARM_IN for part in card.on(shot.nets.get("a", ""))):
            yield f"{shot.reference}: no terminal takes ARM"
