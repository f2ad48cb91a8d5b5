# SPDX-License-Identifier: Apache-2.0
"""Cards with one mistake: each breaks a rule or a simulated row, or a table states why detection is unnecessary."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hardware_rig import drawn_card

from rules.card import Card
from rules.chance import benign, drawn, of_chance
from rules.chancedigital import KINDS, Candidates
from rules.judge import by_rules, by_simulation, judged
from rules.mistakes import LISTED
from rules.mistakesdigital import DIGITAL

OF_CHANCE = of_chance(drawn_card())
LEAST = 60
SAMPLE = 12
PASSED_BEFORE = (
    "TX1 and TX2 exchanged",
    "three capacitors for four analog supply pins of the hub",
    "no bulk at the hub",
    "no bulk at the meter",
    "one capacitor for both drivers of the lamps",
    "the input of the driver that is not used floats",
    "a strap of the hub that becomes an output hard on ground",
    "two straps of the hub on one resistor",
    "the relays' watchdog bypassed: the load switch always on",
    "the relays' watchdog bypassed: the coils' rail is 5 V",
)


@pytest.mark.parametrize("name", [*LISTED, *OF_CHANCE])
def test_somebody_notices(name: str) -> None:
    change = (LISTED | OF_CHANCE)[name]
    assert benign(name) or judged(drawn_card(), change(drawn_card())), "it passes, and BENIGN says nothing of it"


def test_there_are_enough_of_both() -> None:
    assert len(LISTED) >= LEAST
    assert len(OF_CHANCE) >= LEAST // 2


@pytest.mark.parametrize("name", [*PASSED_BEFORE, *DIGITAL])
def test_a_rule_sees_it_without_any_simulation(name: str) -> None:
    assert by_rules(LISTED[name](drawn_card()))


@pytest.mark.parametrize("kind", KINDS)
def test_of_each_kind_on_parts_that_are_only_drawn_a_rule_sees_each(kind: Callable[[Card], Candidates]) -> None:
    """Or a table states why it may pass. The sample is not that of the random cards."""
    card = drawn_card()
    for name, change in drawn(kind(card), SAMPLE, seed="another"):
        assert benign(name) or by_rules(change(card)), name


def test_a_value_alone_is_a_change_that_is_simulated() -> None:
    card = drawn_card()
    assert by_simulation(card, card.revalued("R125", "10k"))
    assert by_simulation(card, card) is None


def test_few_are_excused_by_words() -> None:
    assert sum(benign(name) is not None for name in OF_CHANCE) <= len(OF_CHANCE) // 6
    assert not any(benign(name) for name in LISTED)
