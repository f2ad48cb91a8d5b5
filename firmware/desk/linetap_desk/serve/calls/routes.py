# SPDX-License-Identifier: Apache-2.0
"""The search of calls, and the page of one call. Both only read the ingest's database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.calls import emptyresult, query
from linetap_desk.copy import recordfile
from linetap_desk.ingest.register import SignersFile
from linetap_desk.serve.calls import calldetails, form
from linetap_desk.serve.calls.form import Directory, Form
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.handling.site import Route, Site, read_ingest, subject_of_path
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import checking, common
from linetap_desk.serve.release import texts as release_words
from linetap_desk.web.roles import READS_CALLS
from linetap_desk.web.text import N_


@dataclass(slots=True)
class Calls:
    """The state of the pages of calls between requests."""

    directory: Directory
    signers: SignersFile | None

    @classmethod
    def of(cls, site: Site) -> Calls:
        """The state. BadInput for an unusable file."""
        signers = site.settings.desk.signers
        return cls(Directory(site.settings), None if signers is None else SignersFile(Path(signers)))

    def known_keys(self) -> list[Signer] | None:
        return None if self.signers is None else self.signers.now()


async def begin(request: Request, site: Site) -> Response:
    """Shows the form without searching."""
    return _page(request, site, form.read_form({}, site.calls.directory, site.pages.zone))


async def search(request: Request, site: Site) -> Response:
    asked = form.read_form(request.query_params, site.calls.directory, site.pages.zone)
    if asked.errors:
        return _page(request, site, asked, status=400)
    now_ns = site.clock.utc_ns()

    def read(db: Connection) -> tuple[query.Page, emptyresult.KnownFacts | None]:
        page = query.page(db, asked.criteria, asked.cursor)
        one = asked.unit_alone
        if one is None or asked.criteria.since is None:
            return page, None
        return page, emptyresult.known_reasons(
            db, *one, asked.criteria.since, asked.criteria.until or rfc3339(now_ns), now_ns
        )

    page, known = await read_ingest(site, read)
    return _page(request, site, asked, page=page, known=known)


async def call(request: Request, site: Site) -> Response:
    unit, call_id = str(request.path_params["unit"]), str(request.path_params["call_id"])
    common.require_call_name(unit, call_id)
    desk, signers = site.settings.desk, site.calls.known_keys()

    def read(db: Connection) -> tuple[calldetails.CallDetails | None, recordfile.StoredRecord, Any, Any]:
        found = calldetails.read_details(db, unit, call_id, signers)
        if found is None or found.row["destroyed_at"] is not None:
            return found, recordfile.StoredRecord(None), None, None
        stored = recordfile.read_record(desk, unit, call_id, found.row["record_sha256"])
        seen = None if stored.record is None else checking.witness_verdict(site, found.row)
        return found, stored, recordfile.read_hold(desk, unit, call_id), seen

    found, stored, hold, seen = await read_ingest(site, read)
    if found is None:
        raise HTTPException(404)
    return site.pages.page(
        request, "calls/call.html", story=found, row=found.row, state=query.state_of(found.row), stored=stored,
        record=stored.record, hold=hold, words=calldetails, witnessed=seen, release_words=release_words,
        command="" if found.row["destroyed_at"] else recordfile.command(desk, unit, call_id, found.is_copied),
        text_of=site.pages.text_of(request), **_whose(site, found.row),
        may_ask="officer" in session_user(request).roles and common.may_be_requested(found.row),
    )  # fmt: skip


async def subject_of_search(request: Request) -> Subject:
    return Subject(terms=form.terms(request.query_params), case=form.typed(request.query_params).get("case", ""))


def _page(request: Request, site: Site, asked: Form, status: int = 200, **found: Any) -> Response:
    directory: Directory = site.calls.directory
    page: query.Page | None = found.get("page")
    return site.pages.page(
        request, "calls/search.html", status, asked=asked, typed=asked.typed, errors=asked.errors,
        labels=LABELS, form=form, words=calldetails, text_of=site.pages.text_of(request),
        conditions=calldetails.conditions(site.pages.language(request)),
        departments=directory.lines.names(), buildings=directory.places.buildings(),
        trunks=directory.lines.have_trunks(asked.typed.get("extension", ""), asked.typed.get("department", "")),
        page=page, known=found.get("known"), state_of=query.state_of,
        rows=[(row, _whose(site, row)) for row in page.rows] if page is not None else [],
        older=_link(asked, page.older.token()) if page is not None and page.older else "",
        newer=_link(asked, page.newer.token()) if page is not None and page.newer else "",
        newest=_link(asked, ""), zone=site.pages.zone.key,
        since=_local(site, asked.criteria.since, 0), until=_local(site, asked.criteria.until, 1),
    )  # fmt: skip


def _link(asked: Form, token: str) -> str:
    """The link to the same search; with a token to one page of it."""
    return f"{FOUND}?{urlencode({**asked.typed, **({'page': token} if token else {})})}"


def _local(site: Site, at: str | None, before_ns: int) -> str:
    """The time as a local time in the format of its input field."""
    return "" if at is None else site.pages.local(parse_rfc3339(at) - before_ns).strftime("%Y-%m-%dT%H:%M")


def _whose(site: Site, row: Mapping[str, Any]) -> dict[str, Any]:
    directory: Directory = site.calls.directory
    extension, department = directory.lines.at_line(row["unit"], row["line"], parse_rfc3339(row["began_at"]))
    return {"place": directory.place(row["unit"]), "extension": extension, "department": department}


BEGIN, FOUND = "/calls", "/calls/found"
LABELS = {
    "from": N_("From"),
    "to": N_("To"),
    "unit": N_("Unit"),
    "line": N_("Line"),
    "extension": N_("Extension"),
    "department": N_("Department"),
    "building": N_("Building"),
    "direction": N_("Direction"),
    "disposition": N_("Result"),
    "mark": N_("Mark"),
    "state": N_("State"),
    "case": N_("Case"),
    "page": N_("Page"),
}
ROUTES: tuple[Route, ...] = (
    Route(BEGIN, ("GET",), READS_CALLS, None, begin, menu=N_("Calls")),
    Route(
        FOUND,
        ("GET",),
        READS_CALLS,
        "search",
        search,
        subject=subject_of_search,
        takes=(*form.FIELDS, "page"),
        answers=(200, 400),
    ),
    Route("/calls/{unit}/{call_id:path}", ("GET",), READS_CALLS, "view", call, subject=subject_of_path),
)
