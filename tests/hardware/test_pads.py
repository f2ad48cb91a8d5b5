# SPDX-License-Identifier: Apache-2.0
"""The test pads: each net probed in commissioning and the production test has one, and none is on a line's side."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hardware_rig import copied, drawn_card

from drawing.project import LINES, Circuit
from rules.barrier import TOUCHABLE, sides
from rules.card import Card
from rules.table import RULES

CIRCUIT = Circuit()
BY_LINE = ("VM", "RX", "TX")
ALONE = ("GND", "/supply/v5in", "+5V", "+3V3", "VREF", "COIL", "VMID", "V2V5", "REFC", "/audio/v33d", "/usb/v33")
RESET = "/meter/nrst"


def probed() -> Counter[str]:
    pads = (net for net, nodes in CIRCUIT.nets().items() for reference, _ in nodes if reference.startswith("TP"))
    return Counter(pads)


def test_each_net_that_is_probed_has_one_pad() -> None:
    wanted = [f"/{port}{line}" for port in BY_LINE for line in range(1, LINES + 1)] + [*ALONE, RESET]
    assert probed() == Counter(wanted)


def test_the_debug_port_and_the_reset_reach_the_meter() -> None:
    (meter,) = drawn_card().of("meter")
    assert meter.nets["nrst"] == RESET
    (port,) = [each for each in drawn_card().of("header4") if each.sheet == "meter"]
    assert {meter.nets["swdio"], meter.nets["swclk"], "GND"} <= set(port.nets.values())


def test_no_pad_is_on_a_lines_side_of_the_barrier() -> None:
    pieces = drawn_card().joined(sides)
    assert {pieces[net] for net in probed()} == {pieces[TOUCHABLE]}


def test_a_pin_that_only_a_pad_hangs_on_is_open(tmp_path: Path) -> None:
    """A pad is not an end of a net: it must not hide a missing connection."""
    folder = copied(tmp_path, ("meter.sheet", "R9 r10k +3V3 nrst\nC9 c100n nrst GND\n", ""))
    found = list(RULES["connected"].broken(Card.drawn(Circuit(folder))))
    assert "/meter/nrst: nothing but U1101 nrst" in found
