# SPDX-License-Identifier: Apache-2.0
"""What the services' states mean for the LEDs: a pure function, so that any combination can be tried."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from linetap.checks import (
    CHECKS,
    capture_dead,
    codec_absent,
    codec_mismatch,
    disk_errors,
    disk_worn,
    not_recording,
    overruns,
    recorder_dead,
    temperature_high,
    throttled,
    under_voltage,
)
from linetap.checks.broker_unreachable import is_unreachable
from linetap.checks.codec_stalled import gives_no_audio, has_stalled
from linetap.checks.dead import is_gone
from linetap.checks.hook_disagree import disagreeing
from linetap.checks.machine import Machine
from linetap.checks.meter_absent import is_absent
from linetap.checks.unit_key import does_not_sign
from linetap.checks.unit_opened import is_open
from linetap.checks.watch import Seen, Services
from linetap.panel.legend import (
    ACTIVITIES,
    CALM_PATTERN,
    CONDITIONS,
    IDENTIFY,
    IDENTIFY_EN,
    IDENTIFY_KO,
    LINE_ACTIVITIES,
)
from linetap.records import CaptureState, ServiceState, WalkState

CONFIG_FAULT = "bad_input"
_LED = {check.id: check.led for check in CHECKS}  # what a line suffers from -> a condition of the legend


@dataclass(frozen=True, slots=True)
class Shown:
    """What the panel shows; `standing` are all conditions, the worst, which is shown, first. `identify`: and that
    somebody looks for this unit."""

    condition: str
    activity: str
    standing: tuple[str, ...]
    identify: bool = False
    marks: frozenset[str] = frozenset()  # what stands, line by line: what somebody may have seen already
    calm: bool = False  # and has

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


def shown(
    services: Services,
    now_ns: int = 0,
    also: Collection[str] = (),
    machine: Machine = Machine(),  # noqa: B008 - frozen
) -> Shown:
    """A defined pattern for whatever the state files say, and whatever they leave unsaid. `now_ns`: monotonic;
    `also`: conditions of the legend that no service knows of."""
    stand = {*_conditions(services), *_of_machine(machine), *also} or {"ok"}
    standing = tuple(name for name in CONDITIONS if name in stand)
    recorder = services.recorder.word
    identify = recorder is not None and now_ns < recorder.identify_until_ns
    return Shown(standing[0], _activity(services), standing, identify, _marks(services, stand))


def _marks(services: Services, stand: set[str]) -> frozenset[str]:
    """Of lines each trouble of its own: a second line at fault is not the first one's."""
    recorder = services.recorder.word
    lines = recorder.lines if recorder is not None else []
    of_lines = {f"{code} {line.line}" for line in lines for code in line.troubles if _LED.get(code) in stand}
    cards = [card for seen in services.capture.values() if (card := seen.word) is not None]
    of_lines |= {f"hook_disagree {line}" for card in cards if card.meter is not None for line in card.meter.disagreeing}
    return frozenset(of_lines | (stand - {"ok", "starting", "removing", "pull"}))


def _conditions(services: Services) -> Iterator[str]:
    capture, recorder, reporter = services.capture.values(), services.recorder, services.reporter
    everyone: list[Seen[ServiceState]] = [*capture, recorder, reporter]
    if any(seen.fault == CONFIG_FAULT for seen in everyone):
        yield "config_wrong"
    if all(seen.status == "dead" for seen in everyone):
        yield "nothing_runs"
    if any(seen.status == "starting" for seen in everyone):
        yield "starting"
    for seen in capture:
        if has_stalled(seen) or codec_absent.is_absent(seen) or codec_mismatch.is_another(seen):
            yield "codec_stalled"
        elif capture_dead.is_dead(seen):
            yield "capture_dead"
        elif not_recording.has_fault(seen):
            yield "not_recording"
        if overruns.too_many(seen):
            yield "unit_check"
        yield from _of_meter(seen)
    yield from _of_recorder(services)
    if is_gone(reporter):
        yield "reporter_dead"
    elif is_unreachable(reporter):
        yield "broker_unreachable"


def _of_meter(capture: Seen[CaptureState]) -> Iterator[str]:
    if is_open(capture):
        yield "unit_opened"
    if is_absent(capture):
        yield "meter_absent"
    if disagreeing(capture):
        yield "line_check"


def _of_machine(machine: Machine) -> Iterator[str]:
    slow = temperature_high.is_hot(machine) or throttled.is_slowed(machine)
    if slow or under_voltage.is_low(machine) or disk_errors.damaged(machine) or disk_worn.is_worn(machine):
        yield "unit_check"


def _of_recorder(services: Services) -> Iterator[str]:
    recorder = services.recorder
    if recorder_dead.is_dead(services):
        yield "recorder_dead"
    if recorder.status != "alive" or recorder.state is None:
        return
    if (refused := not_recording.refuses(recorder)) is not None:
        yield "disk_full" if refused == "disk_full" else "not_recording"
    if does_not_sign(recorder):
        yield "unit_check"
    if recorder.state.full_in_days is not None:
        yield "disk_forecast"
    for line in recorder.state.lines:
        if line.state == "fault":
            yield "line_fault"
        # "ok": a matter of the desk, not of the closet
        yield from (_LED[code] for code in line.troubles if _LED.get(code, "ok") != "ok")


def _activity(services: Services) -> str:
    """Of the lines whose audio is coming in and whose recorder lives: an old word is never shown as a call."""
    recorder = services.recorder.word
    if recorder is None:
        return "idle"
    if recorder.walk is not None and (walks := _walk(recorder.walk)) is not None:
        return walks
    heard: set[int] = set()
    for seen in services.capture.values():
        if seen.word is not None and not gives_no_audio(seen):
            heard.update(seen.word.lines)
    states = {line.state for line in recorder.lines if line.line in heard}
    doing = {LINE_ACTIVITIES[state] for state in states if state in LINE_ACTIVITIES}
    return next((name for name in ACTIVITIES if name in doing), "idle")


def _walk(walk: WalkState) -> str | None:
    """What came of the line before is shown for a moment while the next one is asked for already."""
    if walk.shows is not None and walk.step in (None, "free", "lift"):
        return f"walk_{walk.shows}"
    if walk.step is None:
        return None
    return f"walk_{walk.step}" if walk.step in ("lift", "dial", "down") else "walk_wait"
