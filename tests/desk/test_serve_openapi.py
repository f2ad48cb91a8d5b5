# SPDX-License-Identifier: Apache-2.0
"""The server compared with docs/desk-openapi.yaml: schemathesis sends permitted requests, with every role.

The examples are the same in every run. The stream of the fleet's page has no end, so it is only requested by refused
clients.
"""

from __future__ import annotations

import contextlib
import re
import runpy
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx
import picture_release
import pytest
import requests
import schemathesis
from calls_house import NOW_NS, UNIT, CallsHouse
from calls_rig import EVIL
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from login_house import quick_passwords
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    status_code_conformance,
)
from servesite import LIMIT_S, ServeSite

from linetap_desk.serve.people import accounts, sessions
from linetap_desk.serve.service import LARGER
from linetap_desk.web import secure
from linetap_desk.web.roles import ROLES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = runpy.run_path(str(ROOT / "tools/desk_openapi.py"))["document"]()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance]
OPERATIONS = [(method, path) for path, its in DOCUMENT["paths"].items() for method in its]
EXAMPLES = 8
STREAM = "/fleet/events"
# One connection for all: a handshake for each takes as long as its answer. It keeps no cookies.
KEPT = requests.Session()
KEPT.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))


@contextlib.contextmanager
def quick_logins() -> Iterator[None]:
    """Makes logins quick: test_serve_people.py tests how slow they have to be; here some hundred are refused."""
    with pytest.MonkeyPatch.context() as patch:
        quick_passwords(patch)
        accounts._placeholder.cache_clear()
        yield
    accounts._placeholder.cache_clear()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    house = CallsHouse(tmp_path_factory.mktemp("openapi"))
    house.fill()
    picture_release.write_roles(house.folder)
    with quick_logins(), house.serve(more=picture_release.SERVE) as served:
        picture_release.ask(served.site, UNIT, house.names["marked"], NOW_NS)
        yield served
        assert not KEPT.cookies
        KEPT.close()
    house.engine.dispose()


@pytest.fixture(scope="module")
def officer(served: ServeSite) -> httpx.Client:
    """Another person than the tested one, whose ninth session would end the first."""
    return served.client("officer", name="another-officer")


def roles_of(method: str, path: str) -> list[str]:
    """A permitted role, a forbidden one, and none."""
    may = DOCUMENT["paths"][path][method].get("x-roles", list(ROLES))
    others = [role for role in ROLES if role not in may]
    return [*([] if path == STREAM else may[-1:]), *others[:1], ""]


def strategy(method: str, path: str) -> SearchStrategy[Any]:
    return SCHEMA[path][method.upper()].as_strategy(GenerationMode.POSITIVE)


def ask(served: ServeSite, case: Any, role: str, own_form: bool = True) -> Any:
    """`own_form`: with the token and the origin that a browser on our own page would send."""
    headers, cookies = {"accept": "text/html"}, {}
    if role:
        cookies[sessions.COOKIE] = served.session(role)
    elif case.method == "POST":
        cookies["__Host-linetap-form"] = "a-form-of-nobody"
    if own_form and case.method == "POST":
        headers["origin"] = served.url
        case.body = {**case.body, secure.FIELD: secure.token_of(next(iter(cookies.values())))}
    whole = {"headers": headers, "cookies": cookies, "verify": str(served.ca), "session": KEPT}
    return case.call(base_url=served.url, timeout=LIMIT_S, **whole)  # it would wait ten seconds, on a busy machine too


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda word: word)
def test_every_answer_is_one_that_is_written_down(served: ServeSite, method: str, path: str) -> None:
    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=strategy(method, path))
    def asked(case: Any) -> None:
        for role in roles_of(method, path):
            case.validate_response(ask(served, case, role), checks=CHECKS)
        if method == "post":
            answer = ask(served, case, "auditor", own_form=False)
            assert answer.status_code in (400, 403)
            case.validate_response(answer, checks=CHECKS)

    asked()


def _parts() -> Iterator[tuple[str, str, str]]:
    for method, path in OPERATIONS:
        operation = DOCUMENT["paths"][path][method]
        for one in operation.get("parameters", ()):
            yield method, path, one["name"]
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield from ((method, path, name) for name in content["schema"]["properties"] if name != secure.FIELD)


@pytest.mark.parametrize(("method", "path", "name"), list(_parts()), ids=lambda word: word)
def test_sql_and_script_in_whatever_is_asked(
    served: ServeSite, officer: httpx.Client, method: str, path: str, name: str
) -> None:
    """It is returned escaped or not at all, and no answer permits a foreign script."""
    for role in roles_of(method, path):
        named = re.findall(r"\{(\w+)\}", path)
        places = {n: EVIL if n == name else "2026-10" for n in named}
        query = {name: EVIL} if method == "get" and name not in named else {}
        case = SCHEMA[path][method.upper()].Case(path_parameters=places, query=query)
        if method == "post":
            case.media_type = "application/x-www-form-urlencoded"
            case.body = {} if name in named else {name: EVIL}
        answer = ask(served, case, role)
        assert "<script>alert" not in answer.text
        assert "alert(1)" not in answer.headers.get("set-cookie", [""])[0]
        assert "require-trusted-types-for 'script'" in answer.headers["content-security-policy"][0]
        case.validate_response(answer, checks=CHECKS)
    assert officer.get("/calls/found").status_code == 200  # the tables are still there


@pytest.mark.parametrize("path", [path for method, path in OPERATIONS if method == "post"])
def test_a_form_that_is_too_large(served: ServeSite, path: str) -> None:
    """As a file in a form that accepts larger ones: a text field has its own, lower limit."""
    client: httpx.Client = served.client(roles_of("post", path)[0])
    url, much = path.replace("{month}", "2026-10"), b"x" * LARGER.get(path, secure.MOST_BODY_BYTES)
    token = secure.token_of(str(client.cookies.get(sessions.COOKIE)))
    answer = (
        client.post(url, data={secure.FIELD: token}, files={"file": much}, headers={"origin": served.url})
        if path in LARGER
        else served.post(client, url, password=much.decode())
    )
    assert answer.status_code == 413
    assert "413" in DOCUMENT["paths"][path]["post"]["responses"]


def test_the_document_is_made_from_the_table() -> None:
    tool = runpy.run_path(str(ROOT / "tools/desk_openapi.py"))
    assert (ROOT / "docs/desk-openapi.yaml").read_text() == tool["page"](), "tools/desk_openapi.py writes it"


@pytest.mark.parametrize(
    ("page", "role", "method", "action"),
    [("/calls", "officer", "get", "/calls/found"), ("/login", "", "post", "/login"),
     ("/password", "watch", "post", "/password"), ("/fleet", "watch", "get", "/fleet")],
)  # fmt: skip
def test_a_form_has_the_fields_that_are_written_down(
    served: ServeSite, page: str, role: str, method: str, action: str
) -> None:
    html = served.client(*filter(None, [role])).get(page).text
    forms = [form for form in re.findall(r"<form.*?</form>", html, re.S) if f'action="{action}"' in form]
    found = {name for form in forms for name in re.findall(r'<(?:input|select)[^>]* name="(\w+)"', form)}
    assert found
    assert found - {secure.FIELD} <= {name for *where, name in _parts() if where == [method, action]}


def test_a_path_that_no_file_system_has(served: ServeSite) -> None:
    for path in ("%00", "a%00b", "..%2f..%2fserve.key", "x" * 5000):
        assert served.client().get(f"/static/{path}").status_code == 404
