# SPDX-License-Identifier: Apache-2.0
"""New units that a desk adopts over the network."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    op.create_table(
        "adoptions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("order", sa.LargeBinary),
        sa.Column("signature", sa.LargeBinary),
        sa.Column("prepared_by", sa.Text, nullable=False),
        sa.Column("prepared_at", sa.Text, nullable=False),
        sa.Column("run", sa.Text, unique=True),
        sa.Column("unit_key", sa.LargeBinary),
        sa.Column("desk_key", sa.LargeBinary),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("serial", sa.Text),
        sa.Column("mac", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("confirmed_by", sa.Text),
        sa.Column("confirmed_at", sa.Text),
        sa.Column("pressed_at", sa.Text),
        sa.Column("asked_at", sa.Text),
        sa.Column("taken_at", sa.Text),
        sa.Column("fault", sa.Text),
        sa.Column("request", sa.LargeBinary),
        sa.Column("certificate", sa.LargeBinary),
        sa.Column("certified_by", sa.Text),
        sa.Column("certified_at", sa.Text),
        sa.Column("closed_at", sa.Text),
        sa.Column("outcome", sa.Text),
    )
    op.create_index("adoptions_closed", "adoptions", ["closed_at", "prepared_at"])
