# SPDX-License-Identifier: Apache-2.0
"""The result of a check of a call or of a unit's log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from linetap_core.errors import LinetapError
from linetap_core.records import CallRecord


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    text: str


@dataclass(slots=True)
class Verdict:
    """The result. `record`: as far as it could be read; `trusted`: a named signer signed it."""

    name: str
    record: CallRecord | None = None
    record_sha256: str | None = None
    trusted: bool = False
    problems: list[Problem] = field(default_factory=list)
    counts: bool = True  # False: informational only
    counted: datetime | None = None  # begin of the call by counted time, if the unit's clock was wrong
    notes: list[str] = field(default_factory=list)  # further information

    @property
    def good(self) -> bool:
        return (self.trusted or not self.counts) and not self.problems

    def lines(self) -> Iterator[str]:
        """The result, line by line; control characters of names and texts are escaped."""
        name = _escaped(self.name)
        for problem in self.problems:
            yield f"BAD  {name}: {_escaped(problem.text)} [{problem.code}]"
        if not self.problems:
            if self.trusted or not self.counts:
                yield f"{'ok' if self.trusted else '?':4} {name}"
            else:
                yield f"?    {name}: consistent, signer not trusted"
        for note in self.notes:
            yield f"?    {name}: {_escaped(note)}"
        for at in self._early():
            yield f"?    {name}: the notice of {at} was played before anybody was known to have answered"

    def _early(self) -> list[str]:
        notices = self.record.notices if self.record is not None else []
        return [_escaped(notice.started_at) for notice in notices if notice.began_after_answer is False]

    def add(self, error: LinetapError) -> None:
        self.problems.append(Problem(error.code, str(error)))


def _escaped(text: str) -> str:
    """The text with escapes for characters that could end or overwrite a line, or reverse its direction."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
