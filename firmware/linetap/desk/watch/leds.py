# SPDX-License-Identifier: Apache-2.0
"""What the LEDs of a unit show, by what it has reported and by the legend that its panel itself goes by.

It is a mirror of reports and not of the LEDs: a walk test, a disk that is being pulled, an identify, and a fault that
somebody has acknowledged at the button are told on no topic, so they are not seen here.
"""

from __future__ import annotations

from dataclasses import dataclass

from linetap.checks import CHECKS
from linetap.desk.watch.units import Unit
from linetap.panel.legend import ACTIVITIES, CONDITIONS, LINE_ACTIVITIES

_LED_OF = {check.id: check.led for check in CHECKS}
_ORDER = {name: place for place, name in enumerate(CONDITIONS)}  # the worst first
_LIVELY = {name: place for place, name in enumerate(ACTIVITIES)}


@dataclass(frozen=True, slots=True)
class Shown:
    """Names of the legend's states."""

    condition: str
    activity: str

    @property
    def patterns(self) -> dict[str, str]:
        """LED -> the legend's pattern."""
        condition = CONDITIONS[self.condition]
        return {"run": condition.run, "call": ACTIVITIES[self.activity].call, "fault": condition.fault}


def shown(unit: Unit) -> Shown:
    conditions = {_LED_OF.get(check, "ok") for check in unit.alerts}
    if any(line.state == "fault" for line in unit.lines.values()):
        conditions.add("line_fault")
    if unit.health is not None:
        conditions |= {f"{name.partition('@')[0]}_dead" for name in unit.health.services_dead.split()} & _ORDER.keys()
        if unit.health.recording_refused:
            conditions.add("disk_full" if unit.health.recording_refused == "disk_full" else "not_recording")
    activities = {LINE_ACTIVITIES.get(line.state, "idle") for line in unit.lines.values()}
    worst = min(conditions, key=_ORDER.__getitem__, default="ok")
    return Shown(worst, min(activities, key=_LIVELY.__getitem__, default="idle"))
