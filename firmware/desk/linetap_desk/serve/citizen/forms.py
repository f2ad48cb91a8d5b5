# SPDX-License-Identifier: Apache-2.0
"""Checks the forms of a citizen's request; they collect only the necessary data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.citizen import DIGITS
from linetap_core.evidence.signing import document
from linetap_desk.inputs.strict import is_possible_day
from linetap_desk.serve.citizen.steps import ASKED, CLOSES, DECISIONS, GROUNDS_OF, VERIFIED
from linetap_desk.serve.database.accesslog import without_numbers
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.serve.release.uploadchecks import typed_field

REGISTER = ("alias", "digits", "called_on", "asked", "verified", "received_on")
DECIDE = ("decision", "ground", "reason", "ends_on")
MEET = ("meets_at", "room", "attending")
CLOSE = ("outcome",)
ALIAS_LIMIT, REASON_LIMIT, PLACE_LIMIT = 40, 300, 80
OLDEST_RECEIPT_DAYS, MOST_POSTPONED_DAYS, MOST_AHEAD_DAYS = 30, 90, 90
_FIRST_DAY = date(2000, 1, 1)


def typed(form: FormData, names: Iterable[str]) -> dict[str, str]:
    return {name: typed_field(form.get(name)) for name in names}


def registration(fields: dict[str, str], own_names: Iterable[str], today: date) -> dict[str, str]:
    """The columns. BadInput or StepFault for an unexpected value; no field accepts a telephone number."""
    _plain(fields["alias"], "alias", ALIAS_LIMIT)
    if document.name_key(fields["alias"]) in {document.name_key(name) for name in own_names}:
        raise StepFault("citizen_own", "alias: the name of who registers it")
    digits = fields["digits"]
    if not (digits.isascii() and digits.isdigit() and len(digits) == DIGITS):
        raise BadInput(f"digits: the last {DIGITS} digits of the number expected, and no more of it")
    called, received = _day(fields["called_on"], "called_on"), _day(fields["received_on"], "received_on")
    if not today - timedelta(days=OLDEST_RECEIPT_DAYS) <= received <= today:
        raise BadInput(f"received_on: today or up to {OLDEST_RECEIPT_DAYS} days before expected")
    if not _FIRST_DAY <= called <= received:
        raise BadInput("called_on: a day up to that of the receipt expected")
    _one_of(fields["asked"], "asked", ASKED)
    _one_of(fields["verified"], "verified", VERIFIED)
    return fields | {"counted_from": str(received)}


@dataclass(frozen=True, slots=True)
class Decision:
    decision: str
    ground: str | None
    reason: str | None
    counted_from: str | None  # of a postponement: the day its cause ends


def decision(fields: dict[str, str], received: date, today: date) -> Decision:
    """The decision. `received`: the causes of all postponements together end within 90 days of the receipt."""
    _one_of(fields["decision"], "decision", DECISIONS)
    grounds = GROUNDS_OF[fields["decision"]]
    if not grounds:
        return Decision(fields["decision"], None, None, None)
    if fields["ground"] not in grounds:
        raise BadInput(f"ground: for {fields['decision']} one of {', '.join(grounds)} expected")
    _plain(fields["reason"], "reason", REASON_LIMIT)
    ends = None
    if fields["decision"] == "postponed":
        ends = _day(fields["ends_on"], "ends_on")
        if not today < ends <= received + timedelta(days=MOST_POSTPONED_DAYS):
            raise BadInput(f"ends_on: a day to come, within {MOST_POSTPONED_DAYS} days of the receipt, expected")
    return Decision(fields["decision"], fields["ground"], fields["reason"], None if ends is None else str(ends))


def appointment(fields: dict[str, str], zone: ZoneInfo, now_ns: int) -> dict[str, str]:
    try:
        meets = datetime.fromisoformat(fields["meets_at"])
    except ValueError:
        raise BadInput("meets_at: a day and a time as 2026-12-03T14:00 expected") from None
    if meets.tzinfo is not None:
        raise BadInput("meets_at: a time of this office, without a zone, expected")
    ahead = meets.replace(tzinfo=zone) - datetime.fromtimestamp(now_ns / NS_PER_S, zone)
    if not timedelta(0) < ahead <= timedelta(days=MOST_AHEAD_DAYS):
        raise BadInput(f"meets_at: to come, within {MOST_AHEAD_DAYS} days, expected")
    for name in ("room", "attending"):
        _plain(fields[name], name, PLACE_LIMIT)
    at = rfc3339(now_ns + int(ahead.total_seconds()) * NS_PER_S)
    return {"meets_at": at, "room": fields["room"], "attending": fields["attending"]}


def outcome(fields: dict[str, str]) -> str:
    return _one_of(fields["outcome"], "outcome", CLOSES)


def _plain(text: str, what: str, limit: int) -> None:
    document.require_plain(text, what, limit)
    if without_numbers(text) != text:
        raise BadInput(f"{what}: without a telephone number expected")


def _day(text: str, what: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{what}: a day as 2026-11-24 expected") from None
    if not is_possible_day(found):
        raise BadInput(f"{what}: a day of this age expected")
    return found


def _one_of(text: str, what: str, known: Iterable[str]) -> str:
    if text not in known:
        raise BadInput(f"{what}: one of {', '.join(sorted(known))} expected")
    return text
