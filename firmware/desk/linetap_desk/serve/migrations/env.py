# SPDX-License-Identifier: Apache-2.0
"""Alembic's own entry: it uses the connection and the transaction of `upgrade`."""

from __future__ import annotations

from alembic import context

from linetap_desk.serve.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
