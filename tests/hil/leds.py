# SPDX-License-Identifier: Apache-2.0
"""Reads the unit's LEDs as a person in front of it would: the legend's patterns, from the pins of the header."""

from __future__ import annotations

import base64
from itertools import pairwise
from statistics import median

import msgspec
from machine import PROJECT, Machine

from linetap.board.pins import load_pins
from linetap_core.records import PanelState
from linetap_core.wire.legend import CONDITIONS

GLANCE_S, LOOK_S = 3.2, 9.0  # longer than the dark phase of any pattern; longer than two rounds of the longest
PINS = load_pins(PROJECT / "hardware/pins.toml")
Seen = list[tuple[float, str]]  # level of a pin from this second on


def shows(machine: Machine, condition: str) -> bool:
    """Whether RUN and FAULT show this condition, by the legend on the lid; AssertionError with the shown
    one otherwise.
    """
    wanted = CONDITIONS[condition]
    said = machine.ask({"read": "/run/linetap/panel/panel.json"})
    if said["rc"] == 0:  # a unit without a configuration has none
        text = base64.b64decode(said["data"])
        panel = msgspec.json.decode(text.splitlines()[-1], type=PanelState)
        told = panel.patterns["run"], panel.patterns["fault"]
        assert told == (wanted.run, wanted.fault), text.decode()  # before the longer observation
    run, fault = (pattern(seen, LOOK_S) for seen in _watched(machine, LOOK_S, "run", "fault"))
    assert (run, fault) == (wanted.run, wanted.fault), f"RUN {run}, FAULT {fault}"
    return True


def lit(machine: Machine, led: str) -> bool:
    """Whether the LED is lit now or soon."""
    (seen,) = _watched(machine, GLANCE_S, led)
    return any(level == "1" for _, level in seen)


def pattern(seen: Seen, for_s: float) -> str:
    """The pattern's name in the legend, by its lit and dark times with tolerance: a slow machine is not exact."""
    spans = [(level, end - at) for (at, level), (end, _) in pairwise([*seen, (for_s, "")])]
    if len(spans) == 1:
        return "on" if spans[0][0] == "1" else "off"
    lit_s = median(length for level, length in spans if level == "1")
    longest_s = max((length for level, length in spans if level == "0"), default=0.0)
    if longest_s > 2.4:
        return "flash"
    if longest_s > 1.2:
        return f"blink {_flashes(spans)}"
    return next(
        name for name, least_s in (("wink", 1.5), ("slow", 0.35), ("fast", 0.15), ("flicker", 0.0)) if lit_s > least_s
    )


def _flashes(spans: list[tuple[str, float]]) -> int:
    """The number of flashes between two pauses."""
    pauses = [place for place, (level, length) in enumerate(spans) if level == "0" and length > 0.8]
    return sum(level == "1" for level, _ in spans[pauses[-2] : pauses[-1]]) if len(pauses) > 1 else 0


def _watched(machine: Machine, for_s: float, *leds: str) -> list[Seen]:
    header = machine.read("/run/hil/gpio.path").decode().strip()
    paths = [f"{header}/sim_gpio{getattr(PINS.led, led)}/value" for led in leds]
    answer = machine.ask({"watch": paths, "for_s": for_s})
    assert answer["rc"] == 0, answer["err"]
    changes: list[Seen] = answer["changes"]
    return changes
