# SPDX-License-Identifier: Apache-2.0
"""Supervisors' reviews of calls that units ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0012", "0011"


def upgrade() -> None:
    op.create_table(
        "end_reviews",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("finding", sa.Text, nullable=False),
        sa.Column("remark", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_index("end_reviews_call", "end_reviews", ["unit", "call_id"])
    op.create_index("end_reviews_at", "end_reviews", ["at"])
