# SPDX-License-Identifier: Apache-2.0
"""Every route with every role, and the required declarations of a route."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from servesite import ServeSite
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import BadInput
from linetap_desk.serve.handling.site import Route, Site, join
from linetap_desk.serve.service import ROUTES
from linetap_desk.web.roles import EVERYBODY, ROLES, SIGNED_IN

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = {
    "call_id": "20261124T225600.123Z-L03", "unit": "floor-03", "month": "2026-10", "path": "base.css",
    "id": "2026-0042",
}  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    with ServeSite(tmp_path_factory.mktemp("roles")) as served:
        yield served


@pytest.fixture(scope="module")
def clients(served: ServeSite) -> dict[str, httpx.Client]:
    return {role: served.client(role) for role in ROLES}


def path_of(route: Route) -> str:
    path = route.path
    for name, value in SAMPLE.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return path if "{" not in path else path.partition("{")[0] + "1"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{'+'.join(route.methods)} {route.path}")
def test_a_route_is_for_its_roles_and_for_no_others(
    route: Route, served: ServeSite, clients: dict[str, httpx.Client]
) -> None:
    """A permitted role passes the gate; an empty form is another matter."""
    nobody = served.client()
    for method in route.methods:
        for role, client in clients.items():
            if route.background and role in route.roles:
                continue  # a stream has no end; the refusals below use the same code
            if route.path == "/password" and method == "POST":
                continue  # it would end the session for the rest of this table
            answer = client.get(path_of(route)) if method == "GET" else client.post(path_of(route))
            allowed = route.public or role in route.roles
            assert (answer.status_code != 403) == allowed, f"{role}: {method} {route.path}: {answer.status_code}"
        answer = nobody.get(path_of(route)) if method == "GET" else nobody.post(path_of(route))
        if not route.public:
            refused = method == "POST" or route.background
            assert answer.status_code == (401 if refused else 303), f"nobody: {method} {route.path}"


async def _handler(_request: Request, _site: Site) -> Response:
    return Response()


@pytest.mark.parametrize(
    ("roles", "path", "act", "word"),
    [
        (frozenset[str](), "/a", None, "names no role"),
        (frozenset({"mayor"}), "/a", None, "mayor"),
        (SIGNED_IN, "/call/{call_id}", None, "needs an act"),
    ],
)
def test_a_route_that_says_too_little_is_none(roles: frozenset[str], path: str, act: str | None, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        Route(path, ("GET",), roles, act, _handler)


def test_two_rows_for_one_path() -> None:
    row = Route("/a", ("GET",), EVERYBODY, None, _handler)
    with pytest.raises(BadInput, match="twice"):
        join(((row,), (row,)))


def test_the_page_of_the_matrix_is_made_from_the_table() -> None:
    tool = runpy.run_path(str(ROOT / "tools/desk_roles.py"))
    assert (ROOT / "docs/desk-roles.md").read_text() == tool["page"](), "tools/desk_roles.py writes it"
