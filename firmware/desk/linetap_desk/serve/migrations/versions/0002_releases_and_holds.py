# SPDX-License-Identifier: Apache-2.0
"""Releases and holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("record_sha256", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("case_number", sa.Text, nullable=False),
        sa.Column("requester", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        sa.Column("one_time", sa.Text),
        sa.Column("keyed_by", sa.Text),
        sa.Column("request", sa.LargeBinary),
        sa.Column("inner_age", sa.LargeBinary),
        sa.Column("unwrapped_by", sa.Text),
        sa.Column("unwrapped_at", sa.Text),
        sa.Column("closed_by", sa.Text),
        sa.Column("closed_at", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("remark", sa.Text),
    )
    op.create_index("requests_closed", "requests", ["closed_at"])
    op.create_table(
        "approvals",
        sa.Column("request", sa.Text, sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("role", sa.Text, primary_key=True),
        sa.Column("signer", sa.Text, nullable=False),
        sa.Column("signer_role", sa.Text, nullable=False),
        sa.Column("sig", sa.LargeBinary, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.UniqueConstraint("request", "signer_role"),
    )
    op.create_table(
        "tickets",
        sa.Column("request", sa.Text, sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False, unique=True),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("ends_at", sa.Text, nullable=False),
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("record_sha256", sa.Text, nullable=False),
        sa.Column("case_number", sa.Text, nullable=False),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("until", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Text, nullable=False),
        sa.Column("command", sa.LargeBinary),
        sa.Column("signer", sa.Text),
        sa.Column("command_expires", sa.Text),
        sa.Column("command_by", sa.Text),
        sa.Column("command_at", sa.Text),
        sa.Column("closed_by", sa.Text),
        sa.Column("closed_at", sa.Text),
        sa.Column("remark", sa.Text),
    )
    op.create_table(
        "roles_seen",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )
