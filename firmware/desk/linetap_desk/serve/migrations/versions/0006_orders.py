# SPDX-License-Identifier: Apache-2.0
"""Orders that the desk makes from its forms, until the authority has signed them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    op.create_table(
        "order_template",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("template", sa.LargeBinary, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.add_column("adoptions", sa.Column("place", sa.Text))
    op.add_column("adoptions", sa.Column("draft", sa.LargeBinary))
