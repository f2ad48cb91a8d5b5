# SPDX-License-Identifier: Apache-2.0
"""The page of coverage. It shows extensions and lines, but no call or person, so its views are not logged."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from linetap_core.records import LineRelease
from linetap_desk.coverage import compare
from linetap_desk.coverage.compare import Coverage, State
from linetap_desk.serve.handling.site import Route, Site, read_ingest
from linetap_desk.web.roles import AUDITOR, OFFICER, SUPERVISORS, WATCH
from linetap_desk.web.text import N_

STATE: dict[State, str] = {
    "tapped": N_("On a line, and calls of it were seen in the last 30 days"),
    "silent": N_("On a line, and no call of it was seen in the last 30 days"),
    "trunk": N_("Behind trunk lines: recorded where a call leaves the PBX, internal calls are not"),
    "no_line": N_("The table of lines names a line that this unit does not have"),
    "untapped": N_("Analog, and on no line: a tap can be put on it"),
    "odd": N_("On a line by the table of lines, but a tap cannot reach this kind of telephone"),
    "ip_phone": N_("IP telephone: a tap cannot reach it; the PBX's own recorder is needed"),
    "digital_set": N_("Digital set of the PBX: a tap cannot reach it; the PBX's own recorder is needed"),
    "mobile": N_("Mobile telephone: a tap cannot reach it"),
    "fax": N_("Fax: no speech"),
    "trunk_line": N_("Trunk line of the PBX: no telephone"),
    "unused": N_("Not in use"),
}

# Why staff must end a call on a line, instead of its contact.
BY_STAFF: dict[LineRelease, str] = {
    "no_contact": N_("the card has no contact"),
    "staff": N_("set so in the unit's configuration"),
    "exchange": N_("measured: the exchange does not release the line in time"),
}


MAY = WATCH | OFFICER | SUPERVISORS | AUDITOR
MOST_SHOWN = 500


async def coverage_of(site: Site) -> Coverage:
    directory, now_ns = site.calls.directory, site.clock.utc_ns()
    live = site.fleet.releases()
    return await read_ingest(site, lambda db: compare.compare(db, directory.register, directory.lines, now_ns, live))


async def page(request: Request, site: Site) -> Response:
    found = await coverage_of(site)
    live = site.fleet.releases()
    by_staff = sorted((place, why) for place, why in (live or {}).items() if why in BY_STAFF)
    wrong = [one for one in found.extensions if one.state in compare.WRONG]
    return site.pages.page(
        request, "coverage/coverage.html", coverage=found, state_words=STATE, staff_words=BY_STAFF,
        states=compare.STATES,
        wrong=sorted(wrong, key=lambda one: (compare.WRONG.index(one.state), one.extension.number))[:MOST_SHOWN],
        more=max(0, len(wrong) - MOST_SHOWN), shown=MOST_SHOWN, days=compare.SEEN_DAYS,
        by_staff=by_staff[:MOST_SHOWN], by_staff_more=max(0, len(by_staff) - MOST_SHOWN), is_live=live is not None,
        ends=any((live or {}).values()), configured=site.settings.desk.serve.extensions is not None,
    )  # fmt: skip


ROUTES: tuple[Route, ...] = (Route("/coverage", ("GET",), MAY, None, page, menu=N_("Coverage")),)
