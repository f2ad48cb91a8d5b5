# SPDX-License-Identifier: Apache-2.0
"""What a check found: of a call, or of a unit's log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from linetap.errors import LinetapError
from linetap.records import CallRecord


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    text: str


@dataclass(slots=True)
class Verdict:
    """`record` as far as it could be read; `trusted` when a named signer stands behind it."""

    name: str
    record: CallRecord | None = None
    record_sha256: str | None = None
    trusted: bool = False
    problems: list[Problem] = field(default_factory=list)
    counts: bool = True  # False: said, and nothing is refused for it

    @property
    def good(self) -> bool:
        return (self.trusted or not self.counts) and not self.problems

    def lines(self) -> Iterator[str]:
        for problem in self.problems:
            yield f"BAD  {self.name}: {problem.text} [{problem.code}]"
        if not self.problems:
            if self.trusted or not self.counts:
                yield f"{'ok' if self.trusted else '?':4} {self.name}"
            else:
                yield f"?    {self.name}: consistent, signer not trusted"

    def add(self, error: LinetapError) -> None:
        self.problems.append(Problem(error.code, str(error)))
