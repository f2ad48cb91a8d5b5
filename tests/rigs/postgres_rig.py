# SPDX-License-Identifier: Apache-2.0
"""A separate PostgreSQL. Skipped if there is none."""

from __future__ import annotations

import pytest

from linetap_bench.stage import servers
from linetap_core.errors import BadInput


def needed() -> None:
    try:
        servers.programs()
    except BadInput as error:
        pytest.skip(str(error))


class Postgres(servers.Postgres):
    def __init__(self) -> None:
        needed()
        super().__init__()
