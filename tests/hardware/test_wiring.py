# SPDX-License-Identifier: Apache-2.0
"""The wiring guide is the drawing's connector, with the pairs of a 25-pair cable."""

from __future__ import annotations

from xml.etree import ElementTree

from drawing import wiring
from drawing.project import Circuit
from simulation.netlist import HARDWARE

CIRCUIT = Circuit()
CONNECTOR = CIRCUIT.kinds["rj21"]


def test_picture_and_table_are_the_drawings() -> None:
    assert (HARDWARE / wiring.PICTURE).read_text() == wiring.svg(CONNECTOR), "tools/draw.py"
    text = (HARDWARE / wiring.DOCUMENT).read_text()
    assert text == wiring.document(text, CONNECTOR), "tools/draw.py"


def test_each_pair_is_where_rj21x_has_it() -> None:
    """Ring n on pin n, tip on 25 + n, as for RJ21 in Wikipedia's page on registered jacks.

    White with blue, orange, green, brown, slate, then red.
    """
    found = wiring.pairs(CONNECTOR)
    assert [(pair.line, pair.ring_pin, pair.tip_pin) for pair in found] == [(n, n, n + 25) for n in range(1, 9)]
    colours = [(pair.tip[0], pair.ring[0]) for pair in found]
    assert colours[:5] == [("white", ring[0]) for ring in wiring.RINGS]
    assert colours[5:] == [("red", ring[0]) for ring in wiring.RINGS[:3]]


def test_each_line_goes_from_the_exchange_to_the_telephone() -> None:
    """The ring is straight, the tip passes only through both closed poles of the line's contact."""
    nets = CIRCUIT.nets()
    exchange, telephones = ("J1302", "J1303")
    for pair in wiring.pairs(CONNECTOR):
        ring, before, behind = (set(nets[f"/{name}{pair.line}"]) for name in ("RING", "TIP", "TIP_TEL"))
        assert {(exchange, str(pair.ring_pin)), (telephones, str(pair.ring_pin))} <= ring
        contact = f"K{pair.line}02"
        assert {(exchange, str(pair.tip_pin)), (contact, "11"), (contact, "21")} <= before
        assert {(telephones, str(pair.tip_pin)), (contact, "12"), (contact, "22")} <= behind
        assert {reference for reference, _ in before} & {reference for reference, _ in behind} == {contact}


def test_the_picture_names_every_pin_twice() -> None:
    texts = [
        text.text for text in ElementTree.fromstring(wiring.svg(CONNECTOR)).iter("{http://www.w3.org/2000/svg}text")
    ]
    for pair in wiring.pairs(CONNECTOR):
        assert texts.count(str(pair.tip_pin)) == 2
        assert texts.count(str(pair.ring_pin)) >= 2
