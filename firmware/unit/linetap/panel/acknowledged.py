# SPDX-License-Identifier: Apache-2.0
"""What somebody in the closet has seen and said so: FAULT is calm while nothing else stands.

It is the panel's alone, and forgotten with it: alerts, journal and desk go on as if nobody had pressed anything.
"""

from __future__ import annotations


class Acknowledged:
    def __init__(self) -> None:
        self._seen: frozenset[str] = frozenset()

    def take(self, marks: frozenset[str]) -> None:
        """All that stands now."""
        self._seen = marks

    def calms(self, marks: frozenset[str]) -> bool:
        """Whether all that stands has been seen. What has gone and comes again is new."""
        self._seen &= marks
        return bool(marks) and marks == self._seen
