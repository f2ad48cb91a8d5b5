# SPDX-License-Identifier: Apache-2.0
"""A simulated card in the production test's fixture: its port, its codec and the fixture.

The answers of its lines are ngspice's, for the drawn net or one with a fault (simulation/production.py); its meter is
the simulated one, on a clock moved by the test. Its samples have the converter's steps and noise.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from cmeter_rig import LOOP_CLOSED, CMeter
from linetap.board.meter.protocol import MOST_CHANNELS
from linetap.cardtest.command import measured
from linetap.cardtest.meterlink import MeterLink
from linetap.cardtest.rows import CardReport, Sheet, rows
from linetap.cardtest.sound import PLAYED, Waves
from linetap.ring import I16
from linetap_bench.exchange.meter import Faults, Meter
from linetap_bench.exchange.meterlines import Edge, MeterLines
from linetap_core.clock import NS_PER_MS, ManualClock
from meter_rig import START_NS, Cable
from simulation.netlist import Netlist
from simulation.production import METER_HZ, Answers, answers

STEP_V, NOISE_V = 0.12, 0.06  # of the meter's converter; its noise is assumed
DRAWN_MS = 2000  # of noise, at once
FLOOR_DB = -110.0  # of the codec
CLOSES_MS = 60  # after the meter's last edge
BESIDE_DB = -69.9  # a neighbour's notice
RATE_HZ, HEARD_FRAMES = 48_000, 14_400


@cache
def sound_line() -> Answers:
    return answers(Netlist.read().line(1))


class NoEdges(MeterLines):
    """A reader without edges: the test reads samples, and edge detection would take half of the time."""

    def push(self, first: int, volts: I16, frame: int) -> list[list[Edge]]:  # noqa: ARG002
        return [[] for _ in range(0, volts.shape[1], frame)]


class Sampling(Meter):
    dead = False

    def sent_until(self, now_ns: int) -> bytes:
        return b"" if self.dead else super().sent_until(now_ns)

    def lose(self, share: float) -> None:
        """Loses this share of its frames from now on."""
        self._faults = Faults(lost=share)

    def restart(self, now_ns: int, beginning_us: int = 0) -> None:
        super().restart(now_ns, beginning_us)
        self._lines = NoEdges(MOST_CHANNELS)


class InC(CMeter):
    """The meter's own program instead of the simulated one."""

    @property
    def opened(self) -> int:
        return self.answers.contacts[-1][1] if self.answers.contacts else 0

    def relays(self, _now_ns: int) -> int:
        return self.answers.relays[-1][1] if self.answers.relays else 0

    @property
    def tamper(self) -> bool:
        return self.tamper_code != LOOP_CLOSED

    @tamper.setter
    def tamper(self, is_open: bool) -> None:
        self.tamper_code = 0 if is_open else LOOP_CLOSED


