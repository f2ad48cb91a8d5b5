# SPDX-License-Identifier: Apache-2.0
"""Compares the recorder's result for a call with the script's truth; the confusion table of one or more days."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec
import numpy as np

from linetap_bench.day.draw import LATE_MS, DayCall
from linetap_bench.figures import Row
from linetap_core.clock import NS_PER_MS, parse_rfc3339
from linetap_core.records import ABUSE, CallRecord

MACHINES = ("fax", "modem")
NEAR_MS = 1000  # how far a record may begin before its call, by rounding only
AFTER_MS = 12_000  # time until a call counts as missed; a later record still belongs to it
Party = Literal["in time", "before", "late", "never", "flagged", ""]
Announced = Literal["before", "in time", "late", "never", ""]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement of a call. `announced` is empty if no party needs the notice; FAULTS lists the fields of faults."""

    announced: Announced = ""
    after_ms: int | None = None  # from the answer to the first notice after it
    again: bool = False  # a notice before the answer was repeated in time after it
    full_wrongly: bool = False  # proof `full`, though the answering party could not hear the notice
    unrecorded: bool = False  # wrongly not recorded
    unanswered: bool = False  # recorded without an answer
    against_policy: bool = False  # recorded or announced against the policy
    repeated: bool = False  # announced again without a further party on the line
    mark: bool = False  # mark differs from what staff did
    lost: bool = False  # no record exists
    by: str = ""  # the record's evidence of the answer
    records: int = 0
    party: Party = ""  # of a later party
    summary: str = ""  # the records in words

    @property
    def faults(self) -> list[str]:
        found = [name for name in FAULTS if getattr(self, name)]
        found += [f"announced {self.announced}"] if self.announced in ("before", "late", "never") else []
        return [*found, *([f"party {self.party}"] if self.party in ("before", "late", "never") else [])]


FAULTS = ("full_wrongly", "unrecorded", "unanswered", "against_policy", "repeated", "mark", "lost")


def judge(day: DayCall, records: list[CallRecord], start_ns: int) -> Verdict:
    """`records`: all records of the call in the order of their ends; `start_ns`: the start of its hour."""
    truth = day.truth
    if not records:
        return Verdict(lost=True, summary="no record")
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
    proven = [
        at
        for at, notice in notices
        if notice.proof == "full" and getattr(notice, "began_after_answer", None) is not False
    ]
    answer = truth.answer_ms
    full_wrongly = recorded and any(answer is None or at < answer for at in proven)
    return Verdict(
        announced=announced,
        after_ms=after,
        again=again,
        full_wrongly=full_wrongly,
        unrecorded=truth.expected == "recorded" and not recorded,
        unanswered=recorded and answer is None,
        against_policy=truth.expected == "not"
        and answer is not None
        and (recorded or _announced_against(day, records)),
        repeated=truth.expected == "recorded" and truth.once and sum(at >= (answer or 0) for at in begun) > 1,
        mark=recorded and truth.marked != any(mark.kind == ABUSE for record in records for mark in record.marks),
        by=next((_answer_evidence(record) for record in records if record.answered_by), ""),
        records=len(records),
        party=_party(day, begun, records),
        summary=" | ".join(_summary(record, start_ns) for record in records),
    )


def records_of(calls: list[DayCall], records: list[CallRecord], start_ns: int) -> dict[int, list[CallRecord]]:
    """For each call, by its number, the records of its line that began during the call."""
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


def _announced_against(day: DayCall, records: list[CallRecord]) -> bool:
    """Whether a notice was played against the policy. A notice that stopped for a machine's tone is allowed."""
    notices = [notice for record in records for notice in record.notices]
    return any(notice.ended_at for notice in notices) if day.truth.why in MACHINES else bool(notices)


def _announced(day: DayCall, begun: list[int]) -> tuple[Announced, int | None, bool]:
    truth, answer = day.truth, day.truth.answer_ms
    if answer is None:
        return ("before" if begun and truth.expected == "not" and not truth.why else ""), None, False
    behind = [at - answer for at in begun if at >= answer]
    after = behind[0] if behind else None
    if truth.expected != "recorded":
        return "", after, False
    first_party = "transferred" not in truth.kind  # a colleague need not hear the notice
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


def _answer_evidence(record: CallRecord) -> str:
    """The evidence of the answer, and its confidence."""
    sure = "" if record.answer is msgspec.UNSET else f", {record.answer.confidence}"
    return f"{record.answered_by}{sure}"


def _summary(record: CallRecord, start_ns: int) -> str:
    words = [record.disposition + (f" ({record.why})" if record.why else "")]
    if record.answered_at:
        words.append(f"answered at {_ms(record.answered_at, start_ns) / 1000:.2f} by {_answer_evidence(record)}")
    if record.answer is not msgspec.UNSET and record.answer.evidence:
        words.append(f"since {', '.join(record.answer.evidence)}")
    words += [f"notice at {_ms(each.started_at, start_ns) / 1000:.2f} {each.proof}" for each in record.notices]
    return "; ".join(words)


COLUMNS = ("in time", "before", "late", "never", *FAULTS)
HEADS = ("in time", "before", "late", "never", "full?", "unrec.", "rec.!", "policy", "twice", "mark", "lost")
MOST_OF_A_KIND = 3  # failures shown of each kind; the JSON has all


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    call: int
    line: int
    kind: str
    faults: list[str]
    answered_s: float | None  # per hour, by the truth
    summary: str


