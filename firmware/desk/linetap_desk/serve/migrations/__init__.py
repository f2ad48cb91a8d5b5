# SPDX-License-Identifier: Apache-2.0
"""The migrations of serve's own database to the state of tables.py: one step a version, run at every start."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine

from linetap_core.errors import BadInput
from linetap_desk.serve.database.transactions import one_at_a_time, writing

_LOCK = 0x6C746D6967  # PostgreSQL: two that start together go one after the other


def upgrade(engine: Engine, to: str = "head") -> None:
    """BadInput for a database of a later version."""
    with writing(engine) as db:
        one_at_a_time(db, _LOCK)
        try:
            command.upgrade(_config(db), to)
        except CommandError as error:
            shown = engine.url.render_as_string(hide_password=True)
            raise BadInput(f"{shown}: made by a later version of linetap: {error}") from None


def _config(db: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "linetap_desk.serve:migrations")
    config.attributes["connection"] = db
    return config
