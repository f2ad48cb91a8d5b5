# SPDX-License-Identifier: Apache-2.0
"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`said` is what was found; with a `cure` it is wrong."""

    what: str
    said: str
    cure: str = ""

    def __str__(self) -> str:
        return f"WRONG {self.what}: {self.said}; {self.cure}" if self.cure else f"ok    {self.what}: {self.said}"
