# SPDX-License-Identifier: Apache-2.0
"""The walk tests of a unit, and the command that stores their measurements; the operator signs it.

The unit does not apply measurements by itself, and the operator's key is on no server (docs/commands.md).
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import Response

from linetap_core import jsontext
from linetap_core.clock import parse_rfc3339
from linetap_core.evidence.digest import Sha256
from linetap_desk.ingest.tables import events
from linetap_desk.serve.handling.site import Route, Site, read_ingest
from linetap_desk.serve.release.common import require_call_name
from linetap_desk.web.roles import OFFICER, VAULT

MAY = OFFICER | VAULT
MOST_SHOWN = 10


class Walk(msgspec.Struct, frozen=True):
    """A walk test, from the event `walked`. The hash is part of a displayed command, so it is hexadecimal only."""

    at: str
    document_sha256: Sha256
    green: list[int] = []
    yellow: list[int] = []
    red: list[int] = []

    def __post_init__(self) -> None:
        parse_rfc3339(self.at)


async def page(request: Request, site: Site) -> Response:
    unit = str(request.path_params["unit"])
    require_call_name(unit, "")

    def read(db: Connection) -> list[bytes]:
        of_unit = (events.c.unit == unit) & events.c.call_id.is_(None) & (events.c.event == "walked")
        rows = db.execute(select(events.c.payload).where(of_unit).order_by(events.c.at.desc()).limit(MOST_SHOWN))
        return [bytes(row.payload) for row in rows]

    walks = [walk for payload in await read_ingest(site, read) if (walk := walk_of(payload)) is not None]
    return site.pages.page(request, "fleet/walks.html", 200, unit=unit, walks=walks)


def walk_of(payload: bytes) -> Walk | None:
    """The walk test; None for an event without a report's hash, or with fields of another form."""
    try:
        return jsontext.decode(payload, type=Walk)
    except ValueError:
        return None


ROUTES: tuple[Route, ...] = (Route("/fleet/unit/{unit}/walks", ("GET",), MAY, "walks_view", page, answers=(200, 404)),)
