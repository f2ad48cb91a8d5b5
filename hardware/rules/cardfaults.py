# SPDX-License-Identifier: Apache-2.0
"""Lists every single fault of the card outside lines and references, for which faults.py simulates each part.

A fault is defined by IEC 62841-1, 18.6.1 (read in an excerpt): any terminal open, any two terminals of a part joined,
and for an integrated circuit each possible output signal: here stuck high and stuck low. faulttable.py states each
fault's effect on a line's nets (simulated by linestates.py) and how it is detected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from rules.card import Card, Fitted

SUPPLIES = {"GND", "+3V3", "+5V", "COIL", "VREF", "PI3V3"}
SHARED = {  # the nets between a line and the rest of the card
    "GND", "+3V3", "+5V", "COIL", "VMID", "V2V5", "REFC", "/VM1", "/RX1", "/TX1", "/RELAY1", "/CONTACT1",
    "/TIP1", "/RING1", "/TIP_TEL1",
}  # fmt: skip
OUTPUTS = {"output", "power_out", "bidirectional", "open_collector"}
JOINED_APART = {  # kind of a plug: difference in number of its adjacent contacts, and the facing contacts
    "rj21": (1, 25),
    "pi_header": (1, 2),
}


def faults(card: Card) -> Iterator[str]:
    for part in card.parts.values():
        if part.kind.fitted and not part.simulated:
            yield from _of(part)


def joined(card: Card, fault: str) -> set[str]:
    """The nets shared with the lines, under line 1's names, that the fault drives wrongly or joins to another net.

    A supply is stronger than a signal: it is included only if it is joined to ground or another supply.
    """
    where, how = fault.rsplit(" ", 1)
    if how == "open":
        return set()
    reference, _, pins = where.partition(" " if " " in where else ".")
    part = card.parts[reference]
    nets = {part.nets[pin] for pin in pins.split("-")} if pins else set(part.nets.values())
    shared = {re.sub(r"^(/[A-Z_]+)[1-8]$", r"\g<1>1", net) for net in nets} & SHARED
    return shared - {"GND"} if how != "shorted" or nets <= SUPPLIES else shared - SUPPLIES


def _of(part: Fitted) -> Iterator[str]:
    if len(part.kind.pin_rows()) == 2 and not part.reference.startswith("J"):
        yield f"{part.reference} open"
        yield f"{part.reference} shorted"
        return
    for pin in part.nets:
        yield f"{part.reference}.{pin} open"
        if part.reference.startswith("U") and (part.type_of(pin) in OUTPUTS or pin in part.kind.feeds[1:]):
            yield f"{part.reference}.{pin} high"
            yield f"{part.reference}.{pin} low"
    if not part.reference.startswith("U"):
        for one, other in _neighbours(part):
            if part.nets[one] != part.nets[other]:
                yield f"{part.reference} {one}-{other} shorted"


def _neighbours(part: Fitted) -> Iterator[tuple[str, str]]:
    """Any two terminals of a small part; of a plug, adjacent and facing ones."""
    rows = [row for row in part.kind.pin_rows() if row.name in part.nets]
    apart = JOINED_APART.get(part.kind_name)
    for one, other in combinations(rows, 2):
        if apart is None or abs(int(one.number) - int(other.number)) in apart:
            yield one.name, other.name
