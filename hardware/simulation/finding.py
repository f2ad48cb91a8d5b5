# SPDX-License-Identifier: Apache-2.0
"""One figure of the front end, compared with its requirement."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure. `low` and `high` are the worst found, in `unit`; both must lie within `least` and `most`, if given."""

    what: str
    low: float
    high: float
    unit: str
    least: float = -inf
    most: float = inf

    @property
    def holds(self) -> bool:
        """Whether the figure meets its limits; one that could not be measured (nan) never does."""
        return self.least <= self.low <= self.high <= self.most

    def limit(self) -> str:
        if self.least == -inf and self.most == inf:
            return "-"
        if self.least == -inf:
            return f"<= {self.most:g} {self.unit}"
        if self.most == inf:
            return f">= {self.least:g} {self.unit}"
        return f"{self.least:g} to {self.most:g} {self.unit}"

    def result(self) -> str:
        """The result in three digits, the same for other releases of the simulator."""
        low, high = _digits(self.low), _digits(self.high)
        if low == high:
            return f"{low} {self.unit}"
        if self.least == -inf and self.most < inf and self.low >= 0:
            return f"{high} {self.unit}"
        if self.least > -inf and self.most == inf:
            return f"{low} {self.unit}"
        return f"{low} to {high} {self.unit}"

    def expected(self) -> str:
        """The range in which a measurement may lie, or its decisive end."""
        if self.low == self.high:
            return f"about {_digits(self.low)} {self.unit}"
        if self.least == -inf and self.low >= 0:
            return f"{_digits(self.low)} to {_digits(self.high)} {self.unit}"
        if self.most == inf:
            return f"above {_digits(self.least)} {self.unit}"
        return self.result()

    def __str__(self) -> str:
        return f"{self.what}: {self.result()}, asked {self.limit()}"


def _digits(value: float) -> str:
    return "0" if abs(value) < 1e-3 else f"{value:.3g}"


def over(what: str, values: list[float], unit: str, *, least: float = -inf, most: float = inf) -> Finding:
    """A finding from single values; one nan makes it nan."""
    if any(value != value for value in values):
        return Finding(what, float("nan"), float("nan"), unit, least, most)
    return Finding(what, min(values), max(values), unit, least, most)
