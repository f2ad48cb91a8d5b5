# SPDX-License-Identifier: Apache-2.0
"""Checks the ended calls of a log: each `end` leaf by the order of the leaves and by the call's record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.records import PublicRecord

MOST_NAMED, LONGEST = 20, 40  # situations of a foreign file, and characters of one
Bad = Callable[[str, str], None]


class LogEnds:
    """The check of `end` leaves; receives every leaf in turn. `bad` takes a code and a sentence."""

    def __init__(self, bad: Bad) -> None:
        self._bad = bad
        self._ends: dict[str, dict[str, str | None]] = {}
        self._closed: set[str] = set()

    def check_leaf(self, index: int, leaf: Leaf) -> None:
        if leaf.call_id is None:
            return
        if leaf.kind == "close":
            self._closed.add(leaf.call_id)
        elif leaf.kind == "end":
            end = unitlog.fields_in(leaf)
            if self._ends.setdefault(leaf.call_id, end) != end:
                self._bad("other_end", f"leaf {index}: {leaf.call_id} was ended in another way by an earlier leaf")
            elif leaf.call_id in self._closed:
                self._bad("end_after_close", f"leaf {index}: {leaf.call_id} was ended after its close")

    def contradicts(self, record: PublicRecord) -> bool:
        """Whether the log states another end than the record, or has closed an ended call without one."""
        end = self._ends.get(record.call_id)
        if end is None and record.call_id not in self._closed:
            return False  # reported as missing in the log
        return end != unitlog.fields_of(record)

    def notes(self) -> Iterator[str]:
        if self._ends:
            why = Counter(str(end["situation"]) for end in self._ends.values())
            by = Counter(str(end["ended_by"]) for end in self._ends.values())
            yield f"{len(self._ends)} calls were ended after a notice: {_counts(why)}; {_counts(by)}"


def _counts(found: Counter[str]) -> str:
    most = sorted(found.items())[:MOST_NAMED]
    return ", ".join(f"{name[:LONGEST]} {number}" for name, number in most) + (
        ", ..." if len(found) > len(most) else ""
    )
