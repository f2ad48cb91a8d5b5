# SPDX-License-Identifier: Apache-2.0
"""Rules for the hold-up: a manager (LTC4041) set by resistors charges two cells and feeds through a transistor."""

from __future__ import annotations

from collections.abc import Iterator

from rules.card import Card, Fitted

DIVIDERS = {  # pin: the divided net, the threshold at the pin, and the permitted range of that net at the threshold
    "bstfb": ("vsys", 0.8, 4.88, 5.0),  # 5 V at most, and 2.5 % less than 4.88 V is still 4.75
    "capfb": ("cap", 0.8, 4.5, 4.65),  # 0.15 V below +5V, otherwise it does not charge; a cell is rated 2.7 V
    "pfi": ("vin", 1.19, 4.7, 4.8),  # 0.2 to 0.3 V below the converter's 5 V (data sheet)
}
CHARGES_A, LETS_THROUGH_A = (0.5, 1.25), (4.5, 5.5)
STORES_F = (250e-6, 1000e-6)  # nominal value: at 5 V 0.4 of it is left, and 100 uF are required
COIL_H = (1.5e-6, 4.7e-6)  # 2.2 uH (LTC4041 and its demonstration board); the range from memory
FAULT_OHM = (1e6, 2e6)  # low at its 10 uA, high at its leakage


def stored(card: Card) -> Iterator[str]:
    """Behind the manager are two equal capacitors in series, whose middle it balances, and its coil."""
    for part in card.of("holdup"):
        cap, mid = part.nets.get("cap", ""), part.nets.get("mid", "")
        row = [*card.between(cap, mid, "C"), *card.between(mid, "GND", "C")]
        if [each.kind_name for each in row] != ["c25F", "c25F"]:
            yield f"{part.reference}: not two of 25 F in a row"
        elif [each.nets["1"] for each in row] != [cap, mid]:
            yield f"{part.reference}: the plus of one of the two is not at its upper end"
        if [COIL_H[0] <= each.value <= COIL_H[1] for each in card.between(part.nets.get("sw", ""), cap, "L")] != [True]:
            yield f"{part.reference}: not one coil of 2.2 uH between its switches and the cells"


def managed(card: Card) -> Iterator[str]:
    """The resistors set the hand-over, the charge and the output to the voltages that the card needs."""
    for part in card.of("holdup"):
        ground = part.nets.get("gnd", "")
        for pin, (top, acts, least, most) in DIVIDERS.items():
            net = part.nets.get(pin, "")
            above, below = _ends(card, part.nets.get(top, ""), net), _ends(card, net, ground)
            lowest, volts = (acts * (1 + above[i] / below[1 - i]) for i in (0, 1))
            if not least <= lowest <= volts <= most or any(
                each.symbol not in ("R", "box") for each, _ in card.nets.get(net, [])
            ):
                yield f"{part.reference}: {pin} acts at {volts:.3g} V of {top}, asked {least:g} to {most:g}"
        for pin, other, ampere, (least, most) in (
            ("prog", "gnd", 2000.0, CHARGES_A),
            ("cln", "vin", 25e-3, LETS_THROUGH_A),
        ):
            found = ampere / _one(card, part.nets.get(pin, ""), part.nets.get(other, ""))
            if not least <= found <= most:
                yield f"{part.reference}: {pin} sets {found:.3g} A, asked {least:g} to {most:g}"
        if not FAULT_OHM[0] <= _one(card, part.nets.get("capflt", ""), part.nets.get("vsys", "")) <= FAULT_OHM[1]:
            yield f"{part.reference}: capflt is not held up by {FAULT_OHM[0]:g} to {FAULT_OHM[1]:g} ohm"
        stores = sum(each.value for each in card.between(part.nets.get("vsys", ""), ground, "C") if _near(each, part))
        if not STORES_F[0] <= stores <= STORES_F[1]:
            yield f"{part.reference}: {stores * 1e6:.0f} uF at its output, asked {STORES_F[0] * 1e6:.0f} and more"
        passes = [each for each in card.of("nmos_30V") if _lets_through(each, part)]
        if len(passes) != 1:
            yield f"{part.reference}: no transistor whose diode leads from the input to its output, at igate"


def _ends(card: Card, one: str, other: str) -> tuple[float, float]:
    """The resistor between two nets at both ends of its tolerance; nan unless there is exactly one."""
    found = [each.ends for each in card.between(one, other, "R")]
    return found[0] if len(found) == 1 else (float("nan"), float("nan"))


def _one(card: Card, one: str, other: str) -> float:
    """The resistor between two nets; nan unless there is exactly one."""
    found = [each.value for each in card.between(one, other, "R")]
    return found[0] if len(found) == 1 else float("nan")


def _near(each: Fitted, part: Fitted) -> bool:
    return (each.sheet, each.block) == (part.sheet, part.block)


def _lets_through(each: Fitted, part: Fitted) -> bool:
    want = {"g": part.nets.get("igate"), "s": part.nets.get("cln"), "d": part.nets.get("vsys")}
    return each.nets == want and len(set(want.values())) == len(want)
