# SPDX-License-Identifier: Apache-2.0
"""Checks the ended calls of a log: each `end` leaf by the order of the leaves and by the call's record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.records import PublicRecord

MOST_SITUATIONS, MOST_CHARACTERS = 20, 40  # situations of a foreign file, and characters of one
Report = Callable[[str, str], None]


class LogEnds:
    """The check of `end` leaves; receives every leaf in turn. `report` takes a code and a sentence."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._ends: dict[str, dict[str, str | None]] = {}
        self._closed_calls: set[str] = set()

    def check_leaf(self, index: int, leaf: Leaf) -> None:
        if leaf.call_id is None:
            return
        if leaf.kind == "close":
            self._closed_calls.add(leaf.call_id)
        elif leaf.kind == "end":
            end = unitlog.fields_in(leaf)
            if self._ends.setdefault(leaf.call_id, end) != end:
                self._report("other_end", f"leaf {index}: {leaf.call_id} was ended in another way by an earlier leaf")
            elif leaf.call_id in self._closed_calls:
                self._report("end_after_close", f"leaf {index}: {leaf.call_id} was ended after its close")

    def contradicts(self, record: PublicRecord) -> bool:
        """Whether the log states another end than the record, or has closed an ended call without one."""
        end = self._ends.get(record.call_id)
        if end is None and record.call_id not in self._closed_calls:
            return False  # reported as missing in the log
        return end != unitlog.fields_of(record)

    def notes(self) -> Iterator[str]:
        if self._ends:
            situations = Counter(str(end["situation"]) for end in self._ends.values())
            enders = Counter(str(end["ended_by"]) for end in self._ends.values())
            yield f"{len(self._ends)} calls were ended after a notice: {_counts(situations)}; {_counts(enders)}"


def _counts(counts: Counter[str]) -> str:
    shown = sorted(counts.items())[:MOST_SITUATIONS]
    return ", ".join(f"{name[:MOST_CHARACTERS]} {number}" for name, number in shown) + (
        ", ..." if len(counts) > len(shown) else ""
    )
