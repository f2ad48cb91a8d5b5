# SPDX-License-Identifier: Apache-2.0
"""The load of a fleet: a busy hour on each line, and the incidents of a trial: `storm@30`, `outage@60+10`,
`partition@90+600:200`.

In a busy hour a line has a call each `every_s`, which lasts half of that, with eight events and four states.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from linetap_core.clock import NS_PER_S, compact, rfc3339
from linetap_core.errors import BadInput
from linetap_core.records import CallEvent, EventKind, LineStatus
from linetap_core.wire.topics import LineReport


@dataclass(frozen=True, slots=True)
class Step:
    """`at`: as a share of the call's length, 0 to 1. The line's state from then on, and the event."""

    at: float
    event: EventKind
    shows: LineStatus | None = None
    fields: tuple[tuple[str, Any], ...] = ()


_WAY = (("direction", "in"),)
_HOW = (*_WAY, ("disposition", "recorded"))
STEPS = (
    Step(0.0, "started", "ringing", _WAY),
    Step(0.04, "answered", "notice", _WAY),
    Step(0.1, "notice", "recording", (("notice", "ko"),)),
    Step(0.4, "marked", fields=(("mark", "abuse"),)),
    Step(0.7, "call_time"),
    Step(0.96, "ended", "idle", (*_HOW, ("duration_s", 115.2))),
    Step(0.98, "sealed", fields=(("disposition", "recorded"), ("gaps_ms", 0.0), ("record_sha256", "ab" * 32))),
    Step(1.0, "copied"),
)


@dataclass(frozen=True, slots=True)
class Call:
    line: int
    began_ns: int  # UTC

    @property
    def call_id(self) -> str:
        return f"{compact(self.began_ns)}-L{self.line:02d}"

    def event(self, step: Step, utc_ns: int) -> CallEvent:
        return CallEvent(
            seq=0, event=step.event, at=rfc3339(utc_ns), unit="", call_id=self.call_id, line=self.line,
            **dict(step.fields),
        )  # fmt: skip

    def report(self, step: Step, utc_ns: int) -> LineReport | None:
        if step.shows is None:
            return None
        return LineReport(step.shows, rfc3339(utc_ns), None if step.shows == "idle" else self.call_id)


def steps_ns(every_s: float) -> list[tuple[int, Step]]:
    """After the call's beginning."""
    return [(round(step.at * every_s / 2 * NS_PER_S), step) for step in STEPS]


_TEXT = re.compile(r"(storm)@(\d{1,6})|(outage)@(\d{1,6})\+(\d{1,6})|(partition)@(\d{1,6})\+(\d{1,6}):(\d{1,5})")
_EXAMPLES = "storm@30, outage@60+10 or partition@90+600:200 expected"


@dataclass(frozen=True, slots=True)
class Happening:
    """storm: a call on every idle line at once. outage, partition: all units, or that many, are cut off for `for_s`."""

    kind: Literal["storm", "outage", "partition"]
    at_s: int
    for_s: int = 0
    units: int | None = None


def parse(text: str) -> Happening:
    """BadInput if it is none."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise BadInput(f"--happens {text}: {_EXAMPLES}")
    kind, *numbers = [part for part in found.groups() if part is not None]
    return Happening(cast(Literal["storm", "outage", "partition"], kind), *map(int, numbers))
