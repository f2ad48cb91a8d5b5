# SPDX-License-Identifier: Apache-2.0
"""`linetap desk doctor`: finds faults of a desk's server, with a line and a remedy for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A result with its text (`said`). A result with a `cure` is a fault."""

    what: str
    said: str
    cure: str = ""

    def __str__(self) -> str:
        return f"WRONG {self.what}: {self.said}; {self.cure}" if self.cure else f"ok    {self.what}: {self.said}"
