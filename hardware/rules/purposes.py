# SPDX-License-Identifier: Apache-2.0
"""Each resistor, capacitor and diode that is only drawn has a purpose: decoupling, a pull, a divider, a signal's way.

A purpose is given by the pins at its two ends. A part without one slows, loads or joins signals; the simulation shows
that only for the lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rules.card import Card, Fitted
from rules.levels import GROUND, supplies

RETURN = "/supply/ret"
RAILS = {"COIL", "PI3V3", "VREF", "/audio/v5usb", "/usb/vbus", "/supply/fused"}  # besides the chips' own supplies
BETWEEN = (  # the pins at the two ends of a resistor or capacitor between two signals
    ("R", r"usb_audio\.(mclk|sclk|lrck|dout1)", r"(adc4|dac8)\.(mclk|sclk|lrck|din1)"),
    ("R", r"opamp_precise\.out", r"meter\.vm\d"),
    ("R", r"shift8\.q\d", r"led_\w+\.a"),
    ("R", r"terminal2\.\w", r"pi_header\.GPIO27"),
    ("R", r"holdup\.cap", r"holdup\.capfb"),
    ("C", r"r51\.\d", r"adc4\.ain\d"),
    ("C", r"rs232\.c1p", r"rs232\.c1n"),
    ("C", r"rs232\.c2p", r"rs232\.c2n"),
    ("C", r"oneshot\.rcext", r"oneshot\.cext"),
    ("C", r"holdup\.cap", r"holdup\.mid"),
)
TO = {  # the pin at one end, if the other end is a supply, or ground
    ("R", "supply"): (
        r"meter\.(sda|scl|tamper|pfo|nrst)|adc4\.(sda|scl)|eeprom\.(sda|scl|wp)|led_\w+\.a|oneshot\.rcext"
        r"|holdup\.(cln|pfi|bstfb|capflt)|hub\.(vbus|reset|nonrem1|d[pm][34])"
    ),
    ("R", "ground"): (
        r"load_switch\.(on|ilim)|oneshot\.a|pi_header\.GPIO27|nmos\.g|pmos\.g|usb\.cc[12]|dac8\.msel"
        r"|holdup\.(pfi|bstfb|capfb|prog)|hub\.(vbus|rbias|nonrem0|cfg[01])"
    ),
    ("C", "supply"): "",
    ("C", "ground"): (
        r"meter\.(nrst|vm\d)|adc4\.(vref|ldo)|dac8\.vcom|rs232\.(vpos|vneg)|rtc\.vbackup|holdup\.(cap|mid|cpf)"
        r"|hub\.(crfilt|pllfilt|xin|xout)"
    ),
}
DIODES = {"led_green", "led_red", "led_blue", "tvs18", "zener12"}  # kinds that are only drawn; `lit` and `guarded`


def purposes(card: Card) -> Iterator[str]:
    rails = supplies(card) | RAILS
    for part in card.parts.values():
        if part.simulated or len(part.nets) != 2:
            continue
        if part.symbol == "D" and part.kind_name not in DIODES:
            yield f"{part.reference} ({part.kind.value}): no diode is asked for here"
        if part.symbol in ("R", "C") and not _has_one(card, part, rails):
            ends = " and ".join(sorted(part.nets.values()))
            yield f"{part.reference} ({part.kind.value}): nothing asks for it between {ends}"


def _has_one(card: Card, part: Fitted, rails: set[str]) -> bool:
    one, other = part.nets.values()
    grounds = {GROUND, RETURN}
    if {one, other} <= grounds | rails:
        return True  # decoupling; `separate` and `cool` refuse the others
    for near, far in ((one, other), (other, one)):
        if near in grounds | rails:
            asked = TO[part.symbol, "ground" if near in grounds else "supply"]
            return any(re.fullmatch(asked, pin) for pin in _pins(card, part, far))
    return any(
        any(re.fullmatch(a, pin) for pin in _pins(card, part, near))
        and any(re.fullmatch(b, pin) for pin in _pins(card, part, far))
        for symbol, a, b in BETWEEN
        if symbol == part.symbol
        for near, far in ((one, other), (other, one))
    )


def _pins(card: Card, part: Fitted, net: str) -> list[str]:
    return [f"{each.kind_name}.{pin}" for each, pin in card.nets[net] if each is not part]
