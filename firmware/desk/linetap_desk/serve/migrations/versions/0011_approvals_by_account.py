# SPDX-License-Identifier: Apache-2.0
"""Approvals by account: a rule of three or four needs several of one account's role."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0011", "0010"

_COLUMNS = ("request", "role", "signer", "signer_role", "sig", "by", "at")


def upgrade() -> None:
    """Rebuilds the table: SQLite cannot change a primary key in place."""
    op.rename_table("approvals", "approvals_before")
    made = op.create_table(
        "approvals",
        sa.Column("request", sa.Text, sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("signer", sa.Text, nullable=False),
        sa.Column("signer_role", sa.Text, nullable=False),
        sa.Column("sig", sa.LargeBinary, nullable=False),
        sa.Column("by", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.UniqueConstraint("request", "signer_role"),
    )
    before = sa.table("approvals_before", *map(sa.column, _COLUMNS))
    op.execute(sa.insert(made).from_select(_COLUMNS, sa.select(*(before.c[name] for name in _COLUMNS))))
    op.drop_table("approvals_before")
