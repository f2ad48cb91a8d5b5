# SPDX-License-Identifier: Apache-2.0
"""Finds what detects a wrong card: the first broken rule, or the first simulated row out of its limits."""

from __future__ import annotations

from collections.abc import Callable

from drawing.tables import Kind
from linetap_core.errors import Refusal
from rules.card import Card, Fitted
from rules.table import broken
from simulation import audio, contact, dialling, levels, oneshot, playing, production, surge
from simulation.finding import Finding
from simulation.netlist import Netlist

SENSE, RECEIVE, NOTICE, CONTACT, EDGES, LASTS = (
    "Sense", "Receive", "Notice", "Contact", "Contact: edges", "Contact: 3 s at most",
)  # fmt: skip
PROTECTION, STRING, BUFFERS = "Protection", "String", "Buffers"
ROWS: dict[str, tuple[Callable[[Netlist], list[Finding]], set[str]]] = {  # with the blocks whose parts they depend on
    "rest": (audio.rest, {RECEIVE, STRING, BUFFERS}),
    "dc_load": (levels.dc_load, {SENSE, RECEIVE, NOTICE, PROTECTION}),
    "reading": (levels.as_drawn, {SENSE, PROTECTION, STRING, BUFFERS}),
    "response": (audio.response, {RECEIVE, PROTECTION}),
    "talk": (audio.talk, {SENSE}),
    "insertion": (audio.insertion, {NOTICE, CONTACT, PROTECTION}),
    "balance": (audio.balance, {RECEIVE, NOTICE}),
    "relay": (dialling.relay, {NOTICE}),
    "contact_power": (oneshot.without_power, {CONTACT, EDGES, LASTS, STRING}),
    "contact_pause": (oneshot.pause, {LASTS}),
    "contact_line": (contact.line, {CONTACT, PROTECTION}),
    "references": (production.middles, {STRING, BUFFERS}),
    "surge": (surge.surge, {SENSE, RECEIVE, NOTICE, PROTECTION}),
    "notice": (playing.notice, {NOTICE, BUFFERS}),
    "contact_dead_meter": (oneshot.dead_meter, {EDGES, LASTS}),
    "contact_coil": (oneshot.coil, {CONTACT}),
    "contact_edges": (oneshot.edges, {EDGES, STRING}),
    "contact_bounded": (oneshot.bounded, {LASTS}),
    "contact_surge": (contact.surge_on_it, {CONTACT, PROTECTION}),
}
SIMULATED = {"Line1", "references"}


def by_rules(card: Card) -> str | None:
    for rule, sentence in broken(card):
        return f"rule {rule}: {sentence}"
    return None


def by_simulation(before: Card, after: Card) -> str | None:
    """The first failing row; only the rows that depend on the changed blocks are simulated."""
    blocks = {part.block for part in _changed(before, after) if part.sheet in SIMULATED}
    netlist = after.netlist().line(1)
    for name, (row, tells) in ROWS.items():
        if not tells & blocks:
            continue
        try:
            for finding in row(netlist):
                if not finding.holds:
                    return f"row {name}: {finding}"
        except Refusal as refusal:
            return f"row {name}: {refusal}"
        except KeyError as missing:
            return f"row {name}: {missing} is not there"
    return None


def _changed(before: Card, after: Card) -> list[Fitted]:
    """The parts with another kind, value, rating or net, in either card."""

    def seen(part: Fitted | None) -> tuple[Kind, dict[str, str]] | None:
        return (part.kind, part.nets) if part else None

    names = before.parts.keys() | after.parts.keys()
    one, other = before.parts, after.parts
    return [one.get(name) or other[name] for name in sorted(names) if seen(one.get(name)) != seen(other.get(name))]


def judged(before: Card, after: Card) -> str | None:
    """The first rule or row that detects the change; None if there is none."""
    return by_rules(after) or by_simulation(before, after)
