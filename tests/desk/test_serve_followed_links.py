# SPDX-License-Identifier: Apache-2.0
"""A link to the desk from elsewhere, such as the program on one's own computer or a mail: a logged-in person arrives,
and nobody else. Another site cannot send a browser there without a person's click.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect
from servesite import ServeSite


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    with ServeSite(tmp_path_factory.mktemp("serve")) as served:
        yield served


@pytest.fixture(scope="module")
def elsewhere(served: ServeSite) -> Iterator[str]:
    """A page of another site, with a link and a form; `goes` redirects to the desk."""
    goes = f"<script>location = '{served.url}/password'</script>".encode()
    stays = (
        f'<a href="{served.url}/password?a=1" target="_blank" rel="noreferrer">link</a>'
        f'<form method="post" action="{served.url}/logout"><button>form</button></form>'
    ).encode()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(goes if self.path == "/goes" else stays)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def opened(served: ServeSite, browser: Browser, elsewhere: str, *roles: str) -> Page:
    page = served.context(browser, *roles).new_page()
    page.goto(elsewhere)
    return page


def test_whoever_is_logged_in_arrives(served: ServeSite, browser: Browser, elsewhere: str) -> None:
    page = opened(served, browser, elsewhere, "officer")
    with page.context.expect_page() as there:
        page.get_by_text("link").click()
    expect(there.value.locator("input[type=password]")).to_have_count(3)
    assert there.value.url == f"{served.url}/password?a=1"


def test_nobody_else_does(served: ServeSite, browser: Browser, elsewhere: str) -> None:
    page = opened(served, browser, elsewhere)
    with page.context.expect_page() as there:
        page.get_by_text("link").click()
    expect(there.value.locator("#password")).to_be_visible()
    assert there.value.url == f"{served.url}/login?next=%2Fpassword%3Fa%3D1"


def test_without_a_click_nobody_arrives(served: ServeSite, browser: Browser, elsewhere: str) -> None:
    page = opened(served, browser, f"{elsewhere}goes", "officer")
    expect(page.locator("#password")).to_be_visible()
    assert page.url == f"{served.url}/login?next=%2Fpassword"


def test_a_form_of_another_site_is_refused_as_before(served: ServeSite, browser: Browser, elsewhere: str) -> None:
    page = opened(served, browser, elsewhere, "officer")
    with page.expect_response("**/logout") as answer:
        page.get_by_text("form").click()
    assert answer.value.status in (400, 401)
    page.goto(f"{served.url}/password")
    expect(page.locator("input[type=password]")).to_have_count(3)
