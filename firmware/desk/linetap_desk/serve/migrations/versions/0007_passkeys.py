# SPDX-License-Identifier: Apache-2.0
"""Passkeys as a second factor, and one-time codes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person", sa.Integer, sa.ForeignKey("people.id"), nullable=False, unique=True),
        sa.Column("credential", sa.Text, nullable=False, unique=True),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
        sa.Column("made_at", sa.Text, nullable=False),
        sa.Column("used_at", sa.Text),
    )
    op.create_table(
        "invitations",
        sa.Column("person", sa.Integer, sa.ForeignKey("people.id"), primary_key=True),
        sa.Column("first_sha256", sa.Text, nullable=False),
        sa.Column("second_sha256", sa.Text),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("confirmed_by", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Text, nullable=False),
        sa.Column("ends_at", sa.Text, nullable=False),
    )
