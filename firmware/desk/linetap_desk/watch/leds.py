# SPDX-License-Identifier: Apache-2.0
"""What the LEDs of a unit show: its reported findings, through the panel's own legend.

It shows reports and not the LEDs: a walk test, a disk being removed, an identify and a fault acknowledged at the button
are not reported, so they are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from linetap_core.wire.alerts import led_of
from linetap_core.wire.legend import ACTIVITIES, CONDITIONS, activity_of, standing
from linetap_desk.watch.units import Alert, Unit


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
    starting = unit.health is not None and bool(unit.health.services_starting)
    condition = standing((_led(check, alert) for check, alert in unit.alerts.items()), starting)[0]
    return Shown(condition, activity_of(condition, (line.state for line in unit.lines.values())))


def _led(check: str, alert: Alert) -> str:
    """As the unit says; by the table, where it names none, or one that a later version has."""
    return alert.led if alert.led in CONDITIONS else led_of(check, alert.severity)
