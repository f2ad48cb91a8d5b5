# SPDX-License-Identifier: Apache-2.0
"""The wiring guide is the drawing's connector, as a cable of 25 pairs has it."""

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
    """Ring n on pin n, tip on the pin opposite; white with blue, orange, green, brown, slate, then red."""
    found = wiring.pairs(CONNECTOR)
    assert [(pair.line, pair.ring_pin, pair.tip_pin) for pair in found] == [(n, n, n + 25) for n in range(1, 9)]
    colours = [(pair.tip[0], pair.ring[0]) for pair in found]
    assert colours[:5] == [("white", ring[0]) for ring in wiring.RINGS]
    assert colours[5:] == [("red", ring[0]) for ring in wiring.RINGS[:3]]


def test_both_connectors_carry_every_line_past_the_card() -> None:
    nets = CIRCUIT.nets()
    for pair in wiring.pairs(CONNECTOR):
        for net, pin in ((f"/TIP{pair.line}", pair.tip_pin), (f"/RING{pair.line}", pair.ring_pin)):
            there = [node for node in nets[net] if node[1] == str(pin) and node[0].startswith("J")]
            assert len(there) == 2, (net, nets[net])


def test_the_picture_names_every_pin_twice() -> None:
    texts = [
        text.text for text in ElementTree.fromstring(wiring.svg(CONNECTOR)).iter("{http://www.w3.org/2000/svg}text")
    ]
    for pair in wiring.pairs(CONNECTOR):
        assert texts.count(str(pair.tip_pin)) == 2
        assert texts.count(str(pair.ring_pin)) >= 2
