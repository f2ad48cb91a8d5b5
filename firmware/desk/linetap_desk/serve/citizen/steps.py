# SPDX-License-Identifier: Apache-2.0
"""The steps of a citizen's request, the roles that may take them, and the words of its forms.

register -> decide (grant, in part, postpone, refuse) -> release the call -> appointment -> closed

Pure: works on rows of the database and a day. The person who registers a request does not decide on it.

The deadline: PIPA art. 35(3) with its Enforcement Decree art. 41(4): ten days from the request. Framework Act on
Administration art. 6(1) refers to the Civil Code: the first day is not counted (art. 157), and a period that ends on a
Saturday or a public holiday ends on the day after it (art. 161). Of public holidays (Regulations on Holidays of Public
Offices, art. 2) this module knows Sundays and those of a fixed date. It does not know those of the lunar calendar,
substitutes, and holidays appointed by law or for an election: then the true end is later than the counted one, never
earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from linetap_desk.serve.release.steps import StepFault
from linetap_desk.web.roles import APPROVERS, AUDITOR, CUSTODIAN, OFFICER
from linetap_desk.web.text import N_

DAYS = 10
SOON_DAYS = 3
# New Year, 1 March, Children's, Memorial, Liberation, Foundation, Hangeul Day, Christmas.
FIXED_HOLIDAYS = frozenset({(1, 1), (3, 1), (5, 5), (6, 6), (8, 15), (10, 3), (10, 9), (12, 25)})
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
    while end.weekday() >= _SATURDAY or (end.month, end.day) in FIXED_HOLIDAYS:
        end += timedelta(days=1)
    return Deadline(end, tenth)


SEES = OFFICER | APPROVERS | CUSTODIAN | AUDITOR
HOSTS = OFFICER | CUSTODIAN  # the appointment and its outcome
State = Literal["registered", "granted", "partial", "postponed", "closed"]

ASKED = {"listen": N_("To listen"), "copy": N_("A copy")}
VERIFIED = {
    "id_card": N_("Identity card, seen in person"),
    "mobile_id": N_("Mobile identity card, verified"),
    "certificate": N_("Electronic signature of the person"),
    "agent": N_("Agent with a power of attorney and identity card"),
}
DECISIONS = {
    "granted": N_("Access granted"),
    "partial": N_("Access granted in part"),
    "postponed": N_("Access postponed"),
    "refused": N_("Access refused"),
}
# PIPA art. 35(4), and art. 35(3) for a postponement.
GROUNDS = {
    "by_law": N_("Access is prohibited or limited by law (art. 35(4) no. 1)"),
    "others": N_("Another person's life, body, property or interests would be harmed (art. 35(4) no. 2)"),
    "duties": N_("Serious difficulty for a public duty listed in art. 35(4) no. 3"),
    "not_held": N_("The office holds no recording of this call"),
    "just_cause": N_("Just cause for not granting it within ten days (art. 35(3))"),
}
GROUNDS_OF: dict[str, tuple[str, ...]] = {
    "granted": (),
    "partial": ("others", "by_law", "duties"),
    "postponed": ("just_cause",),
    "refused": ("by_law", "others", "duties", "not_held"),
}
OUTCOMES = {
    "listened": N_("Listened to at the office"),
    "copied": N_("Copy under a passphrase handed over"),
    "withdrawn": N_("Withdrawn by the citizen"),
    "refused": N_("Refused with a notice"),
}
CLOSES = {name: text for name, text in OUTCOMES.items() if name != "refused"}
NOTICES = {
    "granted": N_("Access"),
    "partial": N_("Access in part"),
    "postponed": N_("Postponement"),
    "refused": N_("Refusal"),
}
WAYS = {"copy": N_("A copy under a passphrase"), "listen": N_("Listening alone")}
FORMS = {"listen": N_("Listening"), "copy": N_("Electronic file")}
STATE: dict[State, str] = {
    "registered": N_("To be decided"),
    "granted": N_("Granted, to be carried out"),
    "partial": N_("Granted in part, to be carried out"),
    "postponed": N_("Postponed"),
    "closed": N_("Closed"),
}
URGENCY: dict[Urgency, str] = {"overdue": N_("Overdue"), "soon": N_("Three days or less"), "open": N_("In time")}
REFUSAL = {
    "citizen_own": N_("Nobody registers or decides on their own request."),
    "citizen_two_people": N_("You registered this request. Someone else must decide on it."),
    "citizen_no_call": N_("This desk knows no such call. Unit and call id are in the result of the search."),
    "citizen_other_day": N_("This call is not of the day that the citizen named."),
    "citizen_not_ended": N_(
        "The office did not end this call, or it is destroyed and nothing of it is known any more."
    ),
    "citizen_asked": N_("A release of this call was requested for this case already, and is open."),
    "citizen_closed": N_("This request is closed."),
    "citizen_not_released": N_("The recording was not released for this case yet, or not in this form."),
    "citizen_not_granted": N_("Access has not been granted."),
}


@dataclass(frozen=True, slots=True)
class CitizenRequest:
    row: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def state(self) -> State:
        if self.row["closed_at"] is not None:
            return "closed"
        decision: State = self.row["decision"] or "registered"
        return decision

    @property
    def deadline(self) -> Deadline:
        return deadline(date.fromisoformat(self.row["counted_from"]))

    def urgency(self, today: date) -> Urgency:
        return self.deadline.urgency(today)

    def require_open(self) -> None:
        if self.row["closed_at"] is not None:
            raise StepFault("citizen_closed", f"{self.id}: it is closed")

    def require_granted(self) -> None:
        self.require_open()
        if self.state not in ("granted", "partial"):
            raise StepFault("citizen_not_granted", f"{self.id}: access has not been granted")
