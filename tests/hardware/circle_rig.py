# SPDX-License-Identifier: Apache-2.0
"""The card's digital twin in a closed loop: linetap's commands drive the emulated part, its pins and ARM's edges drive
the drawn circuit, and the resulting line voltage is fed back to the part.

The meter's outputs depend on commands and time alone, never on a line. Therefore two turns suffice: the first, on idle
lines, gives the pins; the circuit driven by them gives VM; and the second, with that VM, must give the same pins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from driven_rig import RESTED_S, DrivenRig
from hardware_rig import drawn_card
from twin_rig import Found, changes, corners, edges_told, shares

from emulator.meter import played
from linetap.board.interface import Levels
from linetap_core.clock import NS_PER_S
from linetap_core.records import LEAST_OPEN_MS
from meter_rig import joined
from part_rig import LINES, STEP_NS, VOLTS_OF_ALL, pins
from rules.card import Card
from simulation.calls import battery, ohm_for, telephone
from simulation.netlist import Netlist
from simulation.spice import each
from twin.driven import Driven, Seen, simulated
from twin.wires import Levels as PinLevels
from twin.wires import coils, levels, meter_pins, moves

SOON_S = 0.01  # a telephone that is already lifted is so from then on
SAME_S = 2.5e-3
ON_HOOK_A = 100e-6  # the table's limit for an open contact
BEGINS_S = RESTED_S - 0.3  # start of the simulation: a telephone is lifted 0.1 s later
OPENS_S = 0.05  # after the command; the driver needs 24 ms, as in the table
CLOSES_S = 0.14  # after its end: capture polls every 40 ms, the driver needs 80 ms
LASTS_S = LEAST_OPEN_MS / 1000


@dataclass(frozen=True)
class Held:
    """A lifted telephone on a line, with start and end by the clock of the part's supply; `corner` is one of
    twin_rig.corners.
    """

    battery_v: float = 48
    off_hook_v: float = 9.6
    lifted: tuple[float, float] = (RESTED_S - 0.2, 99)
    corner: str = "as drawn"
    learnt: tuple[float, float] | None = None
    more: Sequence[str] = ()
    watched: tuple[float, float] | None = None  # the simulated interval; None: an idle line all the time

    def around(self, begins: float) -> list[str]:
        closed = [(max(self.lifted[0] - begins, SOON_S), self.lifted[1] - begins)]
        return [*battery(self.battery_v), *telephone(ohm_for(self.off_hook_v, self.battery_v), closed), *self.more]


@dataclass(frozen=True)
class Played:
    """The results of the second turn. Rows are lines."""

    rig: DrivenRig
    driven: list[Driven]
    seen: list[Seen | None]
    hook: list[Found]
    told: list[Found]

    def loop_open(self, row: int) -> Found:
        """The edges of the exchange's loop: open, as with a telephone on-hook, and closed."""
        seen = self.seen[row]
        assert seen is not None, "that line was not simulated"
        is_open = np.abs(np.array(seen.loop)) < ON_HOOK_A
        return [(seen.second[i], bool(is_open[i])) for i in np.flatnonzero(np.diff(is_open.astype(np.int8))) + 1]


Script = Callable[[DrivenRig], list[Levels]]


def first_turn(script: Script, elf: Path | None = None) -> DrivenRig:
    """Runs the script on idle lines."""
    rig = DrivenRig(pins([], 1.0), elf=elf)
    script(rig)
    return rig


def driven_by(rig: DrivenRig, card: Card | None = None) -> list[Driven]:
    """The effect of pins and ARM on each line, on the drawn card."""
    card = card or drawn_card()
    wired, coil = meter_pins(card), coils(card, rig.gpio.moved)

    def of(net: str) -> PinLevels:
        port, pin = wired[net]
        return levels(rig.part.chip.ports[port].changes, pin)

    return [Driven(of(f"/RELAY{i + 1}"), of(f"/CONTACT{i + 1}"), coil) for i in range(LINES)]


def circuit(calls: Sequence[Held], driven: Sequence[Driven], netlist: Netlist | None = None) -> list[Seen | None]:
    def one(row: int) -> Seen | None:
        call = calls[row]
        if call.watched is None:
            return None
        at = corners()[call.corner]
        return simulated(netlist or at.netlist, at.supply, call.around(call.watched[0]), driven[row], *call.watched)

    return each(one, range(len(calls)))


def second_turn(script: Script, calls: Sequence[Held], driven: list[Driven], seen: list[Seen | None]) -> Played:
    """Runs the script with the circuit's voltages; asserts that the pins are those of the first turn."""
    seconds = max(call.watched[1] for call in calls if call.watched)
    idle = np.full(round(seconds * NS_PER_S / STEP_NS), 0.5 - 48 / VOLTS_OF_ALL)
    rows = [
        idle if one is None else shares(list(zip(one.second, one.vm, strict=True)), seconds, corners()[call.corner])
        for call, one in zip(calls, seen, strict=True)
    ]
    rig = DrivenRig(played(np.array(rows), STEP_NS), [call.learnt for call in calls])
    found = joined(script(rig))
    assert all(map(same, driven_by(rig), driven)), "what a line shows moves the meter's pins"
    told = edges_told(bytes(rig.sent_by_part))
    hook = [changes(row) for row in found.hook]
    return Played(rig, driven, seen, hook, [told.get(i, []) for i in range(LINES)])


def same(one: Driven, other: Driven) -> bool:
    """Whether the same pins toggle in the same intervals: a command may be received a sample sooner or later."""
    return all(
        len(a) == len(b) and all(abs(x - y) < SAME_S for x, y in zip(chain(*a), chain(*b), strict=True))
        for a, b in ((moves(one.relay), moves(other.relay)), (pumped(one.contact), pumped(other.contact)))
    )


def pumped(contact: PinLevels) -> list[tuple[float, float]]:
    """The spans in which a contact's driver is pumped. A single edge pumps nothing: a part that is reset in mid-pumping
    has one, or none, by the half of the period in which it stopped.
    """
    return [(begins, ends) for begins, ends in moves(contact) if begins < ends]


def within(found: Found, *asked: tuple[float, float, bool]) -> bool:
    """Whether each edge lies within its limits (earliest, latest) and has its level."""
    return len(found) == len(asked) and all(
        early <= at <= late and level is due for (at, level), (early, late, due) in zip(found, asked, strict=True)
    )
