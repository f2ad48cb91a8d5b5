# SPDX-License-Identifier: Apache-2.0
"""A card and its meter: its state while the meter sends and is silent, relays, and the levels in capture's ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cmeter_rig import CMeter, program
from linetap import learned
from linetap.board.interface import CardBoard, Levels
from linetap.board.meter.card import MeteredCard
from linetap.board.meter.contacts import MeterContacts
from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LearnedLimits
from linetap.board.meter.reader import Reader
from linetap.board.wires import Wires, wires_path
from linetap.boardchoice import open_card
from linetap.capture.lineaudio import LineAudio
from linetap.capture.lineleds import LineLights
from linetap.capture.loop import Loop
from linetap.capture.player import Player
from linetap.config.profile import MeterNumbers
from linetap.config.schema import Board, Card, Config, Keys, Line
from linetap.learned import LearnedWatch
from linetap.ring import NO_VOLTS, RingReader, RingWriter
from linetap_bench.exchange.meter import Measures, Meter, MeterOnPty
from linetap_bench.exchange.meterlines import VoltsAt, volts_on
from linetap_core import rundir
from linetap_core.clock import NS_PER_MS, SYSTEM, ManualClock
from linetap_core.durable.files import replace_in_ram
from linetap_core.errors import BadInput
from linetap_core.records import CaptureState, LineState, LineStatus, RecorderState, WalkedLine, WalkState
from meter_rig import BATCH_MS, START_NS, MeterRig, ringing, steps, volts_at

LIMIT_S = 120.0
WHEN = "2026-11-24T22:56:00.123Z"
IDLE = steps((0, -48))
CALL = steps((0, -48), (1, -8), (2, -48))


def unit(run_dir: Path, lines: int = 2, port: str | None = None, channel: int = 1) -> Config:
    return Config(
        unit="test",
        run_dir=str(run_dir),
        learned=str(run_dir / "learned"),
        board=Board(kind="simulated"),
        keys=Keys(custodians=["age1none"], overflow_epoch="age1none"),
        card=[Card(number=1, rate_hz=8000, meter_port=port)],
        line=[Line(number=10 + i, channel=channel + i) for i in range(lines)],
    )


class Armed:
    """An arm line that counts edges."""

    def __init__(self) -> None:
        self.beats = 0
        self.closed = False

    def beat(self) -> None:
        self.beats += 1

    def close(self) -> None:
        self.closed = True


class CardRig(MeterRig):
    """The MeterRig with the card in place of the reader."""

    def __init__(self, run_dir: Path, volts: VoltsAt, lines: int) -> None:
        super().__init__(volts, lines)
        self.config = unit(run_dir, lines)
        self.watch = LearnedWatch(Path(self.config.learned))
        self.learned = LearnedLimits(self.config, 1, self.watch)
        self.reader = Reader(
            self.cable, range(lines), Decider(self.learned.limits, [MeterNumbers()] * lines), self.clock
        )
        self.arm = Armed()
        numbers = [line.number for line in self.config.lines_of(1)]
        contacts = MeterContacts(self.reader, range(lines), numbers, self.clock)
        self.card = MeteredCard(self.arm, self.reader, range(lines), self.learned, contacts, self.clock)

    def levels(self, seconds: float) -> list[Levels]:
        found: list[Levels] = []
        for _ in range(round(seconds * 1000 / BATCH_MS)):
            self.clock.advance(BATCH_MS * NS_PER_MS)
            last = self.clock.monotonic_ns() - self.card.behind_ms * NS_PER_MS
            found += [self.card.levels(last - back * NS_PER_MS) for back in (30, 20, 10, 0)]
        return found


def test_nothing_is_known_and_no_relay_has_current_while_the_meter_is_silent(run_dir: Path) -> None:
    rig = CardRig(run_dir, volts_at(steps((0, -48), (0.5, -8)), IDLE), 2)
    last = rig.levels(1)[-1]
    assert last.hook[:, -1].tolist() == [True, False]
    assert last.volts.tolist() == [-800, -4800]
    rig.cable.deaf = True
    silent = rig.levels(0.5)[-1]
    assert not silent.hook.any()
    assert silent.volts.tolist() == [NO_VOLTS, NO_VOLTS]
    assert not rig.card.meter.connected
    before = rig.arm.beats
    rig.levels(2)
    assert rig.arm.beats == before
    rig.cable.deaf = False
    assert rig.levels(0.2)[-1].hook[:, -1].tolist() == [True, False]
    assert rig.card.meter.connected
    assert rig.arm.beats > before


def test_before_the_meter_speaks_nothing_is_known(run_dir: Path) -> None:
    rig = CardRig(run_dir, volts_at(CALL), 1)
    rig.cable.open = False
    assert all(levels.volts.tolist() == [NO_VOLTS] for levels in rig.levels(2))
    assert rig.arm.beats == 0


def test_what_is_learnt_while_capture_runs_counts(run_dir: Path) -> None:
    rig = CardRig(run_dir, volts_at(steps((0, -24), (1, -6), (2, -24))), 1)
    assert rig.levels(3)[-1].hook.all()
    learned.save(run_dir / "learned", 10, learned.Learned(on_hook_v=24, off_hook_v=6, learned_at=WHEN))
    rig.watch.poll()
    assert not rig.levels(0.4)[-1].hook.any()
    assert rig.meter.limits == [(1320, 1680)]


def test_relays_by_the_meter_open_when_nobody_asks_for_levels_any_more(run_dir: Path) -> None:
    rig = CardRig(run_dir, volts_at(IDLE, IDLE), 2)
    rig.levels(0.2)
    rig.card.relay(1, True)
    rig.levels(3)
    assert rig.meter.relays(rig.clock.monotonic_ns()) == 0b10
    rig.clock.advance(600 * NS_PER_MS)
    assert rig.meter.relays(rig.clock.monotonic_ns()) == 0
    rig.levels(0.2)
    assert rig.meter.relays(rig.clock.monotonic_ns()) == 0b10
    rig.card.relay(1, False)
    assert rig.meter.relays(rig.clock.monotonic_ns()) == 0
    rig.card.relay(0, True)
    assert rig.meter.relays(rig.clock.monotonic_ns()) == 0b01
    rig.card.close()
    assert rig.meter.relays(rig.clock.monotonic_ns()) == 0
    assert rig.arm.closed
    assert not rig.cable.open


def test_lights_follow_the_recorder_and_show_its_death(run_dir: Path) -> None:
    rig = CardRig(run_dir, volts_at(*[IDLE] * 3), 3)
    lights = LineLights(rig.config, 1, rig.card, rig.clock)
    lights.show()
    assert rig.meter.lights == [5, 5, 5]
    doing: tuple[LineStatus, ...] = ("idle", "ringing", "recording")
    lines = [LineState(line=10 + i, state=state, since=WHEN) for i, state in enumerate(doing)]
    state = RecorderState(
        service="recorder", version="1", pid=1, started_ns=0, mono_ns=rig.clock.monotonic_ns(), progress=1,
        unit="test", lines=lines, config_sha256="",
    )  # fmt: skip
    replace_in_ram(rundir.make_service_folder(run_dir, "recorder") / "recorder.json", msgspec.json.encode(state))
    lights.show()
    assert rig.meter.lights == [1, 2, 4]
    rig.clock.advance(2000 * NS_PER_MS)
    lights.show()
    assert rig.meter.lights == [5, 5, 5]


def test_lights_tell_of_a_walk_test_and_hide_no_call(run_dir: Path) -> None:
    rig = CardRig(run_dir, volts_at(*[IDLE] * 4), 4)
    lights = LineLights(rig.config, 1, rig.card, rig.clock)
    doing: tuple[LineStatus, ...] = ("fault", "recording", "idle", "off_hook")
    lines = [LineState(line=10 + i, state=state, since=WHEN) for i, state in enumerate(doing)]
    walked = [WalkedLine(line=10, colour="red"), WalkedLine(line=11, colour="green")]
    for step, shown in (("dial", [9, 4, 1, 6]), ("notice", [9, 4, 1, 3]), ("free", [9, 4, 1, 3])):
        walk = WalkState(began_at=WHEN, by="button", line=13, step=step, lines=walked)  # type: ignore[arg-type]
        state = RecorderState(
            service="recorder", version="1", pid=1, started_ns=0, mono_ns=rig.clock.monotonic_ns(), progress=1,
            unit="test", lines=lines, config_sha256="", walk=walk,
        )  # fmt: skip
        replace_in_ram(rundir.make_service_folder(run_dir, "recorder") / "recorder.json", msgspec.json.encode(state))
        lights.show()
        assert rig.meter.lights == shown


class SteadyCodec:
    """A codec in step with the test's clock: silence, and never a fault."""

    period = 80
    frame_bytes = 8 * 2
    buffer = 1600
    filled_at_start = 0

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._taken = 0
        self._began_ns = clock.monotonic_ns()
        self.available: Callable[[], int] = self._available
        self.room: Callable[[], int] = lambda: self.buffer  # what is written is played at once

    def _available(self) -> int:
        return (self._clock.monotonic_ns() - self._began_ns) // 125_000 - self._taken

    def restart_capture(self) -> None:
        self._taken, self._began_ns = 0, self._clock.monotonic_ns()

    def refill(self, periods: int = 4, /) -> int:
        return periods * self.period

    def wait(self, timeout_ms: int) -> bool:
        self._clock.advance(min(timeout_ms, 10) * NS_PER_MS)
        return False

    def read(self) -> bytes | None:
        self._taken += self.period
        return bytes(self.period * self.frame_bytes)

    def write(self, _data: bytes | None, /) -> int:
        return self.period


