# SPDX-License-Identifier: Apache-2.0
"""The pages of `linetap search`. A search is sent as a form: a number in a URL would stay in the browser's history."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import BadInput, LinetapError
from linetap_desk.custody import helperapp
from linetap_desk.custody.search.memory import Kind
from linetap_desk.custody.search.session import SearchResult, SearchSession
from linetap_desk.custody.site import Helper
from linetap_desk.searching.indexsearch import spans
from linetap_desk.serve.calls import calldetails
from linetap_desk.web.text import N_

KINDS: dict[Kind, str] = {
    "number": N_("Telephone number"),
    "name": N_("Name or department"),
    "extension": N_("Extension"),
}
REFUSAL = {
    "search_not_logged": N_("The desk has not logged the search. Nothing is shown."),
    "access_log_busy": N_("Another command is using the access log. Try again."),
}


@dataclass
class SearchSite(Helper):
    session: SearchSession

    def page(self, request: Request, template: str, /, status: int = 200, **context: Any) -> Response:
        return super().page(request, template, status, session=self.session, spans=spans, **context)


async def form(request: Request, site: SearchSite) -> Response:
    begun = site.session.begun
    return _page(request, site, {"kind": "number", "from": str(begun.first), "to": str(begun.last)})


async def search(request: Request, site: SearchSite) -> Response:
    fields = await request.form()
    typed = {name: str(fields.get(name, "")).strip() for name in ("kind", "text", "from", "to")}
    try:
        if typed["kind"] not in get_args(Kind):
            raise BadInput("kind: number, name or extension expected")
        try:
            first, last = date.fromisoformat(typed["from"]), date.fromisoformat(typed["to"])
        except ValueError:
            raise BadInput("from, to: days as 2026-11-24 expected") from None
        kind: Kind = typed["kind"]  # type: ignore[assignment]
        answer = await to_thread.run_sync(functools.partial(site.session.search, kind, typed["text"], first, last))
    except LinetapError as error:
        return _page(request, site, typed, error=error)
    return _page(request, site, typed, answer)


def _page(
    request: Request, site: SearchSite, typed: dict[str, str], answer: SearchResult | None = None,
    error: LinetapError | None = None,
) -> Response:  # fmt: skip
    return site.page(
        request, "search/search.html", 409 if error else 200, typed=typed, answer=answer, error=error,
        refusal=REFUSAL, kinds=KINDS, directions=calldetails.DIRECTION,
    )  # fmt: skip


PAGES: helperapp.PageTable = (("/", "GET", form), ("/", "POST", search))


def make_app(site: SearchSite) -> Starlette:
    return helperapp.app_of(site, PAGES)
