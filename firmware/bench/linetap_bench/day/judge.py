# SPDX-License-Identifier: Apache-2.0
"""What the recorder made of a call, against what is true of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from linetap_bench.day.truth import LATE_MS, DayCall
from linetap_core.clock import NS_PER_MS, parse_rfc3339
from linetap_core.records import ABUSE, CallRecord

MACHINES = ("fax", "modem")
NEAR_MS = 1000  # a record may begin so much before its call: never, but rounding
AFTER_MS = 12_000  # a missed call is known so late; a record that begins behind the call is still of it
Party = Literal["in time", "before", "late", "never", "flagged", ""]
Announced = Literal["before", "in time", "late", "never", ""]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`announced`: empty where nobody has to be. The others are faults, each True where it is one."""

    announced: Announced = ""
    after_ms: int | None = None  # from the answer to the first notice that began behind it
    again: bool = False  # of one announced before the answer: once more behind it, in time
    full_wrongly: bool = False  # `full`, of a notice that the answering party could not hear, whatever played later
    unrecorded: bool = False  # wrongly
    unanswered: bool = False  # recorded, and nobody had answered
    against_policy: bool = False  # recorded or announced, though policy says otherwise
    repeated: bool = False  # announced once more, though nobody had come on the line
    mark: bool = False  # marked as abusive though staff did not, or not marked though it did
    lost: bool = False  # there is no record
    by: str = ""  # what the record says the answer was known by
    records: int = 0
    party: Party = ""  # of a party that came later
    said: str = ""  # what the records say, for whoever looks

    @property
    def faults(self) -> list[str]:
        found = [name for name in FAULTS if getattr(self, name)]
        found += [f"announced {self.announced}"] if self.announced in ("before", "late", "never") else []
        return [*found, *([f"party {self.party}"] if self.party in ("before", "late", "never") else [])]


FAULTS = ("full_wrongly", "unrecorded", "unanswered", "against_policy", "repeated", "mark", "lost")


def judge(day: DayCall, records: list[CallRecord], start_ns: int) -> Verdict:
    """`records`: all of the call, in the order of their ends; `start_ns`: when its hour began."""
    truth = day.truth
    if not records:
        return Verdict(lost=True, said="no record")
    recorded = any(record.disposition == "recorded" for record in records)
    notices = sorted(
        (
            (_ms(notice.started_at, start_ns), notice)
            for record in records
            for notice in record.notices
            if notice.started_at
        ),
        key=lambda item: item[0],
    )
    begun = [at for at, _ in notices]
    announced, after, again = _announced(day, begun)
    heard = [
        at
        for at, notice in notices
        if notice.proof == "full" and getattr(notice, "began_after_answer", None) is not False
    ]
    answer = truth.answer_ms
    full_wrongly = recorded and any(answer is None or at < answer for at in heard)
    return Verdict(
        announced=announced,
        after_ms=after,
        again=again,
        full_wrongly=full_wrongly,
        unrecorded=truth.wants == "recorded" and not recorded,
        unanswered=recorded and answer is None,
        against_policy=truth.wants == "not" and answer is not None and (recorded or _told(day, records)),
        repeated=truth.wants == "recorded" and truth.once and sum(at >= (answer or 0) for at in begun) > 1,
        mark=recorded and truth.marked != any(mark.kind == ABUSE for record in records for mark in record.marks),
        by=next((_by(record) for record in records if record.answered_by), ""),
        records=len(records),
        party=_party(day, begun, records),
        said=" | ".join(_said(record, start_ns) for record in records),
    )


def records_of(calls: list[DayCall], records: list[CallRecord], start_ns: int) -> dict[int, list[CallRecord]]:
    """By the call's number: the records of its line that began within it."""
    found: dict[int, list[CallRecord]] = {each.number: [] for each in calls}
    for record in records:
        times = [record.ring_at, record.off_hook_at, record.answered_at, record.ended_at]
        began = min((_ms(at, start_ns) for at in times if at), default=0)
        mine = [each for each in calls if each.call.line == record.line and each.truth.began_ms - NEAR_MS <= began]
        if mine:
            last = max(mine, key=lambda each: each.truth.began_ms)
            if began <= last.truth.ended_ms + AFTER_MS:
                found[last.number].append(record)
    return found


def _told(day: DayCall, records: list[CallRecord]) -> bool:
    """A notice was played that policy does not want. One that stops for a machine's tone had begun before the tone."""
    notices = [notice for record in records for notice in record.notices]
    return any(notice.ended_at for notice in notices) if day.truth.why in MACHINES else bool(notices)


def _announced(day: DayCall, begun: list[int]) -> tuple[Announced, int | None, bool]:
    truth, answer = day.truth, day.truth.answer_ms
    if answer is None:
        return ("before" if begun and truth.wants == "not" and not truth.why else ""), None, False
    behind = [at - answer for at in begun if at >= answer]
    after = behind[0] if behind else None
    if truth.wants != "recorded":
        return "", after, False
    first_party = "transferred" not in truth.kind  # a colleague need not be told
    if any(at < answer for at in begun):
        return "before", after, after is not None and after <= truth.late_ms
    if after is None:
        return ("never" if first_party or not truth.parties_ms else ""), None, False
    return ("in time" if after <= truth.late_ms or not first_party else "late"), after, False


def _party(day: DayCall, begun: list[int], records: list[CallRecord]) -> Party:
    truth = day.truth
    if not truth.parties_ms:
        return ""
    came = truth.parties_ms[-1]
    behind = [at - came for at in begun if at >= came]
    due = max([LATE_MS, *(key - came + LATE_MS for key in truth.keys_ms if key >= came)])
    if behind:
        return "in time" if behind[0] <= due else "late"
    if any(at < came for at in begun[1:]):
        return "before"
    flagged = any(getattr(record, "party_unknown", None) is True for record in records)
    return "flagged" if flagged else "never"


def _ms(at: str | None, start_ns: int) -> int:
    return (parse_rfc3339(at) - start_ns) // NS_PER_MS if at else 0


def _by(record: CallRecord) -> str:
    """What the answer was known by, and how surely."""
    sure = "" if record.answer is msgspec.UNSET else f", {record.answer.confidence}"
    return f"{record.answered_by}{sure}"


def _said(record: CallRecord, start_ns: int) -> str:
    words = [record.disposition + (f" ({record.why})" if record.why else "")]
    if record.answered_at:
        words.append(f"answered at {_ms(record.answered_at, start_ns) / 1000:.2f} by {_by(record)}")
    if record.answer is not msgspec.UNSET and record.answer.evidence:
        words.append(f"since {', '.join(record.answer.evidence)}")
    words += [f"notice at {_ms(each.started_at, start_ns) / 1000:.2f} {each.proof}" for each in record.notices]
    return "; ".join(words)
