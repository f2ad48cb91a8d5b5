# SPDX-License-Identifier: Apache-2.0
"""Indexes for the lists of releases and holds, which are read in pages."""

from __future__ import annotations

from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    op.create_index("requests_asked", "requests", ["asked_at", "id"])
    op.create_index("requests_expires", "requests", ["expires_at", "id"])
    op.create_index("holds_asked", "holds", ["asked_at", "id"])
