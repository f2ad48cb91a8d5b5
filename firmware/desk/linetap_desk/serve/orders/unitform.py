# SPDX-License-Identifier: Apache-2.0
"""The settings of one unit: name and place, line cards and their USB ports, each line, network and PBX. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from linetap_core.enrolment import order
from linetap_core.evidence.signing import unitnames
from linetap_desk.serve.orders import sections
from linetap_desk.serve.orders.fields import Form
from linetap_desk.serve.orders.sections import Network, Smdr
from linetap_desk.web.text import N_

MOST_CARDS, LINES_A_CARD = 4, 8
KINDS = ("", "station", "trunk", "exempt")
# A public exchange line has a telephone number, and a PBX may name a trunk by its number.
_EXTENSION = re.compile(r"[0-9*#]{1,15}", re.ASCII)
_TRUNK = re.compile(r"[0-9A-Za-z]{1,15}", re.ASCII)
MOST_PLACE = 80

SAYS = {
    "unit": N_("Enter 2 to 40 lower-case letters, digits and hyphens, such as floor-03."),
    "reserved": N_("This name is reserved. Enter another one, such as floor-03."),
    "place": N_("Enter at most 80 characters."),
    "port": N_("Enter a USB port as the kernel names it, such as 1-1.2."),
    "port_missing": N_("With several line cards each codec needs its USB port; only the first may stay empty."),
    "port_twice": N_("Another line card has this port."),
    "no_lines": N_("No line is connected. Choose what at least one of them is."),
    "no_line_of_card": N_("This line card has no line. Choose fewer line cards, or what one of its lines is."),
    "unconnected": N_("This line is not connected. Choose its use, or leave the number empty."),
    "extension": N_("Enter an extension or a telephone number of 1 to 15 digits."),
    "trunk": N_("Enter the trunk's name at the PBX, 1 to 15 letters or digits."),
    "number_twice": N_("Another line has this number."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line. `kind`: station, trunk or exempt. `number`: extension or name of the trunk; may be empty."""

    number: int
    kind: str
    name: str

    @property
    def card(self) -> int:
        return (self.number - 1) // LINES_A_CARD + 1

    @property
    def channel(self) -> int:
        return (self.number - 1) % LINES_A_CARD + 1


@dataclass(frozen=True, slots=True)
class Card:
    """A line card. `port`: USB port of its codec and meter; empty: of the only card."""

    number: int
    port: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit's settings. `smdr`: None without a PBX that prints its calls."""

    name: str
    place: str
    cards: list[Card]
    lines: list[Line]
    network: Network
    smdr: Smdr | None


def fields_of(cards: int) -> list[str]:
    """The names of the form's fields."""
    names = ["unit", "place", *sections.NETWORK_FIELDS, *sections.SMDR_FIELDS]
    names += [f"port{card}" for card in range(1, cards + 1)]
    lines = range(1, cards * LINES_A_CARD + 1)
    return names + [f"{what}{line}" for line in lines for what in ("kind", "number")]


def read(form: Form, cards: int) -> Unit | None:
    """The settings; None with mistakes."""
    name, place = form.text("unit", is_required=True), form.text("place")
    if name and not unitnames.is_name(name):
        form.wrong("unit", SAYS["unit"])
    elif unitnames.is_reserved(name) and name:
        form.wrong("unit", SAYS["reserved"])
    if len(place) > MOST_PLACE:
        form.wrong("place", SAYS["place"])
    found, lines = _cards(form, cards), _lines(form, cards)
    network, smdr = sections.read_network(form), sections.read_smdr(form)
    if form.mistakes:
        return None
    return Unit(name, place, found, lines, network, smdr)


def _cards(form: Form, cards: int) -> list[Card]:
    found: list[Card] = []
    for number in range(1, cards + 1):
        port = form.text(name := f"port{number}")
        if port and not order.is_port(port):
            form.wrong(name, SAYS["port"])
        if not port and number > 1:
            form.wrong(name, SAYS["port_missing"])
        if port and port in (one.port for one in found):
            form.wrong(name, SAYS["port_twice"])
        found.append(Card(number, port))
    return found


def _lines(form: Form, cards: int) -> list[Line]:
    found, names = [], set[str]()
    for number in range(1, cards * LINES_A_CARD + 1):
        kind, name = form.choice(f"kind{number}", KINDS), form.text(f"number{number}")
        name = (
            name if kind == "trunk" else name.replace("-", "")
        )  # written like a telephone number; a blank separates two
        at, known = f"number{number}", _TRUNK if kind == "trunk" else _EXTENSION
        if name and not kind:
            form.wrong(at, SAYS["unconnected"])
        elif name and not known.fullmatch(name):
            form.wrong(at, SAYS["trunk" if kind == "trunk" else "extension"])
        elif name and f"{kind == 'trunk'} {name}" in names:
            form.wrong(at, SAYS["number_twice"])
        names.add(f"{kind == 'trunk'} {name}")
        if kind:
            found.append(Line(number, kind, name))
    if not found:
        form.wrong("kind1", SAYS["no_lines"])
    for before, card in pairwise(range(cards + 1)):
        if found and not any(line.card == card for line in found):
            form.wrong(f"kind{before * LINES_A_CARD + 1}", SAYS["no_line_of_card"])
    return found
