#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/desk-openapi.yaml from the table of routes.

Run it as `.venv/bin/python tools/desk_openapi.py` when a route changes; tests compare it with the table, and the server
with it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

from linetap_desk.serve.handling import assets
from linetap_desk.serve.handling.site import Route
from linetap_desk.serve.people import sessions
from linetap_desk.serve.service import ROUTES
from linetap_desk.web import secure
from linetap_desk.web.roles import ROLES

PAGE = Path(__file__).resolve().parent.parent / "docs/desk-openapi.yaml"
_HEAD = "# Made by tools/desk_openapi.py from the table of routes (desk/serve/service.py).\n"
_STREAM, _JSON = "/fleet/events", ("/alive", "/ended/now", "/adoption/news")
_NAME = re.compile(r"\{(\w+)(?::path)?\}")
_SAID = {
    200: "The page.",
    204: "The session goes on.",
    302: "To the login provider.",
    303: "Elsewhere: after a form, or to the login and back.",
    304: "As the browser has it.",
    400: "The form is not from our own page, or what is asked for cannot be.",
    401: "You are not logged in, or the session is locked.",
    403: "The roles do not allow it, or what was typed does not fit.",
    404: "There is none.",
    408: "The request was not received completely in time.",
    409: "It cannot be signed; the page says why.",
    413: f"More than {secure.MOST_BODY_BYTES} bytes.",
    429: "Too many attempts.",
    503: "A database is away, or the access log cannot be written: nothing is shown.",
}


def document() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(ROUTES, key=lambda route: (route.path, route.methods)):
        for method in route.methods:
            paths.setdefault(_NAME.sub(r"{\1}", route.path), {})[method.lower()] = _operation(route, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "linetap desk serve",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Pages for people and not an interface for programs: what is asked, and what is answered.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": sessions.COOKIE}},
            "headers": {name: _header(value) for name, value in secure.HEADERS.items()},
            "responses": {f"s{status}": _answer(status, "text/html") for status in _SAID},
        },
    }


def _operation(route: Route, method: str) -> dict[str, Any]:
    asked: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 200}}
        for name in _NAME.findall(route.path)
    ]
    if method == "GET":
        asked += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.takes]
    found: dict[str, Any] = {"responses": _answers(route, method)}
    if asked:
        found["parameters"] = asked
    if method == "POST":
        fields = {name: {"type": "string"} for name in (secure.FIELD, *route.takes)}
        form = {"type": "object", "properties": fields, "required": [secure.FIELD], "additionalProperties": False}
        found["requestBody"] = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}}
    if not route.public:
        found |= {"security": [{"session": []}], "x-roles": [role for role in ROLES if role in route.roles]}
    if route.act is not None:
        found["x-logged-as"] = route.act
    return found


def _answers(route: Route, method: str) -> dict[str, Any]:
    """The answers of the handler, and those of the checks before it (gate.py)."""
    statuses = {503, *route.answers}
    if not route.public:
        statuses |= {403, 401 if method == "POST" or route.background else 303}
    if method == "POST":
        statuses |= {400, 408, 413}
    if "{" in route.path:
        statuses.add(404)
    named: dict[str, Any] = {str(status): {"$ref": f"#/components/responses/s{status}"} for status in sorted(statuses)}
    if route.path == _STREAM:
        named["200"] = _answer(200, "text/event-stream")
    if route.path in _JSON:
        named["200"] = _answer(200, "application/json")
    if route.path.endswith(".csv"):
        named["200"] = _answer(200, "text/csv")
    if route.path.startswith("/static/"):
        named["200"] = _answer(200, "*/*")
    return named


def _answer(status: int, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": _SAID[status],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in secure.HEADERS},
    }
    # An error is a line of text for a client that does not request a page.
    kinds = [kind] if status == 200 else [kind, "text/plain"]
    return found if status in (204, 302, 303, 304) else found | {"content": {one: {} for one in kinds}}


def _header(value: str) -> dict[str, Any]:
    """The description of a header. A static file states its own cache time; the page of all units contains its style
    sheet.
    """
    others = {secure.HEADERS["Cache-Control"]: "no-cache", secure.POLICY: assets.POLICY}
    values = [value, others[value]] if value in others else [value]
    return {"required": True, "schema": {"type": "string", "enum": values}}


def page() -> str:
    text: str = yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=118)
    return _HEAD + text


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.exit(0)
