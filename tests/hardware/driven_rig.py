# SPDX-License-Identifier: Apache-2.0
"""The emulated part at linetap's cable, polled and commanded as by capture; its pins and ARM's edges are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from twin_rig import limits

from emulator.converter import Inputs
from fake_gpio import FakeGpio
from linetap.board.hardware import ArmLine
from linetap.board.interface import PERIOD_MS, Levels
from linetap.board.meter.card import MeteredCard
from linetap.board.meter.contacts import MeterContacts
from linetap.board.meter.limits import LearnedLimits
from linetap.capture.contacts import Contacts
from linetap.capture.player import Player
from linetap.config.schema import Board, Card, Config, Keys, Line
from linetap.learned import LearnedWatch
from linetap_core.clock import NS_PER_MS, NS_PER_S, ManualClock
from linetap_core.records import LEAST_OPEN_MS, CaptureState
from meter_rig import BATCH_MS, BEHIND_MS, START_NS
from part_rig import LINES, PartRig
from twin.wires import Levels as PinLevels

ARM_PIN = 16
RESTED_S = 3.2  # a contact opens no sooner after the meter's start
CARD = Card(number=1, rate_hz=8000, channels=LINES, contacts=True)
LINE_LIST = [Line(number=i + 1, channel=i + 1) for i in range(LINES)]
_folder = TemporaryDirectory(prefix="linetap-driven-")


class TimedGpio(FakeGpio):
    """`moved`: (second, level) of the arming pin, counted from the part's power-on."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.moved: PinLevels = []

    def output(self, channel: int, value: int, /) -> None:
        super().output(channel, value)
        self.moved.append(((self._clock.monotonic_ns() - START_NS) / NS_PER_S, bool(value)))


class DrivenRig(PartRig):
    """A PartRig with capture's own contacts, card and ARM line. `learnt`: of each line, for `twin_rig.limits`."""

    def __init__(
        self, inputs: Inputs, learnt: Sequence[tuple[float, float] | None] = (), elf: Path | None = None
    ) -> None:
        super().__init__(inputs, elf, limits=list(map(limits, learnt)) or None)
        self.gpio = TimedGpio(self.clock)
        self.arm = ArmLine(self.gpio, ARM_PIN, self.clock)
        learned = LearnedLimits(_config(), CARD.number, LearnedWatch(Path(_config().learned)))
        learned._limits = self.limits
        numbers = [line.number for line in LINE_LIST]
        contacts = MeterContacts(self.reader, range(LINES), numbers, self.clock)
        self.card = MeteredCard(self.arm, self.reader, range(LINES), learned, contacts, self.clock)
        self.reported: list[tuple[float, tuple[int, ...]]] = []  # lines reported open by the meter
        self.suspected: set[int] = set()  # lines whose contact capture ever suspected to be stuck open
        self.refused: list[str | None] = []
        self.cut_next = False  # the second half of the next write is lost
        self.sent_by_part = bytearray()
        self._read, self._write = self.cable.read, self.cable.write
        self.cable.read = self._listen  # type: ignore[method-assign]
        self.cable.write = self._cut  # type: ignore[method-assign]
        self.capture_begins()

    def capture_begins(self) -> None:
        """Starts a new capture, without the state of the previous one."""
        self.state = CaptureState(
            service="capture@1", version="0", pid=1, started_ns=0, mono_ns=0, progress=0, card=1, device_rate_hz=8000,
            device_format="S16_LE", channels=LINES, lines=[line.number for line in LINE_LIST], ring_locked=True,
            realtime=True,
        )  # fmt: skip
        player = Player(CARD, LINE_LIST, {}, self.card)
        self.contacts = Contacts(CARD, LINE_LIST, self.card, player, self.clock, self.state)

    @property
    def now_s(self) -> float:
        return (self.clock.monotonic_ns() - START_NS) / NS_PER_S

    def open(self, line: int, ms: int = LEAST_OPEN_MS) -> None:
        self.refused.append(self.contacts.open(line, ms))

    def turns(self, seconds: float) -> list[Levels]:
        """Runs capture's loop until then."""
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
        """Sends nothing to the meter until then; ARM has its edges."""
        while self.now_s < seconds - 1e-6:
            self.clock.advance(BATCH_MS * NS_PER_MS)
            self.arm.beat()
            self.cable.read()

    def _listen(self) -> bytes:
        data = self._read()
        self.sent_by_part.extend(data)
        return data

    def _cut(self, data: bytes) -> None:
        self._write(data[: len(data) // 2] if self.cut_next else data)
        self.cut_next = False


def _config() -> Config:
    return Config(
        unit="test", run_dir=_folder.name, learned=f"{_folder.name}/learned", board=Board(kind="simulated"),
        keys=Keys(custodians=["age1none"], overflow_epoch="age1none"), card=[CARD], line=LINE_LIST,
    )  # fmt: skip
