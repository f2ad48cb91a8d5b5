# SPDX-License-Identifier: Apache-2.0
"""The fleet's only thread: due events of the lines, events of the connections, and every unit in turn."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from linetap.reporter.link import Patience
from linetap_bench.fleet.pool import Pool
from linetap_bench.fleet.schedule import Call, Happening, steps_ns
from linetap_bench.fleet.unit import Identity, Unit
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock, ns_of, rfc3339

TELL_EVERY_S = 1
_SLICES = 50  # of the units, served in rotation: an idle unit gets two turns a second
_SLICE_MS = 10  # interval of the slices; back-off and patience are counted in seconds
_MOST_DUE = 500  # before the connections are served again


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the fleet; the three numbers of events are sums over all units."""

    t: str
    units: int
    connected: int
    calls: int
    events: int
    taken: int  # by a broker
    confirmed: int  # by the desk
    refused: int  # commands
    cpu_s: float


class Fleet:
    def __init__(
        self, identities: Iterable[Identity], lines: int, folder: Path, every_s: float, clock: Clock,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:  # fmt: skip
        """`folder`: the disks of the units. `every_s`: from one call on a line to the next."""
        self._clock, self._lines, self._every_s = clock, lines, every_s
        self._pool = Pool(clock)
        self.units = {one.name: Unit(one, lines, folder / one.name, self._pool, clock, patience) for one in identities}
        names = list(self.units)
        self._slices = itertools.cycle([names[at::_SLICES] for at in range(_SLICES)])
        self._steps = steps_ns(every_s)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []  # monotonic, number, action
        self._numbers = itertools.count()
        self._busy: set[tuple[str, int]] = set()
        self._active: set[str] = set()
        self._sweep_ns = 0
        self.calls = 0

    def busy_hour(self) -> None:
        """Starts a call every `every_s` on each line, from a random moment on."""
        now_ns = self._clock.monotonic_ns()
        for name in self.units:
            for line in range(1, self._lines + 1):
                self._at(now_ns + ns_of(random.random() * self._every_s), self._again(name, line))

    def schedule(self, happenings: Iterable[Happening]) -> None:
        now_ns = self._clock.monotonic_ns()
        for one in happenings:
            begins_ns = now_ns + one.at_s * NS_PER_S
            if one.kind == "storm":
                self._at(begins_ns, self._storm)
                continue
            names = list(self.units)[: one.units]
            self._at(begins_ns, lambda names=names: self._cut(names, True))  # type: ignore[misc]
            self._at(begins_ns + one.for_s * NS_PER_S, lambda names=names: self._cut(names, False))  # type: ignore[misc]

    def stop_calls(self) -> None:
        """Starts no further calls; calls in progress end."""
        self._agenda.clear()

    def turn(self) -> None:
        """Waits for the first event and handles it."""
        now_ns = self._clock.monotonic_ns()
        for _ in range(_MOST_DUE):
            if not self._agenda or self._agenda[0][0] > now_ns:
                break
            heapq.heappop(self._agenda)[2]()
        for name in self._active:
            self.units[name].turn()
        if now_ns >= self._sweep_ns:
            self._sweep_ns = now_ns + _SLICE_MS * NS_PER_MS
            for name in next(self._slices):
                self.units[name].turn()
        due_ns = min(self._sweep_ns, self._agenda[0][0] if self._agenda else self._sweep_ns)
        self._active = self._pool.turn(max(0.0, (due_ns - self._clock.monotonic_ns()) / NS_PER_S))

    def standing(self) -> Standing:
        units = self.units.values()
        return Standing(
            t=rfc3339(self._clock.utc_ns()),
            units=len(units),
            connected=self.connected,
            calls=self.calls,
            events=sum(unit.last_seq for unit in units),
            taken=sum(unit.taken for unit in units),
            confirmed=sum(unit.confirmed for unit in units),
            refused=sum(unit.refused for unit in units),
            cpu_s=round(time.process_time(), 2),
        )

    @property
    def connected(self) -> int:
        return sum(unit.link.connected for unit in self.units.values())

    @property
    def settled(self) -> bool:
        """Whether the desk has confirmed all events."""
        return all(unit.confirmed == unit.last_seq for unit in self.units.values())

    def end(self) -> None:
        for unit in self.units.values():
            unit.end()
        self._pool.close()

    # --- actions -------------------------------------------------------------------------------------------------

    def _at(self, due_ns: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (due_ns, next(self._numbers), action))

    def _again(self, name: str, line: int) -> Callable[[], None]:
        def action() -> None:
            self._call(name, line)
            self._at(self._clock.monotonic_ns() + ns_of(self._every_s), action)

        return action

    def _call(self, name: str, line: int) -> None:
        if (name, line) in self._busy:
            return
        self._busy.add((name, line))
        self.calls += 1
        unit, call, now_ns = self.units[name], Call(line, self._clock.utc_ns()), self._clock.monotonic_ns()

        def action(at: int) -> None:
            utc_ns = self._clock.utc_ns()
            step = self._steps[at][1]
            if (report := call.report(step, utc_ns)) is not None:
                unit.show(line, report)
            unit.report(call.event(step, utc_ns))
            self._active.add(name)
            if at + 1 < len(self._steps):
                self._at(now_ns + self._steps[at + 1][0], lambda: action(at + 1))
            else:
                self._busy.discard((name, line))

        action(0)

    def _storm(self) -> None:
        """Schedules an action for each call, so that a thousand units do not wait for one another."""
        now_ns = self._clock.monotonic_ns()
        for name in self.units:
            for line in range(1, self._lines + 1):
                self._at(now_ns, lambda name=name, line=line: self._call(name, line))  # type: ignore[misc]

    def _cut(self, names: list[str], held: bool) -> None:
        for name in names:
            self.units[name].link.held = held
            if held:
                self.units[name].link.drop()
