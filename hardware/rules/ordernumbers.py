# SPDX-License-Identifier: Apache-2.0
"""Rule for order numbers: value, volts, tolerance and case that a number says are those of its row in parts.toml.

Murata's codes are those of its catalogue C02E (part numbering, pages 2 to 5), the others of the makers' ordering
schemes, from memory. A number of another scheme is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from rules.card import Card, Fitted

RESISTORS = (  # case, value, tolerance
    r"RC(?P<case>\d{4})(?P<off>[BFJ])R-07(?P<ohm>\w+)L",
    r"(?:Vishay )?CRCW(?P<case>\d{4})(?P<ohm>[\dRKM]{4})(?P<off>[BFJ])K",
    r"CRHV(?P<case>\d{4})AF(?P<ohm>\dM\d\d)(?P<off>[BFJ])",
    r"RG1608P-(?P<digits>\d+)-(?P<off>[BFJ])",
    r"Panasonic ERA-3AE(?P<off>[BFJ])(?P<digits>\d+)V",
    r"TT Electronics PWC(?P<case>\d{4})LF(?P<digits>\d{4})(?P<off>[BDFJ])",
    r"Bourns CHP(?P<case>\d{4})-(?P<off>[FJ])X-(?P<digits>\d{4})E",
    r"Stackpole HVCB(?P<case>\d{4})(?P<off>[FJ])KC(?P<ohm>\dM\d\d)",
)
# What a resistor's series and case bear. Of the pulse-proof ones: TT, PWC series, 500 V; Bourns, CHP, 250 V, as a
# public project quotes it. The others from memory.
BEARS = {
    "RC0603": 75, "RC0805": 150, "CRCW0603": 75, "CRCW0805": 150, "CRCW2512": 500, "RG1608": 75, "ERA-3A": 75,
    "CRHV1206": 1500, "PWC2512": 500, "CHP2512": 250,
}  # fmt: skip
CAPACITORS = (  # case, volts, value, tolerance
    r"GRM(?P<case>18|21|31|32).(?:5C|R7|R6)(?P<volts>0J|1A|1C|1E|1H)(?P<digits>\d{3})(?P<off>[JKM])",
    r"Kemet C(?P<case>\d{4})C(?P<digits>\d{3})(?P<off>[JKM])(?P<volts>\d)",
    r"Samsung CL(?P<case>10|21|31|32)A(?P<digits>\d{3})(?P<off>[JKM])(?P<volts>[QPOAB])",
    r"TDK CGA6P3X7R(?P<volts>1H)(?P<digits>\d{3})(?P<off>[JKM])",
)
CASES = {"18": "0603", "10": "0603", "21": "0805", "31": "1206", "32": "1210"}
VOLTS = {
    "0J": 6.3, "1A": 10, "1C": 16, "1E": 25, "1H": 50,  # Murata, TDK
    "9": 6.3, "8": 10, "4": 16, "3": 25, "5": 50,  # Kemet
    "Q": 6.3, "P": 10, "O": 16, "A": 25, "B": 50,  # Samsung
}  # fmt: skip
PERCENT = {"B": 0.1, "D": 0.5, "F": 1.0, "J": 5.0, "K": 10.0, "M": 20.0}
MULTIPLIERS = {"R": 1.0, "K": 1e3, "M": 1e6}


class Read(NamedTuple):
    """What a number says; a case or volts that it does not say are "" and 0."""

    value: float
    percent: float
    case: str
    volts: float


def read(number: str) -> Read | None:
    for pattern in (*RESISTORS, *CAPACITORS):
        if found := re.match(pattern, number):
            said = found.groupdict()
            case, volts = said.get("case") or "", VOLTS.get(said.get("volts") or "", _bears(number))
            unit = 1e-12 if pattern in CAPACITORS else 1.0
            ohm, digits = said.get("ohm"), said.get("digits")
            value = _ohms(ohm) if ohm else int(digits[:-1]) * 10.0 ** int(digits[-1]) * unit if digits else 0.0
            return Read(value, PERCENT[said["off"]], CASES.get(case, case), volts)
    return None


def _bears(number: str) -> float:
    return next((float(volts) for series, volts in BEARS.items() if series in number), 0.0)


def _ohms(code: str) -> float:
    """Such as 10K7, 680K and 51R0, where the letter is the decimal point."""
    (letter,) = re.findall("[RKM]", code)
    return float(code.replace(letter, ".")) * MULTIPLIERS[letter]


def ordered(card: Card) -> Iterator[str]:
    for part in card.parts.values():
        for number in (part.kind.number, part.kind.second):
            if (said := read(number)) and (wrong := _differs(part, said)):
                yield f"{part.reference} ({part.kind.value}): {number} is {wrong}"


def _differs(part: Fitted, said: Read) -> str:
    kind = part.kind
    if abs(said.value / part.value - 1) > 1e-3:
        return f"of {said.value:g}"
    if said.percent > kind.off:
        return f"of {said.percent:g} %, and {kind.off:g} are counted with"
    if said.case and said.case not in kind.rating:
        return f"in case {said.case}"
    return f"for {said.volts:g} V, and stands_v is {kind.stands_v:g}" if 0 < said.volts < kind.stands_v else ""
