# SPDX-License-Identifier: Apache-2.0
"""What the LEDs of a unit show: the judgement that it reported, by the legend that its panel itself goes by.

It is a mirror of reports and not of the LEDs: a walk test, a disk that is being pulled, an identify, and a fault that
somebody has acknowledged at the button are told on no topic, so they are not seen here.
"""

from __future__ import annotations

from dataclasses import dataclass

from linetap.checks import led_of
from linetap.desk.watch.units import Alert, Unit
from linetap.panel.legend import ACTIVITIES, CONDITIONS, activity_of, standing

_UNKNOWN = {"critical": "unit_check", "warning": "ok"}  # of a later version, which shows it in a way of its own


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
    if alert.led in CONDITIONS:
        return alert.led
    return led_of(check, alert.severity) or _UNKNOWN[alert.severity]
