# SPDX-License-Identifier: Apache-2.0
"""The fixture in place of lines at a card's plugs, switched by a program, or by a person on request.

hardware/production.md describes the fixture. Its states and instruments are named in this module only.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Protocol

from linetap_core.errors import DeviceFault

STATES = {
    "open": "J1302 and J1303 with nothing on any line; 10 Hz on J1308; the lid's loop closed",
    "feed": "J1302: 48 V on every line, minus on ring, 300 ohm in each wire; J1303 open",
    "reversed": "J1302: the same, minus on tip",
    "loop": "J1302: as in feed; J1303: 600 ohm on every line",
    "unarmed": "J1302 and J1303 as in loop; no signal on J1308",
    "lid": "the lid's loop at J1305 open; else as in loop, 10 Hz on J1308",
    "spark": "no battery, no 600 ohm, 10 Hz on J1308; the insulation tester, 450 V and 1 mA, on the line asked for",
}
INSTRUMENTS = {
    "spark_exchange_v": "J1302, tip to ring: the highest voltage of the insulation tester",
    "spark_telephone_v": "J1303, tip to ring: the highest voltage of the insulation tester",
    "pair_mohm": "J1302, tip to ring, 100 V: megohms",
    "earth_mohm": "J1302, tip and ring together, to GND, 100 V: megohms",
}
MOST_S = 30


class Fixture(Protocol):
    """A fixture. `read` returns the measured value; None: not measured."""

    def set(self, state: str) -> None: ...
    def read(self, instrument: str, line: int) -> float | None: ...


class ByHand:
    """A fixture that a person switches. `ask` shows a line and returns the typed answer."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    def set(self, state: str) -> None:
        self._ask(f"fixture: {STATES[state]}. Enter: ")

    def read(self, instrument: str, line: int) -> float | None:
        while True:
            typed = self._ask(f"line {line}: {INSTRUMENTS[instrument]} (empty: not measured): ").strip()
            if not typed:
                return None
            try:
                return float(typed)
            except ValueError:
                continue


class ByProgram:
    """A fixture switched by `PROGRAM set STATE` and read by `PROGRAM read INSTRUMENT LINE`, which prints a number, or
    nothing."""

    def __init__(self, program: str) -> None:
        self._program = program

    def set(self, state: str) -> None:
        self._run("set", state)

    def read(self, instrument: str, line: int) -> float | None:
        output = self._run("read", instrument, str(line)).strip()
        try:
            return float(output) if output else None
        except ValueError:
            raise DeviceFault("fixture", f"{self._program} read {instrument}: {output[:60]!r} is no number") from None

    def _run(self, *words: str) -> str:
        try:
            done = subprocess.run(
                [self._program, *words], capture_output=True, text=True, errors="replace", timeout=MOST_S,
                check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeviceFault("fixture", f"{self._program}: {error}") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise DeviceFault("fixture", f"{self._program} {' '.join(words)} ended with {done.returncode}: {last}")
        return done.stdout
