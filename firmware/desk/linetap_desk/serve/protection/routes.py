# SPDX-License-Identifier: Apache-2.0
"""The report's page and its CSV. The report names no person, so its views are not logged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.clock import NS_PER_S
from linetap_core.errors import BadInput
from linetap_desk.ingest.database import begin_snapshot
from linetap_desk.protection import period, report, sheet, words
from linetap_desk.protection.period import Period
from linetap_desk.protection.report import COLUMNS, Report, end_of
from linetap_desk.protection.sheet import answers
from linetap_desk.serve.handling.site import Route, Site, read_ingest
from linetap_desk.serve.protection.coverage import coverage_of
from linetap_desk.serve.protection.released import released
from linetap_desk.web.roles import READS_REPORTS
from linetap_desk.web.text import N_

KEPT_S, MOST_KEPT = 600, 24  # a year of three million calls takes seconds to count


@dataclass(slots=True)
class RecentReports:
    """The last reports; one is made at a time."""

    found: dict[str, Report] = field(default_factory=dict)
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def report(self, site: Site, of: Period) -> Report:
        async with self.lock:
            known, now_ns = self.found.get(of.text), site.clock.utc_ns()
            if known is not None and 0 <= now_ns - known.made_at_ns < KEPT_S * NS_PER_S:
                return known
            made = self.found[of.text] = await _make_report(site, of, now_ns)
            while len(self.found) > MOST_KEPT:
                del self.found[next(iter(self.found))]
            return made


async def _make_report(site: Site, of: Period, now_ns: int) -> Report:
    table = site.calls.directory.lines

    def own() -> report.Released:
        with site.own.connect() as db:
            return released(db, of, table)

    opened = await anyio.to_thread.run_sync(own)

    covered = None
    if site.settings.desk.serve.extensions is not None:
        found = await coverage_of(site)
        covered = found.tapped, found.staff

    live = site.fleet.releases()
    releases = None if live is None else Counter(how for how in live.values() if how is not None)

    def make(db: Connection) -> Report:
        begin_snapshot(db)  # a call that is cleared meanwhile counts once
        return report.make(db, of, table, opened, now_ns, covered, releases)

    return await read_ingest(site, make)


def period_of(request: Request, site: Site) -> Period:
    """The requested period, by default this month."""
    now = site.pages.local(site.clock.utc_ns())
    try:
        return period.parse(request.query_params.get("period") or f"{now:%Y-%m}", site.pages.zone)
    except BadInput:
        raise HTTPException(404) from None


async def page(request: Request, site: Site) -> Response:
    found = await site.protection.report(site, period_of(request, site))

    def say(msgid: str) -> str:
        return site.pages.translated(request, msgid)

    return site.pages.page(
        request, "protection/report.html", report=found, columns=COLUMNS, words=words, answers=answers(found),
        ends=[end_of(name) for name in found.situations], sheet=sheet, say=say,
        headings=[say(words.COLUMNS[name]) for name in COLUMNS],
        end_headings=[sheet.situation_of(name, say) for name in found.situations], notes=sheet.notes(found, say),
        this_month=f"{site.pages.local(site.clock.utc_ns()):%Y-%m}",
    )  # fmt: skip


async def file(request: Request, site: Site) -> Response:
    found = await site.protection.report(site, period_of(request, site))
    name = f"linetap-protection-{found.period.text}.csv"
    return Response(
        sheet.csv_of(found, site.pages.language(request)), media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )  # fmt: skip


ROUTES: tuple[Route, ...] = (
    Route(
        "/protection", ("GET",), READS_REPORTS, None, page, menu=N_("Protection"), takes=("period",), answers=(200, 404)
    ),
    Route("/protection/report.csv", ("GET",), READS_REPORTS, None, file, takes=("period",), answers=(200, 404)),
)