def capture_state(config: Config) -> CaptureState:
    return CaptureState(
        service="capture@1", version="1", pid=1, started_ns=0, mono_ns=0, progress=0, card=1, device_rate_hz=8000,
        device_format="S16_LE", channels=8, lines=[line.number for line in config.line], ring_locked=True,
        realtime=True,
    )  # fmt: skip


def test_the_ring_has_every_edge_where_it_was(run_dir: Path) -> None:
    """Capture's own loop: its slots have waited for their levels, from the first after the start on."""
    levels = [(0.1 * k, -8.0 if k % 2 else -48.0) for k in range(60)]
    rig = CardRig(run_dir, volts_at(steps(*levels), ringing(-48, 75, 20, 1, 2)), 2)
    config, card = rig.config, rig.config.card[0]
    rig.levels(0.4)
    lines = config.lines_of(1)
    with closing(RingWriter(run_dir, 1, [10, 11], 120, 8000)) as ring:
        player = Player(card, lines, {}, rig.card)
        codec = SteadyCodec(rig.clock)
        loop = Loop(card, codec, LineAudio(card, lines), ring, rig.card, player, rig.clock, capture_state(config))
        loop.start()
        while rig.clock.monotonic_ns() < START_NS + 4000 * NS_PER_MS:
            loop.turn()
        reader = RingReader(run_dir, 1, rig.clock)
        reader.seek(0, 0)
        found: list[int] = []
        with closing(reader):
            before = None
            while (batch := reader.read(64)) is not None:
                assert not batch.hook[1].any()
                for i, level in enumerate(batch.hook[0]):
                    if before is not None and level != before:
                        found.append(round((batch.mono_ns - START_NS) / NS_PER_MS) + i)
                    before = level
                newest = batch.mono_ns + batch.frames * 125_000
    assert found == list(range(found[0], found[-1] + 1, 100))
    assert found[0] <= 600
    assert found[-1] >= 3800
    assert found[0] % 100 == 0
    assert rig.clock.monotonic_ns() - newest <= 100 * NS_PER_MS


