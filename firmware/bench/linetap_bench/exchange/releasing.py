# SPDX-License-Identifier: Apache-2.0
"""The exchange's reaction when the card opens a line's loop: a telephone's line at a PBX, or a trunk.

A long enough opening ends the call. At a PBX a shorter one is a flash, which holds the caller and gives dial tone. A
trunk's exchange holds an incoming call for the guard time, because the called party may lift another telephone.
docs/line-release.md has the numbers and their sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from linetap_bench.exchange.linesounds import HOWLER_HZ, HOWLER_MS
from linetap_bench.exchange.linetimeline import FOREVER
from linetap_bench.script.scriptkeys import LineSetup
from linetap_bench.script.timing import DIAL_TONE_AFTER_MS
from linetap_bench.sounds.signalling import exchange_tone
from linetap_bench.sounds.synth import BUSY_DBM0, F64, Tones, pair

FLASH_LEAST_MS = 80  # a shorter opening has no effect
# Tones to a handset that stays lifted; from memory, PBXs differ.
DIAL_FOR_MS, BUSY_FOR_MS, HOWLER_FOR_MS = 15_000, 15_000, 30_000
SILENCE = "none"

Outcome = Literal["released", "held", "kept"]  # held: the caller waits during a dial tone; kept: the call continues


class Released(msgspec.Struct, frozen=True):
    """An opening of a line's loop. Milliseconds are those of CLOCK_MONOTONIC, or of a recording."""

    line: int
    opened_ms: int
    closed_ms: int
    outcome: Outcome


class StuckContacts:
    """Contacts that do not follow their drive: a contact stuck open never closes again after its first opening."""

    def __init__(self, states: Sequence[str]) -> None:
        """`states`: `LineSetup.contact` of each line."""
        self._closed = np.array([state == "stuck_closed" for state in states])
        self._open = np.array([state == "stuck_open" for state in states])
        self._opened = np.zeros(len(states), np.bool_)

    def open_contacts(self, driven: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Returns the open contacts. `driven`: contacts whose coil is on, bool (lines,)."""
        self._opened |= driven & self._open
        opened: npt.NDArray[np.bool_] = (driven & ~self._closed) | self._opened
        return opened


class LineRelease:
    """The release of one line; call `update` at any rate as time passes."""

    def __init__(self, setup: LineSetup) -> None:
        self._setup = setup
        self._opened_ms: int | None = None
        self._closed_ms = 0
        self._gone: Outcome | None = None  # the call's outcome, until the handset is put down
        self.loop_open = False  # the contact is open: the line is at its idle voltage

    @property
    def quiet(self) -> bool:
        """Whether the line behaves like a line without contact."""
        return not self.loop_open and self._gone is None

    def update(self, now_ms: int, opened: bool, lifted: bool, incoming: bool) -> Released | None:
        """Returns an opening that is over. `opened`: the contact is open; `lifted`: the handset, by the script;
        `incoming`: the line's call is incoming.
        """
        done = None
        if opened and not self.loop_open:
            self._opened_ms = now_ms if lifted and self._gone is None else None
        if self._opened_ms is not None:
            lasted_ms = now_ms - self._opened_ms
            if lasted_ms >= self._needed_ms(incoming):
                self._gone = "released"
            if not opened:
                if self._gone is None and self._setup.kind == "station" and lasted_ms >= FLASH_LEAST_MS:
                    self._gone = "held"
                done = Released(self._setup.number, self._opened_ms, now_ms, self._gone or "kept")
                self._opened_ms = None
        if self.loop_open and not opened:
            self._closed_ms = now_ms
        self.loop_open = opened
        if not opened and not lifted:
            self._gone = None
        return done

    def _needed_ms(self, incoming: bool) -> int:
        guarded = self._setup.kind == "trunk" and incoming
        return max(self._setup.releases_after_ms, round(self._setup.guard_s * 1000) if guarded else 0)

    def sound(self, now_ms: int) -> str | None:
        """The exchange's tone after the call: dial, busy, howler or silence. None: the call is on the line."""
        if self._gone is None:
            return None
        at = now_ms - self._closed_ms - DIAL_TONE_AFTER_MS
        if self.loop_open or at < 0:
            return SILENCE
        for name, lasts_ms in (("dial", DIAL_FOR_MS), ("busy", BUSY_FOR_MS), ("howler", HOWLER_FOR_MS)):
            if at < lasts_ms:
                return name
            at -= lasts_ms
        return SILENCE


class InPlace:
    """The sound that replaces a call, continuous from block to block."""

    def __init__(self) -> None:
        self._name = SILENCE
        self._tone: Tones | None = None
        self._samples = 0  # rendered so far

    def render(self, name: str, n: int) -> F64 | None:
        """float64 (n,), or None for silence."""
        if name != self._name:
            self._name, self._tone, self._samples = name, _tone(name), 0
        offset = self._samples
        self._samples += n
        return None if self._tone is None else self._tone.render(offset, n)


def _tone(name: str) -> Tones | None:
    if name == SILENCE:
        return None
    if name == "howler":
        return pair(HOWLER_HZ, BUSY_DBM0, FOREVER, HOWLER_MS)
    return exchange_tone(name, FOREVER)
