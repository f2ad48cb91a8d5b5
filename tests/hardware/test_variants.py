# SPDX-License-Identifier: Apache-2.0
"""Each variant of the board satisfies the rules, and its list of parts is that of its netlist."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hardware_rig import copied, drawn_card

from drawing import bom, variants
from drawing.project import Circuit
from linetap.board.pins import load_pins
from linetap_core.errors import BadInput
from rules.card import Card
from rules.table import RULES, broken
from simulation.netlist import HARDWARE

CIRCUIT = Circuit()
VARIANTS = variants.load()
CARD_1, OTHERS = VARIANTS


def without(name: str) -> set[str]:
    return variants.left_out(CIRCUIT, VARIANTS[name])


def fitted(name: str) -> Card:
    return drawn_card().fitted_without(without(name))


def listed(text: str) -> dict[str, list[str]]:
    """Order number -> references."""
    return {row["number"]: row["references"].split() for row in csv.DictReader(text.splitlines())}


def test_a_unit_has_four_cards_and_each_is_one_variant() -> None:
    assert sorted(card for each in VARIANTS.values() for card in each.cards) == [1, 2, 3, 4]


def test_the_notes_lead_arm_to_each_card_from_the_pis_pin_of_that_card() -> None:
    """Note, plug, header and pins.toml: wiring J1307 by the assembly drawing gives each card its own edges."""
    card, arm = drawn_card(), load_pins(HARDWARE / "pins.toml").arm.pins
    header, plug = card.parts["J1301"], card.parts["J1307"]
    by_number = {row.number: plug.nets[row.name] for row in plug.kind.pin_rows()}
    (note,) = [each for each in VARIANTS[OTHERS].notes if each.startswith("J1308")]
    said = {int(to): by_number[pin] for pin, to in re.findall(r"(?:pin )?(\d) for card (\d)", note)}
    assert said == {number: header.nets[f"GPIO{arm[number - 1]}"] for number in VARIANTS[OTHERS].cards}
    assert by_number["4"] == "GND"
    assert note.endswith("4 ground.")


@pytest.mark.parametrize("name", VARIANTS)
def test_its_netlist_keeps_every_rule(name: str) -> None:
    assert list(broken(fitted(name))) == []


@pytest.mark.parametrize("name", VARIANTS)
def test_its_list_of_parts_is_its_netlists(name: str) -> None:
    """The committed file, by number, compared with the parts on nets; a net keeps at least one part of the drawing."""
    found: dict[str, list[str]] = {}
    for part in fitted(name).parts.values():
        if part.kind.bought:
            found.setdefault(part.kind.number, []).append(part.reference)
    text = (HARDWARE / bom.name_of(name)).read_text()
    assert {number: sorted(each) for number, each in listed(text).items()} == {
        number: sorted(each) for number, each in found.items()
    }
    for row in csv.DictReader(text.splitlines()):
        assert int(row["count"]) == len(row["references"].split())


@pytest.mark.parametrize("name", VARIANTS)
def test_the_committed_list_is_in_step(name: str) -> None:
    assert (HARDWARE / bom.name_of(name)).read_text() == bom.bom(CIRCUIT, without(name)), "tools/draw.py"


def test_card_1_has_all_that_is_drawn() -> None:
    assert without(CARD_1) == set()


def test_the_pis_supply_reaches_nothing_beside_card_1() -> None:
    """The parts left out are those fed by the Pi's 3.3 V, those driven by its pins, and the forwarding of ARM."""
    card = drawn_card()
    (header,) = card.of("pi_header")
    pins = {net for pin, net in header.nets.items() if pin.startswith(("GPIO", "ID_"))}
    fed = {part.reference for part in card.on("PI3V3") if part.kind.fitted}
    driven = {part.reference for net in pins for part in card.on(net)} - {"U1005", "R1004", "J1308"}
    assert fed | driven <= without(OTHERS)
    assert not [net for net in fitted(OTHERS).nets if net == "PI3V3" or net in pins - {"/ARM_IN"}]


@pytest.mark.parametrize(
    ("lost", "rule", "said"),
    [
        ("D309", "protected", "line 3: 1 of 2 sidactor, which hold a surge, before the contact and behind it"),
        ("R501", "protected", "line 5: 3 of 4 hv_4M99, which are the barrier of the reading"),
        ("K802", "protected", "line 8: 0 of 1 relay_closed, which is the series contact"),
        ("U211", "protected", "line 2: 1 of 2 comparator, which bound an opening to 3 s"),
        ("U1005", "protected", "0 of 1 oneshot, which is the relays' watchdog"),
        ("U1006", "protected", "0 of 1 load_switch, which is what the watchdog switches"),
        ("J1303", "protected", "1 of 2 rj21, which are the lines' plugs, with the contacts between them"),
        ("R1004", "armed", "the one-shot's input is not pulled down"),
        ("J1308", "whole", "U1005: no terminal takes ARM"),
    ],
)
@pytest.mark.parametrize("name", VARIANTS)
def test_what_no_variant_may_leave_out_is_told(name: str, lost: str, rule: str, said: str) -> None:
    assert said in RULES[rule].broken(fitted(name).without(lost))


@pytest.mark.parametrize(
    ("also", "said"),
    [
        ("U1302", "1 headers of the Pi, and 0 eeprom"),
        ("J1301", "0 headers of the Pi, and 1 eeprom"),
        ("J1307", "1 headers of the Pi, and 0 plugs that give ARM to other cards"),
    ],
)
def test_a_card_that_is_half_on_the_header_is_told(also: str, said: str) -> None:
    assert said in RULES["whole"].broken(fitted(CARD_1).without(also))


def test_what_hangs_on_a_supply_that_does_not_come_is_told() -> None:
    """Only R1409 of the button is fitted: it is on the ground; R1408 is not on the Pi's supply, J1401 is."""
    card = drawn_card().fitted_without(without(OTHERS) - {"J1401"})
    assert "J1401 hangs on PI3V3, which nothing brings here" in RULES["whole"].broken(card)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"J1307",', '"J1399",', "'J1399' is no part of the drawing"),
        ('"panel/CALL"', '"panel/CALLS"', "'panel/CALLS' is no part of the drawing"),
        ('"J1307",', '"D101",', "'D101' is no part of the drawing"),  # of a line: one mark for eight
        ("cards = [2, 3, 4]", "cards = [2, 3, 5]", "Expected `int` <= 4"),
        ('"J1307",', '"J1307"]\nwith = [', "unknown field `with`"),
    ],
)
def test_a_variant_that_the_drawing_does_not_know_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = copied(tmp_path, ("variants.toml", old, new)) / "variants.toml"
    with pytest.raises(BadInput, match=re.escape(said)):
        left_out(path)


def left_out(path: Path) -> list[set[str]]:
    return [variants.left_out(CIRCUIT, each) for each in variants.load(path).values()]
