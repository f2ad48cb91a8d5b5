# SPDX-License-Identifier: Apache-2.0
"""The long tests' injected faults and their outcomes, as one table at the end."""

from __future__ import annotations

from typing import NamedTuple

HEAD = ("what was broken on purpose", "trials", "lost", "doubled", "wrongly stated")


class Row(NamedTuple):
    what: str
    trials: int
    lost: int
    doubled: int
    wrong: int


ROWS: list[Row] = []


def add(what: str, trials: int, lost: int = 0, doubled: int = 0, wrong: int = 0) -> None:
    """Adds a row before the assertion that there are no errors, so that the table also has the failures."""
    ROWS.append(Row(what, trials, lost, doubled, wrong))


def lines(rows: list[Row]) -> list[str]:
    """The table; empty if no long test ran."""
    if not rows:
        return []
    total = Row(
        "all", sum(row.trials for row in rows), sum(row.lost for row in rows), sum(row.doubled for row in rows),
        sum(row.wrong for row in rows),
    )  # fmt: skip
    table = [HEAD, *rows, total]
    widths = [max(len(str(line[n])) for line in table) for n in range(len(HEAD))]
    return [
        "  ".join(str(word).ljust(width) if not n else str(word).rjust(width)
                  for n, (word, width) in enumerate(zip(line, widths, strict=True)))
        for line in table
    ]  # fmt: skip
