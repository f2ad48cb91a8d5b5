# SPDX-License-Identifier: Apache-2.0
"""Reads the desk's data on one call: its row, its signed events, its second copy, the head of its unit's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from linetap_core.clock import parse_rfc3339
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.wire.legend import CONDITIONS
from linetap_desk.ingest import callrow, judge, vaults
from linetap_desk.ingest.callrow import HOLD_ENDED
from linetap_desk.ingest.destroyedcalls import CLEARED
from linetap_desk.ingest.heads import CODES
from linetap_desk.ingest.judge import EventFields, Report
from linetap_desk.ingest.tables import alerts, calls, copies, events, heads
from linetap_desk.protection.words import SITUATION as SITUATIONS
from linetap_desk.web.text import N_, Language

MOST_EVENTS = 200  # a call has about eight


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the call. `check`: "good", "cleared" (the call is destroyed), "unasked" (no signers' file is
    configured), or the code of the fault. `fields` None: cleared, or of a later version."""

    event: str
    seq: int
    origin: str
    at: str
    received_at: str
    late: bool
    check: str
    fields: EventFields | None


@dataclass(frozen=True, slots=True)
class Head:
    """The head of the log of the key that reported the call. `behind`: signed before the call was sealed. `misfits`:
    codes of alerts of that log."""

    size: int
    root: str
    at: str
    behind: bool
    misfits: list[str]


@dataclass(frozen=True, slots=True)
class CallDetails:
    row: Mapping[str, Any]
    events: list[Event]
    more: bool
    copy: Mapping[str, Any] | None
    amended: Amendment | None  # the unit's later correction of the record's times and end
    head: Head | None

    @property
    def is_copied(self) -> bool:
        return self.copy is not None and self.copy["removed_at"] is None

    @property
    def held(self) -> bool | None:
        """Whether it is held, by the unit's latest report; None without a report of a hold."""
        holds = [one.fields for one in self.events if one.event == "held" and one.fields is not None]
        return holds[-1].why != HOLD_ENDED if holds else None


def read_details(db: Connection, unit: str, call_id: str, signers: list[Signer] | None) -> CallDetails | None:
    """The data; None if there is no such call. `signers` None: signatures are not checked."""
    row = db.execute(select(calls).where(calls.c.unit == unit, calls.c.call_id == call_id)).mappings().first()
    if row is None:
        return None
    wanted = select(events).where(events.c.unit == unit, events.c.call_id == call_id)
    found = _in_order(db.execute(wanted.order_by(events.c.origin, events.c.seq).limit(MOST_EVENTS + 1)).all())
    stored = db.execute(select(copies).where(copies.c.unit == unit, copies.c.call_id == call_id)).mappings().first()
    origin = vaults.origin_of(found[-1].origin) if found else ""
    later = callrow.last_amendment(db, unit, call_id)
    return CallDetails(
        row=dict(row),
        events=[_event(one, signers) for one in found[:MOST_EVENTS]],
        more=len(found) > MOST_EVENTS,
        copy=None if stored is None else dict(stored),
        amended=None if later is None or callrow.amendment_is_of_other(db, later) else later,
        head=_head(db, unit, origin, row["sealed_at"] or row["began_at"]),
    )


def _in_order(found: Sequence[Any]) -> list[Any]:
    """The events as ordered by callrow.py: the events of a key by number, keys by their first event."""
    first: dict[str, str] = {}
    for row in found:
        first[row.origin] = min(row.at, first.get(row.origin, row.at))
    return sorted(found, key=lambda row: (first[row.origin], row.origin, row.seq))


def _event(row: Any, signers: list[Signer] | None) -> Event:
    fields, check = None, "cleared"
    if row.event != CLEARED:
        fields, check = judge.event_fields(row.payload), "unasked"
    if fields is not None and signers is not None:
        report = Report(row.unit, row.payload, unarmored(row.sig), parse_rfc3339(row.received_at))
        verdict = judge.judge_event(report, signers)
        check = "good" if isinstance(verdict, judge.Event) else verdict.code
    return Event(row.event, row.seq, row.origin, row.at, row.received_at, row.late, check, fields)


def _head(db: Connection, unit: str, origin: str, sealed_at: str) -> Head | None:
    mine = (heads.c.unit == unit, heads.c.origin == origin)
    newest = select(heads.c.size, heads.c.root, heads.c.at).where(*mine, heads.c.code == "").order_by(heads.c.id.desc())
    found = db.execute(newest.limit(1)).first()
    if found is None:
        return None
    against = select(alerts.c.code).where(alerts.c.unit == unit, alerts.c.origin == origin, alerts.c.code.in_(CODES),
                                          alerts.c.ended_at.is_(None))  # fmt: skip
    misfits = sorted(set(db.execute(against).scalars()))
    return Head(found.size, found.root, found.at, found.at < sealed_at, misfits)


# --- Words for codes of records, events and outages: msgids by code. An unknown code is shown as it is ----------------


