# SPDX-License-Identifier: Apache-2.0
"""`linetap watch`: shows all units by the broker's messages, on a screen or as lines, until Ctrl-C; or once. Messages
that it cannot process in time wait at the broker."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TextIO

from rich.console import Console

from linetap_core import jsontext
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.errors import BadInput, plain
from linetap_core.service import Stop
from linetap_core.timekeeping import KEPT
from linetap_desk.watch.screen import LiveScreen, Screen
from linetap_desk.watch.units import Change, Unit
from linetap_desk.watch.watcher import Settings, Watcher, watch_settings

_EPILOG = """\
example: linetap watch --config desk.toml
         linetap watch --config desk.toml --once | less
         linetap watch --config desk.toml --json | jq -c 'select(.kind == "standing")'
--once ends with 0 where no unit is fault, unheard, offline or late, else with 1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("--config", type=Path, metavar="desk.toml")
    parser.add_argument("--broker", metavar="URL", help="mqtt://HOST:PORT on the loopback; else [broker] in desk.toml")
    parser.add_argument("--places", metavar="places.toml", help="the places of the units; else [watch] in desk.toml")
    parser.add_argument("--json", action="store_true", help="an object a line: each change; with --once each unit")
    parser.add_argument("--once", action="store_true", help="show the present state once, and end")
    parser.add_argument(
        "--language", choices=("en", "ko"), default="en", help="language of the alerts; default %(default)s"
    )


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    return watch_until_stopped(watch_settings(args), args, clock)


DRAW_EVERY_MS = 250
ANSWER_MS = 10_000
_WIDE = 240  # characters of a line written to a file
UNWELL = ("fault", "unheard", "offline", "late")


def watch_until_stopped(settings: Settings, args: argparse.Namespace, clock: Clock) -> int:
    """Watches until SIGTERM or Ctrl-C. With --once 1 if a unit is UNWELL, and BadInput if no broker answers."""
    # the head line and the lines show connection messages
    logging.getLogger("linetap").addHandler(logging.NullHandler())
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
            _screen(watcher, LiveScreen(console, screen), stop, clock)
    finally:
        watcher.close()
    return 0


def _once(watcher: Watcher, console: Console, screen: Screen, json: bool, clock: Clock) -> int:
    until_ns = clock.monotonic_ns() + ANSWER_MS * NS_PER_MS
    while not watcher.is_complete:
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


def _screen(watcher: Watcher, screen: LiveScreen, stop: Stop, clock: Clock) -> None:
    drawn_ns = 0
    with screen.live:
        while not stop.requested:
            watcher.turn()
            reading = watcher.connected and not watcher.is_complete  # an incomplete state would look like an outage
            if not reading and clock.monotonic_ns() - drawn_ns >= DRAW_EVERY_MS * NS_PER_MS:
                drawn_ns = clock.monotonic_ns()
                screen.draw(watcher.head, clock.utc_ns(), drawn_ns)


def _line(of: object) -> str:
    return jsontext.line(of)


def _text(change: Change) -> str:
    rest = {name: value for name, value in change.items() if name not in ("t", "unit", "kind") and value is not None}
    words = (change["t"], change.get("unit", ""), change["kind"], *(f"{name}={value}" for name, value in rest.items()))
    return plain(" ".join(word for word in words if word).replace("\n", " ")) + "\n"


def _as_object(unit: Unit) -> dict[str, object]:
    return {"unit": unit.name, "standing": unit.standing, "status": unit.status, "health": unit.health,
            "lines": {str(n): line for n, line in sorted(unit.lines.items())}, "alerts": unit.alerts}  # fmt: skip
