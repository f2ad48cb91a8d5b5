# SPDX-License-Identifier: Apache-2.0
"""The page of coverage. It names extensions and lines, and no call or person, so that it is not in the access log."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from linetap_desk.coverage import compare, words
from linetap_desk.coverage.compare import Coverage
from linetap_desk.serve.handling.site import Route, Site, read_ingest
from linetap_desk.web.roles import AUDITOR, OFFICER, SUPERVISORS, WATCH
from linetap_desk.web.text import N_

MAY = WATCH | OFFICER | SUPERVISORS | AUDITOR
MOST_SHOWN = 500


async def coverage_of(site: Site) -> Coverage:
    house, now_ns = site.calls.house, site.clock.utc_ns()
    live = site.fleet.releases()
    return await read_ingest(site, lambda db: compare.compare(db, house.register, house.lines, now_ns, live))


async def page(request: Request, site: Site) -> Response:
    found = await coverage_of(site)
    live = site.fleet.releases()
    by_staff = sorted((place, why) for place, why in (live or {}).items() if why in words.BY_STAFF)
    wrong = [one for one in found.extensions if one.state in compare.WRONG]
    return site.pages.page(
        request, "coverage/coverage.html", coverage=found, words=words, states=compare.STATES,
        wrong=sorted(wrong, key=lambda one: (compare.WRONG.index(one.state), one.extension.number))[:MOST_SHOWN],
        more=max(0, len(wrong) - MOST_SHOWN), shown=MOST_SHOWN, days=compare.SEEN_DAYS,
        by_staff=by_staff[:MOST_SHOWN], by_staff_more=max(0, len(by_staff) - MOST_SHOWN), is_live=live is not None,
        ends=any((live or {}).values()), configured=site.settings.desk.serve.extensions is not None,
    )  # fmt: skip


ROUTES: tuple[Route, ...] = (Route("/coverage", ("GET",), MAY, None, page, menu=N_("Coverage")),)