DIRECTION = {"in": N_("incoming"), "out": N_("outgoing"), "unknown": N_("direction unknown")}
DISPOSITION = {
    "recorded": N_("recorded"),
    "missed": N_("missed"),
    "unanswered": N_("not answered at the other end"),
    "discarded": N_("not recorded: discarded"),
    "skipped": N_("not recorded: skipped by policy"),
    "exempt": N_("not recorded: exempt line"),
    "fax": N_("not recorded: fax"),
    "modem": N_("not recorded: modem"),
}
STATE = {
    "open": N_("in progress"),
    "ended": N_("ended"),
    "sealed": N_("sealed"),
    "copied": N_("sealed, second copy"),
    "held": N_("held"),
    "destroyed": N_("destroyed"),
}
# The classes of a unit's default configuration; a city may have others.
RETENTION_CLASS = {"standard": N_("ordinary"), "abuse": N_("abuse")}
MARK = {
    "any": N_("any mark"),
    "abuse": N_("abuse"),
    "mark_far": N_("the mark code, dialled by the other side"),
    "mark_uncertain": N_("the mark code, dialled on an unknown telephone"),
    "notice_code": N_("the notice was requested on this telephone"),
    "notice_code_far": N_("the notice code, dialled by the other side"),
    "notice_code_uncertain": N_("the notice code, dialled on an unknown telephone"),
}
PARTY = {
    "key": N_("staff requested the notice"),
    "flash": N_("the hook was flashed"),
    "neighbour": N_("another line of the unit handed its call on"),
    "hold": N_("music of a call on hold was heard"),
    "channel": N_("the line sounded different"),
}
WHY = {
    "internal": N_("an internal call"),
    "emergency": N_("an emergency number"),
    "line_exempt": N_("the line is exempt"),
    "fax_calling": N_("the tone of a calling fax was heard"),
    "fax_answer": N_("the tone of an answering fax was heard"),
    "modem_calling": N_("the tone of a calling modem was heard"),
    "modem_answer": N_("the tone of an answering modem was heard"),
    "modem_v8": N_("the answer tone of a modem or of a V.34 fax was heard"),
    "notice_failed": N_("the notice could not be played"),
    "notice_not_heard": N_("the notice was not heard on the line"),
    "announced_before_answer": N_("announced before the other side answered, and again at the answer"),
    "ended_before_notice": N_("it ended before the notice"),
    "ended_during_notice": N_("it ended during the notice"),
    "not_answered": N_("it was not answered"),
    "answer_unknown": N_("whether it was answered is not known"),
    "disk_full": N_("the unit's disk was full"),
    "disk_error": N_("the unit's disk failed"),
    "retention": N_("its retention had ended"),
    "hold_ended": N_("the hold has ended"),
}
PROOF = {
    "full": N_("heard whole in the captured sound"),
    "partial": N_("heard in part in the captured sound"),
    "early": N_("heard in the captured sound, but before the other side was known to have answered"),
    "absent": N_("played, and not heard in the captured sound"),
    "none": N_("not measured"),
}
EVENT = {
    "started": N_("began"),
    "notice": N_("notice begins"),
    "answered": N_("answered"),
    "ended": N_("ended"),
    "sealed": N_("sealed"),
    "missed": N_("missed"),
    "marked": N_("marked"),
    "call_time": N_("recommended call time exceeded"),
    "warned": N_("notice that the time is nearly over"),
    "extended": N_("staff extended the call"),
    "ending": N_("staff end the call: notice begins"),
    "end_cancelled": N_("staff stopped the end"),
    "end_refused": N_("the code for an end was refused"),
    "held": N_("held"),
    "copied": N_("second copy is known to the unit"),
    "destroyed": N_("destroyed"),
    "tested": N_("was a test call"),
    "cleared": N_("cleared"),
}
SITUATION = SITUATIONS  # the shipped ones; a site's own show their names
SEEN_BY = {
    "idle_voltage": N_("the line's idle voltage returned"),
    "dial_tone": N_("dial tone was heard"),
    "busy_tone": N_("busy tone was heard"),
    "staff": N_("staff put the handset down after the announcement"),
    "none": N_("not seen: the line did not become free in time"),
}
STEP = {
    "warned": N_("announced that the time is nearly over"),
    "extended": N_("extended by staff"),
    "end_cancelled": N_("stopped by staff"),
    "end_refused": N_("refused by the unit"),
    "end_far": N_("the code came from the other side, and did nothing"),
    "end_uncertain": N_("the code, dialled on an unknown telephone, had no effect"),
}
CHECK = {
    "good": N_("signature verified"),
    "cleared": N_("cleared: number and hash alone are kept"),
    "unasked": N_("not checked here: the desk was given no signers file"),
}
AWAY = {
    "before": N_("before that, the desk has no record of this unit's connection"),
    "offline": N_("the unit was not connected"),
    "unheard": N_("nothing arrived from the unit, although the broker called it online"),
    "not_recording": N_("the unit reported that it did not record"),
    "desk": N_("the desk received nothing from any unit"),
}
RECORD = {
    "no_store": N_("The desk keeps no second copies, so it has not read the record."),
    "elsewhere": N_("The second copy is in a store that is not read here."),
    "no_copy": N_("There is no second copy yet, so the desk has not read the record."),
    "unreadable": N_("The record in the second copy cannot be read."),
    "changed": N_("The record in the second copy is not the one that the unit has signed. Tell the vault officer."),
    "no_call_id": N_("Its name is not that of a call, so no copy was searched for."),
}
ENDED_BY = {
    "on_hook": N_("handset put down"),
    "tone": N_("busy tone"),
    "loop_break": N_("loop break"),
    "time_limit": N_("longest length reached"),
    "power": N_("power failure"),
    "released": N_("line released by the unit"),
    "staff_after_notice": N_("handset put down after the end notice"),
}
ANSWERED_BY = {
    "hook": N_("handset lifted"),
    "polarity": N_("polarity reversal"),
    "tone": N_("end of ringback"),
    "pbx": N_("report of the PBX"),
    "sound": N_("sound on the line"),
    "code": N_("pickup code"),
    "unknown": N_("not known: no evidence of an answer"),
}


def conditions(language: Language) -> dict[str, str]:
    """The conditions that a unit's LEDs show, in the legend's words."""
    return {name: str(getattr(one, language)) for name, one in CONDITIONS.items()}
