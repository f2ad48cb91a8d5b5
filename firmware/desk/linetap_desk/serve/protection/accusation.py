# SPDX-License-Identifier: Apache-2.0
"""The page that prepares a file for an accusation: the released calls of one case, and the command that bundles them.

The desk has no opened recording, so the file is made where the recordings are.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, tuple_
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.evidence.calls import sealed
from linetap_desk.ingest.tables import calls
from linetap_desk.serve.calls import calldetails
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.database.tables import requests
from linetap_desk.serve.handling.site import Route, Site, read_ingest, read_own
from linetap_desk.serve.release.steps import GIVEN
from linetap_desk.web.roles import READS_REPORTS

MOST_CASE, MOST = 120, 100


async def page(request: Request, site: Site) -> Response:
    case = _case(request)
    if len(case) > MOST_CASE or not case.isprintable():
        raise HTTPException(404)

    def read(db: Connection) -> list[Mapping[str, Any]]:
        mine = (requests.c.case_number == case, requests.c.outcome == GIVEN)
        newest = select(requests).where(*mine).order_by(requests.c.asked_at.desc())
        return [dict(row) for row in db.execute(newest.limit(MOST + 1)).mappings()]

    given = await read_own(site, read) if case else []
    more, given = len(given) > MOST, given[:MOST]
    found = await read_ingest(site, lambda db: _calls(db, given)) if given else []
    return site.pages.page(
        request, "accusation/accusation.html", case=case, found=found, more=more, words=calldetails,
        text_of=site.pages.text_of(request), command=_command(case, found),
        asked={(row["unit"], row["call_id"]): row["id"] for row in given},
    )  # fmt: skip


def _calls(db: Connection, given: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The calls by time, without destroyed ones."""
    names = {(row["unit"], row["call_id"]) for row in given}
    mine = (tuple_(calls.c.unit, calls.c.call_id).in_(names), calls.c.destroyed_at.is_(None))
    return [dict(row) for row in db.execute(select(calls).where(*mine).order_by(calls.c.began_at)).mappings()]


def _command(case: str, found: Sequence[Mapping[str, Any]]) -> str:
    """The command for the folder with the opened recordings, each named after its call."""
    names = [row["call_id"] for row in found if sealed.CALL_ID.fullmatch(row["call_id"])]
    if not names:
        return ""
    folders = " ".join(f"VAULT/{sealed.call_path(name)}" for name in names)
    wavs = " ".join(f"--wav {name}.wav" for name in names)
    return f"linetap accusation {folders} {wavs} --signers allowed_signers --case={shlex.quote(case)} -o case.zip"


def _case(request: Request) -> str:
    return request.query_params.get("case", "").strip()


async def subject_of_case(request: Request) -> Subject:
    return Subject(case=_case(request)[:MOST_CASE])


ROUTES: tuple[Route, ...] = (
    Route(
        "/accusation", ("GET",), READS_REPORTS, "accusation_view", page, subject=subject_of_case, takes=("case",),
        answers=(200, 404),
    ),
)  # fmt: skip
