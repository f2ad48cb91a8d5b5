# SPDX-License-Identifier: Apache-2.0
"""Figures in the pages of hardware/ are those of the files and the simulation."""

from __future__ import annotations

import re
from statistics import mean

import pytest
from hardware_rig import drawn_card, front_end

from linetap.board.frontend import ECHO_DB
from linetap.board.pins import load_pins
from rules.chance import of_chance
from rules.faults import faults
from rules.mistakes import LISTED
from simulation.converters import DAC_FULL_V, full_db
from simulation.netlist import HARDWARE

README, LABORATORY, PRODUCTION = (
    (HARDWARE / f"{name}.md").read_text() for name in ("README", "laboratory", "production")
)
PLUG = re.compile(r"(?<!\w)J\d+(?![A-Za-z0-9])")
MODULE = "| the USB audio module: "  # its row names its own plug
ON_THE_HEADER = range(2, 28)  # GPIO2 to GPIO27: the EEPROM has 0 and 1


def numbers(page: str, pattern: str) -> list[float]:
    (found,) = re.findall(pattern, page)
    return [float(number) for number in ([found] if isinstance(found, str) else found)]


@pytest.mark.parametrize(
    "name", ["README.md", "commissioning.md", "laboratory.md", "production.md", "wiring.md", "wiring.svg"]
)
def test_each_plug_has_the_boards_reference(name: str) -> None:
    lines = (HARDWARE / name).read_text().splitlines()
    named = {plug for line in lines if not line.startswith(MODULE) for plug in PLUG.findall(line)}
    assert named
    assert named <= drawn_card().parts.keys()


def test_pins_that_are_free() -> None:
    table = load_pins(HARDWARE / "pins.toml")
    used = {pin for _, _, pin in table.uses()}
    assert numbers(README, r"(\d+) of the (\d+) are free") == [len(set(ON_THE_HEADER) - used), len(ON_THE_HEADER)]


def test_wrong_cards() -> None:
    assert numbers(README, r"wrong cards, (\d+) of a list and (\d+) of") == [len(LISTED), len(of_chance(drawn_card()))]


def test_faults_of_a_line() -> None:
    count = len(list(faults(front_end())))
    assert numbers(README, r"each part of a line, (\d+) faults") == [count]
    assert numbers(LABORATORY, r"`tools/card_rules.py --faults`: (\d+) faults") == [count]


def test_capacitors_at_the_entry() -> None:
    """In uF: README's Power, and the laboratory's plan."""
    drawn = sum(part.value for part in drawn_card().on("/supply/vin", "C")) * 1e6
    assert numbers(README, r"stands before U1001 but (\d+) uF") == pytest.approx([drawn])
    assert numbers(LABORATORY, r"before U1001 there are (\d+) uF") == pytest.approx([drawn])


def test_how_long_the_relays_keep_their_current() -> None:
    """Seconds after the last edge on ARM, as in the supply's table."""
    table = (HARDWARE / "circuit" / "supply.sheet").read_text()
    assert numbers(README, r"else ARM ends within ([\d.]+) s") == numbers(table, r"0\.5 to ([\d.]+) s with the")


def test_what_a_level_meter_shows_in_production() -> None:
    """1 kHz at half of full scale: Vrms at TX, and in the middle of the simulated range of the echo at RX."""
    sent, received = numbers(PRODUCTION, r"says: ([\d.]+) Vrms at .* about ([\d.]+) Vrms at")
    assert sent == pytest.approx(DAC_FULL_V / 2, rel=0.01)
    assert received == pytest.approx(10 ** ((full_db() + mean((ECHO_DB.low, ECHO_DB.high))) / 20) / 2, rel=0.05)
