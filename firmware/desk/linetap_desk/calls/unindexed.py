# SPDX-License-Identifier: Apache-2.0
"""A column that no index of SQLite fits, whose planner has no figures: it would take one that finds half the house.
PostgreSQL has figures, and gets the column as it is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class hidden(FunctionElement[Any]):
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(hidden)
def _plain(element: hidden, compiler: Any, **how: Any) -> str:
    return str(compiler.process(element.clauses, **how))


@compiles(hidden, "sqlite")
def _of_no_index(element: hidden, compiler: Any, **how: Any) -> str:
    nothing = "+ 0" if isinstance(element.type, Integer) else "|| ''"
    return f"({compiler.process(element.clauses, **how)} {nothing})"
