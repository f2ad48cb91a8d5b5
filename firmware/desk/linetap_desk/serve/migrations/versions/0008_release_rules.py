# SPDX-License-Identifier: Apache-2.0
"""Requests by the rules of the signed roles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    op.add_column("requests", sa.Column("party", sa.Text))
    op.add_column("requests", sa.Column("approvals_needed", sa.Integer))
