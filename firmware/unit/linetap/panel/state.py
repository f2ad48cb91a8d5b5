# SPDX-License-Identifier: Apache-2.0
"""The panel's display: the findings of the checks, and the panel's own actions, without decisions of its own."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from linetap.checks import Judgement
from linetap.checks.cards import gives_no_audio
from linetap.checks.watch import Services
from linetap_core import __version__
from linetap_core.records import Alert, Fault, PanelState, WalkState
from linetap_core.wire.legend import (
    ACTIVITIES,
    CALM_PATTERN,
    CONDITIONS,
    IDENTIFY,
    IDENTIFY_EN,
    IDENTIFY_KO,
    activity_of,
    shown_conditions,
)

_BY_ITSELF = ("removal_failed",)  # the panel's own conditions that can be acknowledged


@dataclass(frozen=True, slots=True)
class Display:
    """The display. `standing`: all conditions; the first and worst is shown. `identify`: a person looks for this
    unit."""

    condition: str
    activity: str
    standing: tuple[str, ...]
    identify: bool = False
    marks: frozenset[str] = frozenset()  # all standing findings, line by line, for acknowledgement
    calm: bool = False  # all of them are acknowledged

    @property
    def unit_state(self) -> str:
        if self.identify:
            return IDENTIFY
        return self.activity if self.condition == "ok" and self.activity != "idle" else self.condition

    @property
    def patterns(self) -> dict[str, str]:
        condition = CONDITIONS[self.condition]
        fault = CALM_PATTERN if self.calm and condition.fault != "off" else condition.fault
        return {"run": condition.run, "call": ACTIVITIES[self.activity].call, "fault": fault}

    @property
    def meaning_ko(self) -> str:
        looked_for = f"{IDENTIFY_KO} " if self.identify else ""
        return f"{looked_for}{CONDITIONS[self.condition].ko} {ACTIVITIES[self.activity].ko}."

    @property
    def meaning_en(self) -> str:
        looked_for = f"{IDENTIFY_EN} " if self.identify else ""
        return f"{looked_for}{CONDITIONS[self.condition].en} Lines: {ACTIVITIES[self.activity].en}."


STARTING = Display("starting", "idle", ("starting",))


def shown(judgement: Judgement, services: Services, now_ns: int = 0, also: Collection[str] = ()) -> Display:
    """Returns the display for any combination of state files, missing ones included.

    `now_ns`: monotonic; `also`: the panel's own actions, as conditions of the legend.
    """
    stand = shown_conditions([*judgement.leds, *also], bool(judgement.starting))
    recorder = services.recorder.live
    identify = recorder is not None and now_ns < recorder.identify_until_ns
    marks = frozenset().union(*(it.marks for it in judgement.findings if it.led != "ok"), set(also) & set(_BY_ITSELF))
    return Display(stand[0], _activity(services), stand, identify, marks)


def _activity(services: Services) -> str:
    """The activity of lines with audio and a living recorder: an old state is never shown as a call."""
    recorder = services.recorder.live
    if recorder is None:
        return "idle"
    if recorder.walk is not None and (walks := _walk(recorder.walk)) is not None:
        return walks
    working: set[int] = set()
    for seen in services.capture.values():
        if seen.live is not None and not gives_no_audio(seen):
            working.update(seen.live.lines)
    return activity_of("", (line.state for line in recorder.lines if line.line in working))


def _walk(walk: WalkState) -> str | None:
    """The condition of a walk test: the previous line's result for a moment, else the present step."""
    if walk.shows is not None and walk.step in (None, "free", "lift"):
        return f"walk_{walk.shows}"
    if walk.step is None:
        return None
    return f"walk_{walk.step}" if walk.step in ("lift", "dial", "down") else "walk_wait"


# --- The state file ---------------------------------------------------------------------------------------------------


_NONE: Mapping[str, Alert] = {}


def state_of(
    now: Display,
    leds: dict[str, bool],
    ticks: int,
    started_ns: int,
    fault: Fault | None = None,
    alerts: Mapping[str, Alert] = _NONE,
) -> PanelState:
    """Returns the panel's state. `ticks`: the ticks since the panel's start at `started_ns` (monotonic)."""
    return PanelState(
        service="panel",
        version=__version__,
        pid=os.getpid(),
        started_ns=started_ns,
        mono_ns=0,
        progress=ticks,
        fault=fault,
        unit_state=now.unit_state,
        leds=leds,
        patterns=now.patterns,
        meaning_ko=now.meaning_ko,
        meaning_en=now.meaning_en,
        alerts=dict(alerts),
    )
