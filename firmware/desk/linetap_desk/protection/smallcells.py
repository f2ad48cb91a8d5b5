# SPDX-License-Identifier: Apache-2.0
"""Small numbers that would identify a person are not shown, nor are those from which they could be computed. Pure.

A number from 1 to 4 is hidden; where it would follow from a sum that is shown, the next smallest is hidden as well.
The sums of the whole office are always shown. Departments with fewer than three lines are joined into one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LEAST = 5
LEAST_LINES = 3
Cell = tuple[str, str]  # row, column


def hidden(cells: Mapping[Cell, int], sums: Sequence[Sequence[Cell]]) -> frozenset[Cell]:
    """The cells not to be shown. `sums`: cells whose sum a reader knows, or that with one more shown cell give such a
    sum. In each of them none or at least two are hidden, so that a difference gives the sum of both alone."""
    found = {cell for cell, number in cells.items() if 0 < number < LEAST}
    for _ in range(len(cells)):
        single = next((each for each in sums if len(each) > 1 and len(found.intersection(each)) == 1), None)
        if single is None:
            break
        left = [cell for cell in single if cell not in found]
        found.add(min(left, key=lambda cell: (cells[cell] == 0, cells[cell], cell)))
    return frozenset(found)
