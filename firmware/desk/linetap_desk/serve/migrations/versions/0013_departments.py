# SPDX-License-Identifier: Apache-2.0
"""The departments of a supervisor."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0013", "0012"


def upgrade() -> None:
    op.add_column("people", sa.Column("departments", sa.Text, nullable=False, server_default=""))
