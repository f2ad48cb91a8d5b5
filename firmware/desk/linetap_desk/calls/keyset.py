# SPDX-License-Identifier: Apache-2.0
"""Where a page of calls ends and the next begins: a place in the order, not a number of rows.

The order is by (began_at, unit, call_id). Calls that come in meanwhile shift no page: a count of rows would show the
same call twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from linetap_core.errors import BadInput

Way = Literal["older", "newer"]
_TOKEN = re.compile(
    r"(older|newer)~(\d{1,4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)(?:~([a-z0-9][a-z0-9-]{1,39})~([^\x00-\x1f]{1,64}))?"
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """What lies beyond a call, without it. Without unit and call: beyond all that began at `began_at`."""

    way: Way
    began_at: str
    unit: str | None = None
    call_id: str | None = None

    @classmethod
    def beyond(cls, way: Way, row: Mapping[str, Any]) -> Cursor:
        return cls(way, row["began_at"], row["unit"], row["call_id"])

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """BadInput for a text that is no token."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise BadInput("page: not a page's token; the search begins anew without one")
        way: Way = "older" if found[1] == "older" else "newer"
        return cls(way, found[2], found[3], found[4])

    def token(self) -> str:
        return "~".join(part for part in (self.way, self.began_at, self.unit, self.call_id) if part is not None)
