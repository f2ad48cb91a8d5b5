# SPDX-License-Identifier: Apache-2.0
"""Broker -> units -> a screen, or lines. What this cannot keep up with waits at the broker."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TextIO

import msgspec
from rich.console import Console

from linetap.broker.connection import Arrived, Connected, Ended
from linetap.clock import NS_PER_MS, Clock, rfc3339
from linetap.desk.ingest.link import Link, Patience
from linetap.desk.watch.screen import Redrawn, Screen
from linetap.desk.watch.settings import Settings
from linetap.desk.watch.units import TOPICS, Change, Unit, Units
from linetap.errors import BadInput
from linetap.service import Stop

TURN_S = 0.1
JUDGE_EVERY_MS = 500
DRAW_EVERY_MS = 250
QUIET_MS = 1000  # without anything retained: the broker has told all it had
TELL_MS = 20_000  # one that does not come to an end has told enough
ANSWER_MS = 10_000
_WIDE = 240  # characters of a line that goes into a file
UNWELL = ("fault", "unheard", "offline", "late")


def run(settings: Settings, args: argparse.Namespace, clock: Clock) -> int:
    """Until SIGTERM or Ctrl-C; with --once 1 where a unit is UNWELL, and BadInput where no broker answers."""
    logging.getLogger("linetap").addHandler(logging.NullHandler())  # what a connection says stands in head and lines
    watcher = Watcher(settings, clock)
    console = Console(file=sys.stdout)
    screen = Screen(watcher.units, settings.places, args.language)
    try:
        if args.once:
            return _once(watcher, console, screen, args.json, clock)
        stop = Stop()
        if args.json or not console.is_terminal:
            _lines(watcher, sys.stdout, stop, args.json)
        else:
            _screen(watcher, Redrawn(console, screen), stop, clock)
    finally:
        watcher.close()
    return 0


class Watcher:
    """`turn()` often: the changes since, each with `t`, the desk's time."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock, self.broker = clock, f"{settings.broker.host}:{settings.broker.port}"
        self.units = Units(settings.places.named)
        self._link = Link(settings.broker, settings.client_id, TOPICS, clock, Patience(), session_s=0)
        self._judge_ns = self._retained_ns = self._began_ns = 0
        self.connected = False
        self.told_all = False  # what the broker had retained
        self.why = "not connected yet"  # why there is no broker

    def turn(self) -> list[Change]:
        self._link.turn()
        changes: list[Change] = []
        for happening in self._link.happened(TURN_S):
            match happening:
                case Arrived(topic=topic, payload=payload, retained=retained, expiry_s=expiry_s):
                    now_ns = self._clock.monotonic_ns()
                    self._retained_ns = now_ns if retained else self._retained_ns
                    if (change := self.units.take(topic, payload, now_ns, retained, expiry_s)) is not None:
                        changes.append(change)
                    happening.acknowledge()
                case Connected():
                    self.connected, self.why = True, ""
                    self._retained_ns = self._began_ns = self._clock.monotonic_ns()
                    self.units.forget()
                    changes.append({"kind": "broker", "state": "connected"})
                case Ended(why):
                    self.connected, self.why = False, why or "the connection ended"
                    changes.append({"kind": "broker", "state": "away", "why": self.why})
        now_ns = self._clock.monotonic_ns()
        quiet = now_ns - self._retained_ns > QUIET_MS * NS_PER_MS
        self.told_all = self.connected and (self.told_all or quiet or now_ns - self._began_ns > TELL_MS * NS_PER_MS)
        if self.told_all and now_ns >= self._judge_ns:  # while there is no broker nobody can be late
            self._judge_ns = now_ns + JUDGE_EVERY_MS * NS_PER_MS
            changes += self.units.judge(now_ns)
        t = rfc3339(self._clock.utc_ns())
        return [{"t": t, **change} for change in changes]

    @property
    def head(self) -> str:
        return f"{self.broker} " + ("connected" if self.connected else f"AWAY: {self.why}")

    def close(self) -> None:
        self._link.close()


def _once(watcher: Watcher, console: Console, screen: Screen, json: bool, clock: Clock) -> int:
    until_ns = clock.monotonic_ns() + ANSWER_MS * NS_PER_MS
    while not watcher.told_all:
        watcher.turn()
        if not watcher.connected and clock.monotonic_ns() > until_ns:
            raise BadInput(f"broker {watcher.broker}: {watcher.why}")
    now_ns = clock.monotonic_ns()
    watcher.units.judge(now_ns)
    units = watcher.units.units.values()
    if json:
        console.file.writelines(_line(_as_object(unit)) for unit in units)
    else:
        if not console.is_terminal:
            console.width = _WIDE
        console.print(screen.picture(watcher.head, clock.utc_ns(), now_ns, None))
    return int(any(unit.standing in UNWELL for unit in units))


def _lines(watcher: Watcher, out: TextIO, stop: Stop, json: bool) -> None:
    while not stop.requested:
        if changes := watcher.turn():
            out.writelines(_line(change) if json else _text(change) for change in changes)
            out.flush()


def _screen(watcher: Watcher, screen: Redrawn, stop: Stop, clock: Clock) -> None:
    drawn_ns = 0
    with screen.live:
        while not stop.requested:
            watcher.turn()
            reading = watcher.connected and not watcher.told_all  # half of it would look like a disaster
            if not reading and clock.monotonic_ns() - drawn_ns >= DRAW_EVERY_MS * NS_PER_MS:
                drawn_ns = clock.monotonic_ns()
                screen.draw(watcher.head, clock.utc_ns(), drawn_ns)


def _line(of: object) -> str:
    return msgspec.json.encode(of).decode() + "\n"


def _text(change: Change) -> str:
    rest = {name: value for name, value in change.items() if name not in ("t", "unit", "kind") and value is not None}
    words = (change["t"], change.get("unit", ""), change["kind"], *(f"{name}={value}" for name, value in rest.items()))
    return " ".join(word for word in words if word) + "\n"


def _as_object(unit: Unit) -> dict[str, object]:
    return {"unit": unit.name, "standing": unit.standing, "status": unit.status, "health": unit.health,
            "lines": {str(n): line for n, line in sorted(unit.lines.items())}, "alerts": unit.alerts}  # fmt: skip
