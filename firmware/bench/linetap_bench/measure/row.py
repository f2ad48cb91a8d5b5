# SPDX-License-Identifier: Apache-2.0
"""A figure, its target, and how it was come by."""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    figure: float
    unit: str
    target: float
    at_most: bool = True  # else at least
    method: str
    beside: dict[str, float] = {}  # what others have on the same samples

    @property
    def behind(self) -> list[str]:
        """Who does better on the same samples."""
        sign = 1 if self.at_most else -1
        return [name for name, figure in self.beside.items() if sign * figure < sign * self.figure]

    @property
    def met(self) -> bool:
        return self.figure <= self.target if self.at_most else self.figure >= self.target


def table(rows: list[Row]) -> str:
    """A line for each; how it was come by below it, once for rows in a row that share it."""
    lines = [f"{'':58} {'measured':>12} {'target':>12}"]
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        sign = "<=" if row.at_most else ">="
        lines.append(
            f"{row.name:58} {row.figure:>8.2f} {row.unit:3} {sign} {row.target:>6g} {row.unit:3}"
            f" {'met' if row.met else 'MISSED':6}  {_beside(row)}".rstrip()
        )
        if following is None or following.method != row.method:
            lines.append(f"    {row.method}")
    return "\n".join(lines)


def _beside(row: Row) -> str:
    said = ", ".join(f"{name} {figure:g}" for name, figure in row.beside.items())
    return said + (f"; behind {' and '.join(row.behind)}" if row.behind else "")
