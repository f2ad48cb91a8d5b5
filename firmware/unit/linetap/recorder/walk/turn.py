# SPDX-License-Identifier: Apache-2.0
"""One line's turn in a walk test. Pure: observations of the line in, the turn's state out.

    free    the line is in use or rings: the test waits for the end of another call
    lift    the line is idle: a person is asked to lift its handset
    dial    the test call has begun: a person is asked for one digit
    notice  the call counts as answered after its usual time, or at the exchange's busy tone; the unit plays the notice
            and proves it
    down    a person is asked for a few words, then for on-hook

With the end of its call the turn is over, and the next line is asked for while the vault seals the call.

The test call is a call like any other: the same table begins, announces, records, ends and seals it, and no step of the
turn acts on it. A second digit means a real call: the turn then waits until the line is free.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from linetap_core.records import CallRecord, WalkStep

WAIT_S = 120  # for a line to be free and lifted
CALL_S = 120  # for the test call; the unit itself needs half a minute
CUT = "line_cut"
MOST_CODES = 16


@dataclass(frozen=True, slots=True)
class Observation:
    """An observation of a line.

    `mono_s`: the machine's monotonic time; `on_hook`, `volts` and `level_dbm0`: those of the last whole half second;
    None: unsettled or unknown.
    """

    mono_s: float
    idle: bool = True
    call_id: str | None = None
    outgoing: bool = False
    dialled: int = 0  # digits, also those after the notice has begun
    announced: bool = False  # a notice was begun
    notice_proven: bool = False  # the notice was proven, or will be when the handset is down
    passing: bool = False  # the call is not announced: exempt, or discarded
    on_hook: bool | None = None
    volts: float | None = None
    level_dbm0: float | None = None
    troubles: list[str] = field(default_factory=list)


class Turn(msgspec.Struct, kw_only=True):
    """The turn's state, kept in the checkpoint: a restarted recorder continues it."""

    line: int
    began_s: float
    step: WalkStep = "lift"
    call_id: str | None = None
    dialled: int = 0
    on_hook_v: float | None = None
    off_hook_v: float | None = None
    level_dbm0: float | None = None
    troubles: list[str] = []
    record: CallRecord | None = None  # of the test call, once it is over
    lifted_s: float | None = None
    over: bool = False
    was_free: bool = False  # at any moment of the turn

    def observe(self, seen: Observation) -> None:
        """Adds an observation; `over` is True once the turn is complete."""
        if self.over:
            return
        self.troubles = seen.troubles[:MOST_CODES]
        self._measure(seen)
        if self.step in ("free", "lift"):
            self._wait(seen)
        else:
            self._follow(seen)
        self.over |= seen.mono_s >= self.limit_s

    def call_over(self, record: CallRecord) -> None:
        """Adds the record of a call of this line that has ended; that of the test call completes the turn."""
        if record.call_id == self.call_id and not self.over:
            self.record, self.over = record, True

    @property
    def limit_s(self) -> float:
        """The time at which the line is judged, complete or not."""
        return self.began_s + WAIT_S if self.lifted_s is None else self.lifted_s + CALL_S

    def _measure(self, seen: Observation) -> None:
        if seen.volts is not None and seen.on_hook and self.step in ("free", "lift"):
            self.on_hook_v = round(seen.volts, 2)
        if seen.call_id is None or seen.call_id != self.call_id or seen.on_hook is not False:
            return
        # The lowest voltage: on-hook becomes certain only after the flash time.
        if seen.volts is not None and (self.off_hook_v is None or abs(seen.volts) < abs(self.off_hook_v)):
            self.off_hook_v = round(seen.volts, 2)
        if seen.level_dbm0 is not None and (self.level_dbm0 is None or seen.level_dbm0 > self.level_dbm0):
            self.level_dbm0 = round(seen.level_dbm0, 1)

    def _wait(self, seen: Observation) -> None:
        if CUT in seen.troubles:  # off-hook is impossible
            self.over = True
        elif seen.idle:
            self.step, self.was_free = "lift", True
        elif self.step == "lift" and seen.outgoing and self.was_free:
            self.call_id, self.step, self.lifted_s = seen.call_id, "dial", seen.mono_s
            self._follow(seen)
        else:
            self.step = "free"

    def _follow(self, seen: Observation) -> None:
        if seen.call_id != self.call_id or seen.dialled > 1:  # a real call; `call_over` receives its end
            self.call_id, self.lifted_s, self.dialled, self.step = None, None, 0, "free"
            self.off_hook_v, self.level_dbm0 = None, None
            return
        self.dialled = seen.dialled
        if seen.notice_proven or seen.passing:
            self.step = "down"
        elif seen.dialled or seen.announced:
            self.step = "notice"
