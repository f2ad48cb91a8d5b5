# SPDX-License-Identifier: Apache-2.0
"""Small numbers that would identify a person are not shown, nor are those from which they could be computed. Pure.

A number from 1 to 4 is hidden. Where it could be computed from a sum that is shown, the next smallest numbers are
hidden as well. The sums of the whole office are always shown. Departments with fewer than three lines are joined into
one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LEAST = 5
LEAST_LINES = 3
Cell = tuple[str, str]  # row, column


def hidden(
    cells: Mapping[Cell, int], sums: Sequence[Sequence[Cell]], parts: Sequence[Sequence[Cell]] = ()
) -> frozenset[Cell]:
    """The cells not to be shown. `sums`: cells whose sum a reader knows. `parts`: a cell, and those that it is the sum
    of. In each of them none are hidden, or so many that their sum says nothing of one."""
    found = {cell for cell, number in cells.items() if 0 < number < LEAST}
    for _ in range(len(cells)):
        left = next(filter(None, (_left(cells, found, each, None) for each in sums)), None)
        left = left or next(filter(None, (_left(cells, found, each, each[0]) for each in parts)), None)
        if left is None:
            break
        least = min((cells[cell] for cell in left), key=lambda number: (number == 0, number))
        found.update(cell for cell in left if cells[cell] == least)  # one of several alike would tell which was small
    return frozenset(found)


def _left(cells: Mapping[Cell, int], found: set[Cell], each: Sequence[Cell], whole: Cell | None) -> list[Cell]:
    """The cells that may be hidden beside those that are, which are too few: one alone, or with a sum of less than
    LEAST, or of so many that each of them must be the largest of the small ones. A hidden sum says nothing."""
    ours = found.intersection(each)
    number = sum(cells[cell] for cell in ours)
    says = whole not in ours and (number < LEAST or number == (LEAST - 1) * len(ours))
    return [cell for cell in each if cell not in ours] if ours and (len(ours) == 1 or says) else []