class DayReport(msgspec.Struct, kw_only=True):
    at: str
    seeds: list[int]
    calls: int
    took_s: float
    cpu_s: float
    kinds: dict[str, dict[str, int]]
    by: dict[str, dict[str, int]]
    rows: list[Row]
    failures: list[Failure]


class Table:
    def __init__(self) -> None:
        self.kinds: dict[str, Counter[str]] = {}
        self.failures: list[Failure] = []
        self.calls = 0
        self.by: dict[str, Counter[str]] = {}  # outgoing calls by the evidence of their answer
        self.after_ms: list[int] = []  # of outgoing calls: time from the answer to the notice

    def add(self, seed: int, day: DayCall, verdict: Verdict) -> None:
        self.calls += 1
        counts = self.kinds.setdefault(day.truth.kind, Counter())
        counts["calls"] += 1
        counts[verdict.announced] += bool(verdict.announced)
        counts["again"] += verdict.again
        counts["split"] += verdict.records > 1
        if verdict.party:
            counts[f"party {verdict.party}"] += 1
        for fault in FAULTS:
            counts[fault] += getattr(verdict, fault)
        if day.call.direction == "out" and verdict.announced:
            self.by.setdefault(verdict.by or "nothing", Counter())[verdict.announced] += 1
            if verdict.after_ms is not None and verdict.announced != "before":
                self.after_ms.append(verdict.after_ms)
        if day.truth.kind.startswith("out"):
            counts["outgoing"] += 1
            counts["outgoing wrong"] += verdict.announced in ("before", "late", "never")
        elif day.call.direction == "out":
            counts["outgoing"] += 1
            counts["outgoing wrong"] += verdict.announced == "before"
        if verdict.faults:
            answer = day.truth.answer_ms
            self.failures.append(
                Failure(
                    seed=seed,
                    call=day.number,
                    line=day.call.line,
                    kind=day.truth.kind,
                    faults=verdict.faults,
                    answered_s=None if answer is None else answer / 1000,
                    summary=verdict.summary,
                )
            )

    def total(self, name: str) -> int:
        return sum(counts[name] for counts in self.kinds.values())

    def rows(self) -> list[Row]:
        outgoing, calls = max(1, self.total("outgoing")), max(1, self.calls)
        return [
            _row("outgoing: announced before the answer, late or never", 100 * self.total("outgoing wrong") / outgoing,
                 "%", 1.0, f"of {outgoing} outgoing calls; late is 3 s behind the answer, 6.5 s where staff greets"),
            _row("notice full that the answering party could not hear", self.total("full_wrongly"), "", 0,
                 f"of {calls} calls; a record with began_after_answer = false is not counted"),
            _row("recorded without an answer", 100 * self.total("unanswered") / calls, "%", 0.2,
                 f"of {calls} calls"),
            _row("calls lost", self.total("lost"), "", 0, f"of {calls} calls: without any record"),
        ]  # fmt: skip

    def text(self) -> str:
        head = f"{'':36} {'calls':>6} " + " ".join(f"{name:>7}" for name in HEADS)
        lines = [head, *(_line(kind, self.kinds[kind]) for kind in sorted(self.kinds))]
        everything: Counter[str] = Counter()
        for counts in self.kinds.values():
            everything.update(counts)
        lines += ["", _line("all", everything)]
        for by, counts in sorted(self.by.items()):
            summary = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
            lines.append(f"outgoing, answer known by {by}: {summary}")
        if self.after_ms:
            p50, p95 = np.percentile(self.after_ms, (50, 95))
            lines.append(f"outgoing, from the answer to the notice: median {p50:.0f} ms, 95 % within {p95:.0f} ms")
        parties = {name: n for name, n in everything.items() if name.startswith("party ")}
        lines.append(f"announced before the answer and once more behind it: {everything['again']}")
        lines.append("a later party announced: " + ", ".join(f"{k[6:]} {n}" for k, n in sorted(parties.items())))
        lines.append(f"calls of more than one record: {everything['split']}")
        return "\n".join(lines)

    def failures_text(self) -> str:
        lines, shown = [], Counter[str]()
        for failure in sorted(self.failures, key=lambda each: (each.kind, each.seed, each.call)):
            shown[failure.kind] += 1
            if shown[failure.kind] > MOST_OF_A_KIND:
                continue
            answered = "unanswered" if failure.answered_s is None else f"answered at {failure.answered_s:.2f}"
            lines.append(
                f"--seed {failure.seed} --only {failure.call}: line {failure.line}, {failure.kind}: "
                f"{', '.join(failure.faults)}; {answered}; the record: {failure.summary}"
            )
        left = len(self.failures) - len(lines)
        return "\n".join([*lines, *([f"and {left} more, in the JSON"] if left else [])])


def _line(kind: str, counts: Counter[str]) -> str:
    figures = " ".join(f"{counts[name] or '.':>7}" for name in COLUMNS)
    return f"{kind:36} {counts['calls']:>6} {figures}"


def _row(name: str, figure: float, unit: str, target: float, method: str) -> Row:
    return Row(name=name, figure=figure, unit=unit, target=target, method=method)
