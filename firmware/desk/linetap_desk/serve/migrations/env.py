# SPDX-License-Identifier: Apache-2.0
"""Alembic's own entry: the connection is the one that `upgrade` has, with its transaction."""

from __future__ import annotations

from alembic import context

from linetap_desk.serve.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
