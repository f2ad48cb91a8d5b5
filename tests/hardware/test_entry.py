# SPDX-License-Identifier: Apache-2.0
"""Plugging 12 V in, by ngspice and by its energy; and the load of each wire to the Pi."""

from __future__ import annotations

from pathlib import Path

import pytest
from hardware_rig import copied, drawn_card

from drawing.project import Circuit
from rules.card import Card
from rules.entry import COLD, carried, plugged
from rules.mistakes import LISTED
from simulation import inrush
from simulation.budget import CONTACT_A, PI_A
from simulation.netlist import HARDWARE
from simulation.power_table import BUSY_MW

CIRCUIT = Circuit()
README = (HARDWARE / "README.md").read_text(encoding="utf-8")
RIBBON_A = 1.0  # of a wire of a ribbon and its plugs (Mosaic Industries)


def energy_j(card: Card) -> float:
    return inrush.charging_j(part.kind for net in ("/supply/vin",) for part in card.on(net, "C"))


def test_plugging_in_is_within_what_the_fuse_and_the_suppressor_stand() -> None:
    found = inrush.inrush(CIRCUIT)
    assert found.holds()
    assert found.most_i2t == pytest.approx(0.22 * 53.72)
    assert 18 < found.volts < 29.2


def test_it_is_less_than_the_capacitors_energy_allows_and_not_far_below() -> None:
    """The fuse dissipates no more than all resistances, and the rest of the circuit dissipates its share."""
    fuse = CIRCUIT.kinds["fuse_5A"]
    most = energy_j(drawn_card()) / (fuse.ohm * COLD)
    assert most == pytest.approx(3.4, abs=0.05)
    assert "3.4 A2s of\n11.8" in README
    assert most / 10 < inrush.inrush(CIRCUIT).i2t < most


def test_the_longer_the_cable_the_less_current() -> None:
    found = inrush.inrush(CIRCUIT)
    assert found.usual_a < found.peak_a / 2
    assert found.usual_a < inrush.PULSED_A < found.peak_a
    for most_a, cable_m in ((found.usual_a, 1.5), (found.peak_a, 0.3)):
        lasts_us = inrush.above_half_us(CIRCUIT, cable_m)
        assert f"{most_a:.0f} A, for {lasts_us:.0f} us above half of it" in README.replace("\n", " ")


def test_a_larger_capacitor_is_told(tmp_path: Path) -> None:
    large = Circuit(copied(tmp_path, ("parts.toml", 'value = "220u"\noff = 20.0', 'value = "2200u"\noff = 20.0')))
    assert inrush.inrush(large).i2t > 3 * inrush.inrush(CIRCUIT).i2t
    assert [sentence.split(":")[0] for sentence in plugged(Card.drawn(large))] == ["F1001 (5A T)"]


def test_a_fuse_that_melts_sooner_is_told(tmp_path: Path) -> None:
    weak = Circuit(copied(tmp_path, ("parts.toml", "melts_a2s = 53.72", "melts_a2s = 3.0")))
    assert not inrush.inrush(weak).holds()
    assert list(plugged(Card.drawn(weak)))


def test_a_fuse_that_is_far_too_small_is_told_by_its_current_alone() -> None:
    """0452.750: with 0.36 ohm it survives the charge, because more ohms lower its i2t."""
    small = LISTED["the entry's fuse of 0.75 A"](drawn_card())
    assert list(plugged(small)) == ["F1001 (750mA T): carries 562 mA for good, the card takes 2721"]


def test_no_wire_to_the_pi_carries_what_a_ribbons_may_not_and_a_crimped_one_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert RIBBON_A < PI_A / 2 < CONTACT_A
    assert list(carried(drawn_card())) == []
    monkeypatch.setattr("rules.entry.CONTACT_A", RIBBON_A)
    assert list(carried(drawn_card())) == ["J1301: 3 A of +5V, contacts 2, each good for less than 1 A"]
    assert "**No ribbon**" in README


def test_the_page_says_what_the_hold_up_carries() -> None:
    assert f"takes {BUSY_MW / 1000:.1f} W" in README