def turned_until[M: Measures](port: MeterOnPty[M], what: Callable[[], bool], doing: str) -> None:
    deadline = SYSTEM.monotonic_ns() + round(LIMIT_S * 1e9)
    while SYSTEM.monotonic_ns() < deadline:
        port.turn()
        if what():
            return
        SYSTEM.sleep(0.005)
    raise AssertionError(f"{doing}: not within {LIMIT_S} s")


class WiredMeter[M: Measures](MeterOnPty[M]):
    """A meter whose lines keep their state, however slow a busy machine is; line 1 is off-hook."""

    SHAPE = (2, 8000)  # milliseconds at a time, of the 16 s that the wires hold

    def __init__(self, meter: M, path: Path, wires: Wires) -> None:
        super().__init__(meter, path)
        self._wires, self._until_ms = wires, SYSTEM.monotonic_ns() // NS_PER_MS - 500
        self._hold()

    def turn(self, wait_s: float = 0.0) -> None:
        self._hold()
        super().turn(wait_s)

    def _hold(self) -> None:
        now_ms = SYSTEM.monotonic_ns() // NS_PER_MS
        if self._until_ms > now_ms + 4000:
            return
        hook, none = np.array([[True], [False]]) & np.ones(self.SHAPE, np.bool_), np.zeros(self.SHAPE, np.bool_)
        begin = max(self._until_ms, now_ms - 500)
        self._wires.put(begin, hook, none, none, np.where(hook, -800, -4800))
        self._until_ms = begin + self.SHAPE[1]


