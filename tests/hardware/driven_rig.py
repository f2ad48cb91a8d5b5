# SPDX-License-Identifier: Apache-2.0
"""The card as a twin, driven: linetap's commands go to the emulated part, its pins and ARM's edges to the drawn
circuit, and what the line then shows goes back to the part.

What the meter drives follows from commands and time alone, never from a line. So two turns are enough: the first, on
idle lines, gives the pins, the circuit driven by them gives VM, and the second, with that VM, must give the same pins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hardware_rig import drawn_card
from twin_rig import Found, changes, edges_told, ends, limits, shares

from fake_gpio import FakeGpio
from linetap.board.hardware import ArmLine
from linetap.board.interface import PERIOD_MS, Levels
from linetap.board.meter.card import MeteredCard
from linetap.board.meter.contacts import MeterContacts
from linetap.board.meter.limits import LearnedLimits
from linetap.capture.contacts import Contacts
from linetap.capture.player import Player
from linetap.config.schema import Board, Card, Config, Keys, Line
from linetap_core.clock import NS_PER_MS, ManualClock
from linetap_core.records import CaptureState
from meter_rig import BATCH_MS, BEHIND_MS, START_NS, joined
from part.converter import Inputs
from part.meter import played
from part_rig import LINES, STEP_NS, VOLTS_OF_ALL, PartRig, pins
from rules.card import Card as Drawn
from simulation.calls import battery, ohm_for, telephone
from simulation.netlist import Netlist
from simulation.spice import each
from twin.driven import Driven, Seen, simulated
from twin.wires import NS, coils, levels, meter_pins, moves
from twin.wires import Levels as PinLevels

ARM_PIN = 16
RESTED_S = 3.2  # a contact opens no sooner after the meter's start
SOON_S = 0.01  # a telephone that is lifted already is so from then on
SAME_S = 2.5e-3
ON_HOOK_A = 100e-6  # the table's row of an open contact
CARD = Card(number=1, rate_hz=8000, channels=LINES, contacts=True)
LINE_LIST = [Line(number=i + 1, channel=i + 1) for i in range(LINES)]
_folder = TemporaryDirectory(prefix="linetap-driven-")


class TimedGpio(FakeGpio):
    """`moved`: (second, level) of the pin that arms, since the part has its supply."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.moved: PinLevels = []

    def output(self, channel: int, value: int, /) -> None:
        super().output(channel, value)
        self.moved.append(((self._clock.monotonic_ns() - START_NS) / NS, bool(value)))


