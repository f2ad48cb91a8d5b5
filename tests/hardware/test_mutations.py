# SPDX-License-Identifier: Apache-2.0
"""A drawing with one wrong part must fail its own row, so that no reviewer has to find it.

`ends_of_ringing` is part of the row `ringing`, which test_front_end.py tests for the drawing itself. One failing limit
is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hardware_rig import front_end

from simulation import audio, contact, dialling, levels, oneshot, playing, ringing, surge
from simulation.finding import Finding
from simulation.netlist import Netlist

Row = Callable[[Netlist], list[Finding]]


def value(reference: str, what: str) -> Callable[[Netlist], Netlist]:
    return lambda netlist: netlist.replaced(reference, what)


def gone(reference: str) -> Callable[[Netlist], Netlist]:
    return lambda netlist: netlist.without(reference)


def joined(reference: str, *nodes: str) -> Callable[[Netlist], Netlist]:
    return lambda netlist: netlist.rewired(reference, *nodes)


COIL = ("COIL", "/Line1/ck", "/TIP1", "/TIP_TEL1", "/TIP1", "/TIP_TEL1")  # of K102

MUTATIONS: dict[str, tuple[Callable[[Netlist], Netlist], Row, str]] = {
    "a sense resistor of 499 kohm": (value("R101", "499k"), levels.dc_load, "a lead to earth"),
    "sense wires exchanged at one resistor": (joined("R103", "/Line1/t", "/Line1/s2"), levels.metering, "error"),
    "a sense path that swallows ringing": (value("C102", "1u"), ringing.ends_of_ringing, "the meter reads"),
    "talk in the meter's samples": (gone("C102"), audio.talk, "3 kHz"),
    "talk by the other wire": (gone("C101"), audio.talk, "3 kHz"),
    "a filter in the sense path that swallows pulses": (value("C101", "2.2u"), dialling.pulses, "ten breaks"),
    "the relay driver shorted": (joined("Q101", "+3V3", "/Line1/kd", "GND"), dialling.relay, "not armed"),
    "no diode at the relay's coil": (gone("D108"), dialling.relay, "at its driver"),
    "no pull-down at the relay's driver": (gone("R134"), dialling.relay, "pin floating"),
    "a small capacitor in the receive path": (value("C106", "4.7n"), audio.response, "against 1 kHz"),
    "a receive amplifier without its middle": (gone("R126"), audio.rest, "at rest"),
    "a small burden": (value("R122", "22"), audio.response, "Receive gain"),
    "a burden that drives the converter beyond its scale": (value("R122", "330"), audio.response, "Captured level"),
    "an echo that no proof finds": (value("C110", "22n"), playing.notice, "in what is captured"),
    "a grounded winding in the place of the split burden": (value("R123", "1m"), audio.balance, "RX"),
    "a notice path on one wire only": (value("R130", "10Meg"), playing.notice, "full drive"),
    "the notice loads the line": (value("R129", "10"), audio.insertion, "while the notice plays"),
    "a notice amplifier without its middle": (gone("R904"), playing.notice, "left of"),
    "no notice amplifier": (value("R131", "10Meg"), playing.notice, "full drive"),
    "a small notice capacitor": (value("C110", "100n"), playing.notice, "full drive"),
    "no thyristors": (lambda n: n.without("D101").without("D109"), surge.surge, "at the thyristor"),
    "no thyristor before the contact": (gone("D101"), contact.surge_on_it, "across it"),
    "no clamp at the notice driver": (gone("D107"), surge.surge, "notice driver"),
    "no clamp at the measuring amplifier": (gone("D102"), surge.surge, "measuring amplifier"),
    "a contact that is closed by its coil": (value("K102", "relay"), oneshot.without_power, "no power at all"),
    "a contact whose coil hangs on 5 V": (joined("K102", "+5V", *COIL[1:]), oneshot.without_power, "coil's rail"),
    "a contact in no wire": (joined("K102", *COIL[:3], "/TIP1", "/TIP1", "/TIP1"), contact.line, "off-hook after"),
    "a meter that measures behind the contact": (joined("F101", "/TIP_TEL1", "/Line1/t"), contact.line, "open, hand"),
    "no end to an opening": (gone("U111"), oneshot.bounded, "without end"),
    "an opening of ten seconds": (value("C118", "10u"), oneshot.bounded, "without end"),
    "an opening too short for an exchange": (value("C118", "1u"), oneshot.bounded, "without end"),
    "a contact that needs no pause": (gone("R141"), oneshot.pause, "after 1.6 s"),
    "a pin whose level opens": (joined("D111", "/CONTACT1", "/Line1/cr"), oneshot.dead_meter, "its pin low, high"),
    "edges whose charge remains": (value("R136", "10Meg"), oneshot.dead_meter, "the meter dies"),
    "a driver whose gate floats up at rest": (joined("R139", "+3V3", "/Line1/th"), oneshot.dead_meter, "at rest"),
    "edges too weak": (value("C116", "1n"), oneshot.edges, "first edge"),
    "its driver shorted": (joined("Q102", "+3V3", "/Line1/ck", "GND"), oneshot.dead_meter, "its pin low, high"),
    "no diode at the contact's coil": (gone("D110"), oneshot.coil, "at its driver"),
    "no thyristor behind the contact": (gone("D109"), contact.surge_on_it, "across it"),
    "no clamp at the burden": (lambda n: n.without("D105").without("D106"), surge.surge, "receive burden"),
}  # fmt: skip


def rows(row: Row, netlist: Netlist) -> Iterator[list[Finding]]:
    """The findings of a row, or of each limit of ringing in turn."""
    if row is ringing.ends_of_ringing:
        yield from (ringing.an_end_of_ringing(netlist, end) for end in ringing.ENDS)
    else:
        yield row(netlist)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_part_fails_its_row(name: str) -> None:
    mutate, row, what = MUTATIONS[name]
    tried = []
    for findings in rows(row, mutate(front_end())):
        found = [each for each in findings if what in each.what]
        assert found, f"no finding is called {what!r}"
        if not all(each.holds for each in found):
            return
        tried += [str(each) for each in found]
    pytest.fail(f"it holds all the same: {tried}")
