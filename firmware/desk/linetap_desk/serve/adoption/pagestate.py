# SPDX-License-Identifier: Apache-2.0
"""Whether the page of new units is still as it was loaded: a unit asks, has taken its configuration, or is adopted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from linetap_desk.serve.adoption import store
from linetap_desk.serve.handling.site import Site, read_own


def mark_of(rows: Iterable[Mapping[str, Any]], site: Site) -> str:
    """Changes whenever the page would show something else; of refused units only whether there are any. `rows`: of
    store.listed."""
    runs = [(one.run, one.answer is not None) for one in site.adoption.listed()]
    states = [(row["id"], store.state_of(row), row["fault"]) for row in rows]
    return hashlib.sha256(msgspec.json.encode((runs, states, site.adoption.refused > 0))).hexdigest()[:16]


async def page_state(_request: Request, site: Site) -> Response:
    """Asked by the open page, which then loads itself again (static/adoption.js)."""

    return JSONResponse({"mark": mark_of(await read_own(site, store.listed), site)})
