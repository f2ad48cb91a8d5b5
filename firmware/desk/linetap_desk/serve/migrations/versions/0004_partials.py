# SPDX-License-Identifier: Apache-2.0
"""Partials, which members of a group pass on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.create_table(
        "partials",
        sa.Column("about", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("key_sha256", sa.Text, primary_key=True),
        sa.Column("taken", sa.Text, primary_key=True),
        sa.Column("left", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
