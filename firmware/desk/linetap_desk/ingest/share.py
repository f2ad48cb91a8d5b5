# SPDX-License-Identifier: Apache-2.0
"""The division of the units among ingests: by a hash of the unit's name, so that each unit has one ingest at a time.

What an ingest remembers (holes, confirmations, transfers of copies) and what it judges before it writes belongs to one
unit each. So nothing of it is shared between ingests that have different units.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Integer, Text, cast, func, true


@dataclass(frozen=True, slots=True)
class Share:
    """`number` of `of`, from 1."""

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"

    @property
    def whole(self) -> bool:
        """Whether it has all units."""
        return self.of == 1

    @property
    def is_first(self) -> bool:
        """Whether this ingest also does the work that belongs to no unit, which one of them does."""
        return self.number == 1

    def has(self, unit: str) -> bool:
        return self.whole or hashlib.sha256(unit.encode()).digest()[0] % self.of + 1 == self.number

    def where(self, unit: ColumnElement[str]) -> ColumnElement[bool]:
        """The same, as a condition on a column. In PostgreSQL: SQLite has one ingest, and so only the whole."""
        if self.whole:
            return true()
        first_byte = func.get_byte(func.sha256(func.convert_to(cast(unit, Text), "UTF8")), 0, type_=Integer)
        return first_byte % self.of + 1 == self.number


WHOLE = Share()
