# SPDX-License-Identifier: Apache-2.0
"""The confusion table of one day or of several, and the same as JSON."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np

from linetap_bench.day.judge import FAULTS, Verdict
from linetap_bench.day.truth import DayCall
from linetap_bench.measure.row import Row

COLUMNS = ("in time", "before", "late", "never", *FAULTS)
HEADS = ("in time", "before", "late", "never", "full?", "unrec.", "rec.!", "policy", "twice", "mark", "lost")
MOST_OF_A_KIND = 3  # failures that are shown; the JSON has all


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    call: int
    line: int
    kind: str
    faults: list[str]
    answered_s: float | None  # of the hour, by the truth
    said: str


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
        self.by: dict[str, Counter[str]] = {}  # outgoing calls by what their answer was known by
        self.after_ms: list[int] = []  # of outgoing calls: from the answer to the notice

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
                    said=verdict.said,
                )
            )

    def total(self, name: str) -> int:
        return sum(counts[name] for counts in self.kinds.values())

    def rows(self) -> list[Row]:
        outgoing, calls = max(1, self.total("outgoing")), max(1, self.calls)
        return [
            _row("outgoing: announced before the answer, late or never", 100 * self.total("outgoing wrong") / outgoing,
                 "%", 1.0, f"of {outgoing} outgoing calls; late is 3 s behind the answer, 6.5 s where staff greets"),
            _row("notice full that who answered could not hear", self.total("full_wrongly"), "", 0,
                 f"of {calls} calls; a record that says began_after_answer = false is not counted"),
            _row("recorded though nobody answered", 100 * self.total("unanswered") / calls, "%", 0.2,
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
            said = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
            lines.append(f"outgoing, answer known by {by}: {said}")
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
                f"{', '.join(failure.faults)}; {answered}; the record: {failure.said}"
            )
        left = len(self.failures) - len(lines)
        return "\n".join([*lines, *([f"and {left} more, in the JSON"] if left else [])])


def _line(kind: str, counts: Counter[str]) -> str:
    figures = " ".join(f"{counts[name] or '.':>7}" for name in COLUMNS)
    return f"{kind:36} {counts['calls']:>6} {figures}"


def _row(name: str, figure: float, unit: str, target: float, method: str) -> Row:
    return Row(name=name, figure=figure, unit=unit, target=target, method=method)
