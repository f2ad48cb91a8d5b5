# SPDX-License-Identifier: Apache-2.0
"""The migrations of serve's own database to the state of tables.py: one step for each version, run at a start that
needs one.

Alembic is imported only where needed: it takes 11 MB permanently, so the pages migrate in a separate process
(opendatabase.py).
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from linetap_core.errors import BadInput
from linetap_desk.serve.database.transactions import one_at_a_time, writing

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x6C746D6967  # PostgreSQL: two starting processes migrate one after the other
_STEP = re.compile(r"([0-9]{4})_.*\.py")


def is_current(engine: Engine) -> bool:
    with engine.connect() as db:
        if not inspect(db).has_table("alembic_version"):
            return False
        return db.execute(text("SELECT version_num FROM alembic_version")).scalar() == _newest()


def _newest() -> str:
    names = (path.name for path in files("linetap_desk.serve.migrations").joinpath("versions").iterdir())
    return max(found[1] for name in names if (found := _STEP.fullmatch(name)) is not None)


def upgrade(engine: Engine) -> None:
    """Migrates. BadInput for a database of a later version, or from before the first release."""
    from alembic import command
    from alembic.util.exc import CommandError

    with writing(engine) as db:
        one_at_a_time(db, _LOCK)
        try:
            command.upgrade(_config(db), "head")
        except CommandError as error:
            shown = engine.url.render_as_string(hide_password=True)
            raise BadInput(f"{shown}: made by a later version of linetap, or before 0.1.0: {error}") from None


def _config(db: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "linetap_desk.serve:migrations")
    config.attributes["connection"] = db
    return config