class BenchCard:
    """`lines` are the answers of each; `wired` maps a channel to the line of its relay and contact."""

    beside_db = BESIDE_DB

    def __init__(self, lines: Sequence[Answers], wired: Sequence[int] | None = None, lid_works: bool = True) -> None:
        self.lines, self.wired = list(lines), list(wired or range(MOST_CHANNELS))
        self.lid_works = lid_works
        self.clock = ManualClock(monotonic_ns=START_NS)
        self.meter: Sampling | InC = Sampling(self.volts, MOST_CHANNELS, START_NS)
        self.state, self.rate_hz = "open", RATE_HZ
        self._played: tuple[tuple[int, ...], float] = ((), 0.0)
        self._since: dict[int, int] = {}  # channel -> the millisecond of its contact's command
        self._until: dict[int, int] = {}  # line -> end of its contact's opening
        names = ("absent_v", "fed_v", "reversed_v", "loop_v")
        self._answers = {name: np.array([getattr(made, name) for made in self.lines]) for name in names}
        self._random = np.random.default_rng(1)
        self._noise = np.zeros((MOST_CHANNELS, 0))

    # The fixture.

    def set(self, state: str) -> None:
        self.state = state
        self.meter.tamper = state == "lid" and self.lid_works

    def read(self, instrument: str, line: int) -> float | None:
        made = self.lines[line - 1]
        if not instrument.startswith("spark"):
            return {"pair_mohm": 11.5, "earth_mohm": 7.8}[instrument]
        both = {"spark_exchange_v": made.spark_exchange_v, "spark_telephone_v": made.spark_telephone_v}
        opened = self._until.get(line - 1, 0) > self.clock.monotonic_ns() // NS_PER_MS
        return both[instrument] if opened else min(both.values())

    # The codec.

    def play(self, lines: Sequence[int], hz: float) -> None:
        self._played = (tuple(lines), hz)

    def captured(self) -> Waves:
        lines, hz = self._played
        levels = np.full(MOST_CHANNELS, FLOOR_DB)
        for line in lines:
            levels[line] = self._echo_db(line, hz)
            if self._closed(line):
                levels[[i for i in range(MOST_CHANNELS) if i not in lines]] = levels[line] + self.beside_db
        at = np.arange(HEARD_FRAMES) / RATE_HZ
        amplitudes = np.maximum(PLAYED * 10 ** (levels / 20), 10 ** (FLOOR_DB / 20))
        waves: Waves = amplitudes[:, None] * np.sin(2 * np.pi * hz * at)[None]
        return waves

    def close(self) -> None:
        pass

    def _commanded(self, line: int) -> bool:
        return bool(self.meter.relays(self.clock.monotonic_ns()) >> self.wired.index(line) & 1)

    def _closed(self, line: int) -> bool:
        return self._commanded(line) and self.state != "unarmed"

    def _echo_db(self, line: int, hz: float) -> float:
        made = self.lines[line]
        if self._commanded(line):
            return (made.unarmed_db if self.state == "unarmed" else made.echo_db)[round(hz)]
        return made.rest_db[round(hz)]

    # The lines, as the meter samples them.

    def volts(self, first_ms: int, ms: int) -> I16:
        self._follow(first_ms)
        at = np.arange(first_ms, first_ms + ms)
        volts = np.repeat(self._steady()[:, None], ms, axis=1)
        for line, until in self._until.items():
            if until > first_ms and self.state in ("loop", "lid", "unarmed"):
                begins, ends = self._window(line)
                volts[line, (at >= begins) & (at < ends)] = self.lines[line].open_v
        if self._played[1] == METER_HZ:
            for line in (line for line in self._played[0] if self._closed(line)):
                volts[line] += PLAYED * np.sqrt(2) * 10 ** (self.lines[line].meter_db / 20) * _tone(at)
        volts += self._noise_of(ms)
        read: I16 = (np.rint(volts / STEP_V) * round(STEP_V * 100)).astype(np.int16)
        return read

    def _noise_of(self, ms: int) -> npt.NDArray[np.float64]:
        """(lines, ms), drawn for many calls at once."""
        if self._noise.shape[1] < ms:
            self._noise = self._random.normal(0, NOISE_V, (MOST_CHANNELS, DRAWN_MS + ms))
        noise, self._noise = self._noise[:, :ms], self._noise[:, ms:]
        return noise

    def _steady(self) -> npt.NDArray[np.float64]:
        by_state = {"open": "absent_v", "feed": "fed_v", "reversed": "reversed_v", "spark": "absent_v"}
        volts = self._answers[by_state.get(self.state, "loop_v")].copy()
        if self.meter.relays(self.clock.monotonic_ns()) and self.state not in by_state:
            for line in filter(self._closed, range(MOST_CHANNELS)):
                volts[line] = self.lines[line].playing_v
        return volts

    def _follow(self, now_ms: int) -> None:
        if not self.meter.opened and not self._since:
            return
        for channel, line in enumerate(self.wired):
            made = self.lines[line]
            if self.meter.opened >> channel & 1 and (self.state != "unarmed" or made.unarmed_opens):
                self._since.setdefault(channel, now_ms)
                longest = self._begins(channel) + made.open_ms
                self._until[line] = int(min(longest, now_ms + CLOSES_MS)) if made.open_ms else 0
            elif channel in self._since and now_ms >= self._until[line]:
                del self._since[channel], self._until[line]

    def _begins(self, channel: int) -> int:
        return self._since[channel] + round(np.nan_to_num(self.lines[self.wired[channel]].delay_ms))

    def _window(self, line: int) -> tuple[int, int]:
        return self._begins(self.wired.index(line)), self._until[line]


def _tone(at_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    tone: npt.NDArray[np.float64] = np.sin(2 * np.pi * METER_HZ * at_ms / 1000)
    return tone


def card(**fault: object) -> BenchCard:
    """A sound card except for line 1's answers."""
    sound = sound_line()
    return BenchCard([replace(sound, **fault), *[sound] * (MOST_CHANNELS - 1)])  # type: ignore[arg-type]


def report_on(made: BenchCard, lines: Sequence[int] = (1, 2), volts: float = 48.0) -> CardReport:
    args = argparse.Namespace(serial="LT-0001", port="/nowhere", volts=volts)
    link = MeterLink(Cable(made.meter, made.clock), made.clock)
    return measured(link, made, made, Sheet(rows(volts), io.StringIO()), args, made.clock, lines)


def failed(report: CardReport) -> set[tuple[str, int]]:
    return {(each.row, each.line) for each in report.rows if not each.holds}
