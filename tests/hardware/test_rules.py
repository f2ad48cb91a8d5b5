# SPDX-License-Identifier: Apache-2.0
"""The rules of hardware/rules/ hold for the card as drawn, and each of them can be broken."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hardware_rig import copied, drawn_card
from msgspec import structs

from drawing import kicad
from drawing.project import Circuit, files
from linetap_core.errors import Refusal
from rules import pins
from rules.card import Card
from rules.mistakes import LISTED
from rules.table import RULES
from simulation.netlist import Netlist


@pytest.mark.parametrize("rule", RULES)
def test_it_holds(rule: str) -> None:
    assert list(RULES[rule].broken(drawn_card())) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_mistake_breaks_it(rule: str) -> None:
    card = drawn_card()
    assert any(any(RULES[rule].broken(change(card))) for change in LISTED.values())


def test_the_card_that_is_asked_is_the_card_that_kicad_exports() -> None:
    assert drawn_card().netlist().elements == Netlist.read().elements


def test_a_part_that_does_not_say_what_it_stands_is_named(tmp_path: Path) -> None:
    circuit = Circuit(copied(tmp_path, ("parts.toml", "stands_v = 1500.0\n", "")))
    assert "R101 (4.99M): parts.toml does not say what it stands (stands_v)" in RULES["rated"].broken(
        Card.drawn(circuit)
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "stands_v = 36.0\ninsulates_v = 1060",
            "stands_v = 25.0\ninsulates_v = 1060",
            "U1001 (12 V to 5 V, 6 A): 29.2 V",
        ),
        ("clamps_v = 29.2", "clamps_v = 32.4", "D1001 (SMBJ18A): it lets 32.4 V through, worst.py has 29.2"),
        ("stands_v = 60.0\nmaker", "stands_v = 20.0\nmaker", "Q1001 (SQJ457EP): 29.2 V across it, stands 20"),
    ],
)
def test_what_the_entrys_suppressor_lets_through_is_asked_of_what_stands_behind_it(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    """The THN 30-1211 is rated 25 V for a second, by its sheet; an SMBJ20A clamps at 32.4 V."""
    broken = list(RULES["rated"].broken(Card.drawn(Circuit(copied(tmp_path, ("parts.toml", old, new))))))
    assert [each for each in broken if each.startswith(said)], broken


@pytest.mark.parametrize(
    ("reference", "left_out", "said"),
    [
        ("U1301", "10 din2", "U1301 (MAX3232): pad 10 is no pin, and OPEN says nothing of it"),
        ("U1501", "27 vbus", "U1501 (USB2514B): pad 27 is no pin, and OPEN says nothing of it"),
        ("U1101", "NRST nrst", "U1101 (STM32G0B1RB): pad NRST is no pin, and OPEN says nothing of it"),
    ],
)
def test_a_pad_that_the_table_of_parts_leaves_out_is_told(reference: str, left_out: str, said: str) -> None:
    card = drawn_card()
    part = card.parts[reference]
    fewer = [row for row in part.kind.pins if not row.startswith(left_out + " ")]
    assert len(fewer) == len(part.kind.pins) - 1
    wrong = replace(part, kind=structs.replace(part.kind, pins=fewer))
    assert said in RULES["connected"].broken(Card(card.parts | {reference: wrong}))


def test_each_excuse_is_of_a_pin_or_pad_that_is_open() -> None:
    left = {
        (part.kind_name, name)
        for part in drawn_card().parts.values()
        for name in [
            *(pin.name for pin in part.kind.pin_rows() if pin.name not in part.nets),
            *(set(pins.pads(part.kind_name)) - {pin.number for pin in part.kind.pin_rows()}),
        ]
    }
    assert left >= pins.MECHANICAL
    for kind, name in pins.OPEN:
        assert any(kind == each and re.fullmatch(name, pin) for each, pin in left), (kind, name)


KICAD_TOO = {  # file, old, new: refused by KiCad's rules and by ours
    "an input that nothing drives": ("panel.sheet", "oe=GND clr=+3V3 vcc=+3V3", "oe=nowhere clr=+3V3 vcc=+3V3"),
    "a supply that nothing feeds": ("connectors.sheet", "FLG1 pwr_flag PI3V3\n", ""),
    "two outputs on a net": ("audio.sheet", "out2=TX2", "out2=TX1"),
    "two regulators on a net": ("usb.sheet", "en=+5V out=v33", "en=+5V out=+5V"),
}


@pytest.mark.skipif(
    not shutil.which("kicad-cli"), reason="kicad-cli is not installed: ours are not held against its rules"
)
@pytest.mark.parametrize("name", KICAD_TOO)
def test_what_kicad_refuses_these_refuse(tmp_path: Path, name: str) -> None:
    tables = tmp_path / "circuit"
    tables.mkdir()
    circuit = Circuit(copied(tables, KICAD_TOO[name]))
    for file, text in files(circuit).items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    with pytest.raises(Refusal, match="ended with 5"):
        kicad.rules(tmp_path, tmp_path / "erc.rpt")
    card = Card.drawn(circuit)
    assert [*pins.connected(card), *pins.driven(card)]
