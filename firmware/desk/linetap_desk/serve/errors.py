# SPDX-License-Identifier: Apache-2.0
"""What is said where there is nothing to show: a page, or a line to a script."""

from __future__ import annotations

import logging
import traceback

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from linetap_desk.serve.site import Site
from linetap_desk.serve.text import N_

TEXTS = {
    400: N_("The form is not from this page, or too old. Go back, load the page anew, and try again."),
    401: N_("Nobody is logged in, or the session is locked."),
    403: N_("Your roles do not let you see this."),
    404: N_("There is no such page."),
    405: N_("This page does not take that."),
    408: N_("The request did not come whole in time."),
    413: N_("That is too much for one request."),
    429: N_("Too many attempts. Wait some minutes."),
    500: N_("A fault in the desk itself. It stands in the journal."),
    503: N_("The desk cannot write or read what this page needs. Nothing is shown."),
}

log = logging.getLogger("linetap.serve")


def said(request: Request, error: Exception, site: Site) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(getattr(error, "headers", None) or {})
    if "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse(f"{status}\n", status, headers)
    response = site.pages.page(
        request, "error.html", status, code=status, text=site.pages.say(request, TEXTS.get(status, TEXTS[400]))
    )
    response.headers.update(headers)
    return response


def tell(error: Exception) -> None:
    """Kind and place; the error's own text may have somebody's number in it."""
    places = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{place.filename.rpartition('/')[2]}:{place.lineno}" for place in reversed(places))
    log.error("page_fault: %s at %s", type(error).__name__, where)