class DrivenRig(PartRig):
    """As PartRig, asked and commanded as capture does it: its own contacts, card, ARM line."""

    def __init__(self, inputs: Inputs, calls: Sequence[Held] = (), elf: Path | None = None) -> None:
        super().__init__(inputs, elf, limits=[limits(call.learnt) for call in calls] or None)
        self.gpio = TimedGpio(self.clock)
        self.arm = ArmLine(self.gpio, ARM_PIN, self.clock)
        learned = LearnedLimits(_config(), CARD.number)
        learned.limits = self.limits
        numbers = [line.number for line in LINE_LIST]
        contacts = MeterContacts(self.reader, range(LINES), numbers, self.clock)
        self.card = MeteredCard(self.arm, self.reader, range(LINES), learned, contacts, self.clock)
        self.reported: list[tuple[float, tuple[int, ...]]] = []  # lines that the meter reports open
        self.suspected: set[int] = set()  # lines whose contact capture took for stuck open at any time
        self.refused: list[str | None] = []
        self.cut_next = False  # of what is written next, the second half is lost
        self.heard = bytearray()
        self._read, self._write = self.cable.read, self.cable.write
        self.cable.read = self._listen  # type: ignore[method-assign]
        self.cable.write = self._cut  # type: ignore[method-assign]
        self.capture_begins()

    def capture_begins(self) -> None:
        """A capture that knows nothing of the one before."""
        self.state = CaptureState(
            service="capture@1", version="0", pid=1, started_ns=0, mono_ns=0, progress=0, card=1, device_rate_hz=8000,
            device_format="S16_LE", channels=LINES, lines=[line.number for line in LINE_LIST], ring_locked=True,
            realtime=True,
        )  # fmt: skip
        player = Player(CARD, LINE_LIST, {}, self.card)
        self.contacts = Contacts(CARD, LINE_LIST, self.card, player, self.clock, self.state)

    @property
    def now_s(self) -> float:
        return (self.clock.monotonic_ns() - START_NS) / NS

    def open(self, line: int, ms: int = 1700) -> None:
        self.refused.append(self.contacts.open(line, ms))

    def turns(self, seconds: float) -> list[Levels]:
        """As capture's loop, until then."""
        found: list[Levels] = []
        while self.now_s < seconds - 1e-6:
            self.clock.advance(BATCH_MS * NS_PER_MS)
            last = self.clock.monotonic_ns() - BEHIND_MS * NS_PER_MS
            for back in range(BATCH_MS - PERIOD_MS, -1, -PERIOD_MS):
                found.append(self.card.levels(last - back * NS_PER_MS))
                self.contacts.follow(found[-1])
            self.contacts.turn()
            self.contacts.report()
            self.suspected |= set(self.state.contact_open)
            opened = tuple(self.card.meter.opened)
            if not self.reported or self.reported[-1][1] != opened:
                self.reported.append((self.now_s, opened))
        return found

    def silent(self, seconds: float) -> None:
        """linetap says nothing to the meter until then, and ARM has its edges."""
        while self.now_s < seconds - 1e-6:
            self.clock.advance(BATCH_MS * NS_PER_MS)
            self.arm.beat()
            self.cable.read()

    def _listen(self) -> bytes:
        data = self._read()
        self.heard.extend(data)
        return data

    def _cut(self, data: bytes) -> None:
        self._write(data[: len(data) // 2] if self.cut_next else data)
        self.cut_next = False


@dataclass(frozen=True)
class Held:
    """A telephone that is lifted on a line, from and to, by the clock of the part's supply. `end`: of twin_rig.ends."""

    battery_v: float = 48
    off_hook_v: float = 9.6
    lifted: tuple[float, float] = (RESTED_S - 0.2, 99)
    end: str = "as drawn"
    learnt: tuple[float, float] | None = None
    more: Sequence[str] = ()
    watched: tuple[float, float] | None = None  # what is simulated; None: an idle line all the time

    def around(self, begins: float) -> list[str]:
        closed = [(max(self.lifted[0] - begins, SOON_S), self.lifted[1] - begins)]
        return [*battery(self.battery_v), *telephone(ohm_for(self.off_hook_v, self.battery_v), closed), *self.more]


@dataclass(frozen=True)
class Played:
    """What came of it, of the second turn. Rows are lines."""

    rig: DrivenRig
    driven: list[Driven]
    seen: list[Seen | None]
    hook: list[Found]
    told: list[Found]

    def loop_open(self, row: int) -> Found:
        """When the exchange has no loop, as of a telephone that is on-hook, and when it has one."""
        seen = self.seen[row]
        assert seen is not None, "that line was not simulated"
        is_open = np.abs(np.array(seen.loop)) < ON_HOOK_A
        return [(seen.second[i], bool(is_open[i])) for i in np.flatnonzero(np.diff(is_open.astype(np.int8))) + 1]


Script = Callable[[DrivenRig], list[Levels]]


def first_turn(script: Script, elf: Path | None = None) -> DrivenRig:
    """On idle lines."""
    rig = DrivenRig(pins([], 1.0), elf=elf)
    script(rig)
    return rig


def driven_by(rig: DrivenRig, card: Drawn | None = None) -> list[Driven]:
    """What pins and ARM do to each line, as the card is drawn."""
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
        drawn, supply = ends()[call.end]
        return simulated(netlist or drawn, supply, call.around(call.watched[0]), driven[row], *call.watched)

    return each(one, range(len(calls)))


def second_turn(script: Script, calls: Sequence[Held], driven: list[Driven], seen: list[Seen | None]) -> Played:
    """With what the circuit gave. The pins are those of the first turn, or the circle is not closed."""
    seconds = max(call.watched[1] for call in calls if call.watched)
    idle = np.full(round(seconds * NS / STEP_NS), 0.5 - 48 / VOLTS_OF_ALL)
    rows = [
        idle if one is None else shares(list(zip(one.second, one.vm, strict=True)), seconds, ends()[call.end][1])
        for call, one in zip(calls, seen, strict=True)
    ]
    rig = DrivenRig(played(np.array(rows), STEP_NS), calls)
    found = joined(script(rig))
    assert all(map(same, driven_by(rig), driven)), "what a line shows moves the meter's pins"
    told = edges_told(bytes(rig.heard))
    hook = [changes(row) for row in found.hook]
    return Played(rig, driven, seen, hook, [told.get(i, []) for i in range(LINES)])


def same(one: Driven, other: Driven) -> bool:
    """Whether the same pins move, from and to the same time: a command may be heard a sample sooner or later."""
    return all(
        len(a) == len(b) and all(abs(x - y) < SAME_S for x, y in zip(chain(*a), chain(*b), strict=True))
        for a, b in ((moves(one.relay), moves(other.relay)), (moves(one.contact), moves(other.contact)))
    )


def _config() -> Config:
    return Config(
        unit="test", run_dir=_folder.name, learned=f"{_folder.name}/learned", board=Board(kind="simulated"),
        keys=Keys(custodians=["age1none"], overflow_epoch="age1none"), card=[CARD], line=LINE_LIST,
    )  # fmt: skip
