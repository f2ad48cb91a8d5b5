# SPDX-License-Identifier: Apache-2.0
"""Stores the site's part of all orders, one row in serve's own database."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, delete, insert, select

from linetap_core import jsontext
from linetap_desk.serve.database.tables import order_template
from linetap_desk.serve.orders.template import Template


class KeptTemplate(NamedTuple):
    template: Template
    by: str
    at: str


def load_template(db: Connection) -> KeptTemplate | None:
    row = db.execute(select(order_template)).mappings().first()
    if row is None:
        return None
    return KeptTemplate(jsontext.decode(bytes(row["template"]), type=Template), row["by"], row["at"])


def keep(db: Connection, template: Template, by: str, at: str) -> None:
    db.execute(delete(order_template))
    db.execute(insert(order_template).values(id=1, template=msgspec.json.encode(template), by=by, at=at))