@contextmanager
def on_a_terminal[M: Measures](
    run_dir: Path, made: Callable[[VoltsAt], M]
) -> Iterator[tuple[MeterOnPty[M], CardBoard, Wires]]:
    """A simulated card of two lines with its meter, on a real terminal with the real clock."""
    config = unit(run_dir, port=str(run_dir / "meter-1"))
    board = open_card(config, 1, LearnedWatch(Path(config.learned)))
    wires = Wires.create(wires_path(run_dir, 1), 2)
    meter = made(volts_on(wires))
    with closing(WiredMeter(meter, run_dir / "meter-1", wires)) as port, closing(board), closing(wires):
        yield port, board, wires


def simulated(volts: VoltsAt) -> Meter:
    return Meter(volts, 2, SYSTEM.monotonic_ns())


def seen(board: CardBoard) -> bool:
    """Whether the board has the meter's present levels."""
    levels = board.levels(SYSTEM.monotonic_ns() - board.behind_ms * NS_PER_MS)
    assert board.meter is not None
    return board.meter.connected and levels.hook[:, -1].tolist() == [True, False] and int(levels.volts[0]) == -800


def test_unplugged_and_plugged_in_again(run_dir: Path) -> None:
    with on_a_terminal(run_dir, simulated) as (port, board, _):
        meter = board.meter
        assert meter is not None
        turned_until(port, lambda: seen(board), "the meter is heard")
        port.unplug()
        turned_until(port, lambda: not seen(board) and not meter.connected, "it is missed")
        assert not board.levels(SYSTEM.monotonic_ns()).hook.any()
        port.plug()
        turned_until(port, lambda: seen(board), "it is heard again")


def test_a_meter_that_nobody_reads_and_one_that_reads_nothing_hold_up_nobody(run_dir: Path) -> None:
    with on_a_terminal(run_dir, simulated) as (port, board, _):
        turned_until(port, lambda: seen(board), "the meter is heard")
        assert isinstance(board, MeteredCard)
        for _ in range(3000):
            board.lights([1, 1])  # more than a terminal holds, and nobody takes it
        for _ in range(200):
            port.meter._queue.append((0, bytes(1000)))
        port.turn()  # more than a terminal holds, too
        turned_until(port, lambda: seen(board), "the meter is heard again")


def test_the_program_of_a_real_meter_is_heard_and_missed(run_dir: Path) -> None:
    """linetap's own serial port and reader at one end, the C program at the other."""
    with ExitStack() as stack:

        def compiled(volts: VoltsAt) -> CMeter:
            return stack.enter_context(CMeter(program(), volts, SYSTEM.monotonic_ns()))

        port, board, _ = stack.enter_context(on_a_terminal(run_dir, compiled))
        assert isinstance(board, MeteredCard)
        turned_until(port, lambda: seen(board), "it is heard")
        board.lights([4, 1])
        turned_until(port, lambda: [lit[1:] for lit in port.meter.answers.lamps[-1:]] == [(1, 0)], "a lamp is lit")
        port.unplug()
        turned_until(port, lambda: not seen(board), "it is missed")
        port.plug()
        turned_until(port, lambda: seen(board), "it is heard again")


def test_no_meter_at_the_port(run_dir: Path) -> None:
    config = unit(run_dir, port=str(run_dir / "nothing"))
    with closing(open_card(config, 1, LearnedWatch(Path(config.learned)))) as board:
        assert board.meter is not None
        for _ in range(20):
            assert not board.levels(SYSTEM.monotonic_ns()).hook.any()
        assert not board.meter.connected


def test_a_line_on_a_channel_that_no_meter_has(run_dir: Path) -> None:
    config = unit(run_dir, port="/dev/null", channel=8)
    with pytest.raises(BadInput, match="line 11 is on channel 9"):
        open_card(config, 1, LearnedWatch(Path(config.learned)))
