# SPDX-License-Identifier: Apache-2.0
"""The page of coverage. It names extensions and lines, and no call or person, so that it is not in the access log."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from linetap_desk.coverage import compare, words
from linetap_desk.coverage.compare import Coverage
from linetap_desk.serve.handling.site import Route, Site, read_desk
from linetap_desk.serve.live.journal import Reader
from linetap_desk.web.text import N_

MAY = frozenset({"watch", "officer", "approver-manager", "auditor"})
MOST_SHOWN = 500


async def coverage_of(site: Site) -> Coverage:
    house, now_ns = site.calls.house, site.clock.utc_ns()
    live = _live(site)
    return await read_desk(site, lambda db: compare.compare(db, house.register, house.lines, now_ns, live))


def _live(site: Site) -> set[compare.Place] | None:
    """None while the broker is away."""
    link, _ = site.fleet.figures()
    if link != "live":
        return None
    _, _, units = site.fleet.seen(Reader(False, "ko"))
    return {(one["unit"], int(line)) for one in units for line in one["lines"]}


async def page(request: Request, site: Site) -> Response:
    found = await coverage_of(site)
    wrong = [one for one in found.extensions if one.state in compare.WRONG]
    return site.pages.page(
        request, "coverage/coverage.html", coverage=found, words=words, states=compare.STATES,
        wrong=sorted(wrong, key=lambda one: (compare.WRONG.index(one.state), one.extension.number))[:MOST_SHOWN],
        more=max(0, len(wrong) - MOST_SHOWN), shown=MOST_SHOWN, days=compare.SEEN_DAYS,
        configured=site.settings.desk.serve.extensions is not None,
    )  # fmt: skip


ROUTES: tuple[Route, ...] = (Route("/coverage", ("GET",), MAY, None, page, menu=N_("Coverage")),)
