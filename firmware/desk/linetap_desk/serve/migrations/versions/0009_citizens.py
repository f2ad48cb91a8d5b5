# SPDX-License-Identifier: Apache-2.0
"""Citizens' requests for access to their own call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    op.create_table(
        "citizens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("alias", sa.Text),
        sa.Column("digits", sa.Text),
        sa.Column("called_on", sa.Text),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("verified", sa.Text),
        sa.Column("received_on", sa.Text, nullable=False),
        sa.Column("counted_from", sa.Text, nullable=False),
        sa.Column("registered_by", sa.Text, nullable=False),
        sa.Column("registered_at", sa.Text, nullable=False),
        sa.Column("decision", sa.Text),
        sa.Column("ground", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", sa.Text),
        sa.Column("meets_at", sa.Text),
        sa.Column("room", sa.Text),
        sa.Column("attending", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("closed_by", sa.Text),
        sa.Column("closed_at", sa.Text),
        sa.Column("cleared_at", sa.Text),
    )
    op.create_index("citizens_closed", "citizens", ["closed_at", "cleared_at"])
