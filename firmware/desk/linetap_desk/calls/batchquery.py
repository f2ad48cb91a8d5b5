# SPDX-License-Identifier: Apache-2.0
"""One statement for many legs that differ in their values alone. PostgreSQL takes longer to be asked, and to plan, than
it then reads for one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, BindParameter, ColumnElement, Integer, Select, Text, bindparam, column, func, select, true
from sqlalchemy.sql.visitors import replacement_traverse

_OWN: Mapping[str, type[Any]] = {"unit": Text, "line": Integer, "low": Text, "high": Text}  # differs from leg to leg
_NUMBER = "leg"  # from 1


class Legs:
    """A table with a row for each leg, in whose place one leg's own values stand elsewhere."""

    def __init__(self, names: Sequence[str]) -> None:
        lists = func.unnest(*(bindparam(f"all_{name}", type_=ARRAY(_OWN[name])) for name in names))
        columns: list[ColumnElement[Any]] = [column(f"its_{name}", _OWN[name]) for name in names]
        self.table = lists.table_valued(*columns, with_ordinality=_NUMBER, name="legs").render_derived()
        self._names = names

    def of_each(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        found: ColumnElement[bool] = replacement_traverse(condition, {}, self._put)
        return found

    def _put(self, element: Any, **_: Any) -> Any:
        is_own = isinstance(element, BindParameter) and element.key in self._names
        return self.table.c[f"its_{element.key}"] if is_own else None


def of(make: Callable[[Legs], Any], each: Sequence[Mapping[str, Any]]) -> tuple[Select[Any], dict[str, Any]]:
    """With its values; `each` are those of every leg. The first column is the leg's number, from 1. All legs are looked
    for in the partitions that any of them is looked for in: a statement has to name them."""
    own = [name for name in _OWN if name in each[0]]
    legs = Legs(own)
    found = make(legs).lateral("found")
    asked = select(legs.table.c[_NUMBER], *found.c).select_from(legs.table.join(found, true()))
    values = {name: value for name, value in each[0].items() if name not in own}
    values |= {"name_low": min(one["name_low"] for one in each), "name_high": max(one["name_high"] for one in each)}
    return asked, values | {f"all_{name}": [one[name] for one in each] for name in own}
