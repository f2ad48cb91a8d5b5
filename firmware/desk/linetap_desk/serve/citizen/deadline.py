# SPDX-License-Identifier: Apache-2.0
"""Counts the ten days of a request for access, as the Civil Code counts.

PIPA art. 35(3) with its Enforcement Decree art. 41(4): ten days from the request. Framework Act on Administration art.
6(1) refers to the Civil Code: the first day is not counted (art. 157), and a period that ends on a Saturday or a public
holiday ends on the day after it (art. 161). Of public holidays (Regulations on Holidays of Public Offices, art. 2) this
module knows Sundays and those of a fixed date. It does not know those of the lunar calendar, substitutes, and holidays
appointed by law or for an election: then the true end is later than the counted one, never earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

DAYS = 10
SOON_DAYS = 3
# New Year, 1 March, Children's, Memorial, Liberation, Foundation, Hangeul Day, Christmas.
FIXED = frozenset({(1, 1), (3, 1), (5, 5), (6, 6), (8, 15), (10, 3), (10, 9), (12, 25)})
_SATURDAY = 5
Urgency = Literal["overdue", "soon", "open"]  # worst first


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """A deadline. `tenth`: the tenth day itself. `end`: the last day of the period, by the known holidays."""

    end: date
    tenth: date

    def urgency(self, today: date) -> Urgency:
        if today > self.end:
            return "overdue"
        return "soon" if today > self.tenth - timedelta(days=SOON_DAYS) else "open"


def deadline(received: date) -> Deadline:
    tenth = received + timedelta(days=DAYS)
    end = tenth
    while end.weekday() >= _SATURDAY or (end.month, end.day) in FIXED:
        end += timedelta(days=1)
    return Deadline(end, tenth)
