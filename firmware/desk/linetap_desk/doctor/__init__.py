# SPDX-License-Identifier: Apache-2.0
"""`linetap desk doctor`: what is wrong with a desk's server, one line each with its cure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`said`: the result. With a `cure` it is a fault."""

    what: str
    said: str
    cure: str = ""

    def __str__(self) -> str:
        return f"WRONG {self.what}: {self.said}; {self.cure}" if self.cure else f"ok    {self.what}: {self.said}"
