# SPDX-License-Identifier: Apache-2.0
"""The desk's pages as in operation: uvicorn over https on a free port, logged-in people, a real browser."""

from __future__ import annotations

import atexit
import contextlib
import re
import shutil
import ssl
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Self

import httpx
import msgspec
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from sqlalchemy import insert, select

from broker import until
from linetap_core.clock import SYSTEM, Clock, rfc3339
from linetap_core.evidence.keys import keys
from linetap_desk.config import pages
from linetap_desk.ingest import database
from linetap_desk.serve import opendatabase, service
from linetap_desk.serve.database.tables import people
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.people import sessions
from linetap_desk.web import secure
from pki_rig import Pair, Pki

CHROMIUM = "/usr/bin/chromium"
SHELL = "/usr/bin/chromium-headless-shell"  # the engine without windows and tabs: a third of the work
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LIMIT_S = 120
HOST = "127.0.0.1"
expect.set_options(timeout=LIMIT_S * 1000)


@cache
def tls() -> tuple[Pair, Path]:
    """A broker's certificate and its CA, made once for all sites."""
    folder = Path(tempfile.mkdtemp(prefix="linetap-serve-tls-"))
    atexit.register(shutil.rmtree, folder)
    pki = Pki(folder / "made")
    return pki.host(HOST, name="serve"), pki.ca


@cache
def migrated() -> Path:
    """A database after all migrations, made once. test_serve_access.py tests them."""
    folder = Path(tempfile.mkdtemp(prefix="linetap-serve-db-"))
    atexit.register(shutil.rmtree, folder)
    opendatabase.open_own(f"sqlite:///{folder / 'serve.db'}").dispose()
    return folder / "serve.db"


def migrated_there(url: str) -> None:
    """Copies SQLite's file, if there is none yet."""
    path = database.file_of(database.parse_url(url))
    if path is not None and not path.exists():
        shutil.copy(migrated(), path)


class ServeSite:
    """The pages. `folder` has desk.toml; `more` is appended to its [serve] table, `tables` (before it) is the rest of
    the file.

    `name`: the host name used by browsers, as required by passkeys; clients use the address.

    `with ServeSite(tmp_path) as served: served.client("watch").get("/")`
    """

    def __init__(
        self, folder: Path, clock: Clock = SYSTEM, more: str = "", tables: str = "", name: str = ""
    ) -> None:  # fmt: skip
        folder.mkdir(exist_ok=True)
        self.folder, self.config = folder, folder / "desk.toml"
        pair, self.ca = tls()
        (folder / "serve-log.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
        self.config.write_text(
            f'{tables}\n[serve]\nlisten = "{HOST}:0"\ncertificate = "{pair.certificate}"\nkey = "{pair.key}"\n{more}\n'
        )
        if name:
            self.config.write_text(self.config.read_text().replace("[serve]\n", f'[serve]\nurl = "https://{name}"\n'))
        self.clock, self.name = clock, name
        self.held = contextlib.ExitStack()
        self.site: Site

    def __enter__(self) -> Self:
        at, told = self.held.enter_context(service.listening(pages.read_settings(self.config)))
        self.at = f"https://{HOST}:{told.port}"
        if self.name:
            told = msgspec.structs.replace(told, url=f"https://{self.name}:{told.port}")
        migrated_there(told.db)
        self.site = self.held.enter_context(service.opened(told, self.clock))
        self.url = str(told.url)
        self._server = service.server(self.site)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [at]})
        self._thread.start()
        self.held.callback(self._end)
        until(lambda: self._server.started or not self._thread.is_alive(), LIMIT_S)
        assert self._server.started
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()

    def _end(self) -> None:
        self._server.should_exit = True
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    def session(self, *roles: str, name: str = "") -> str:
        """The session token of a person who has just logged in; a missing person is created."""
        name, now_ns = name or "-".join(roles) or "nobody", self.clock.utc_ns()
        with writing(self.site.own) as db:
            person = db.execute(select(people.c.id).where(people.c.name == name)).scalar()
            if person is None:
                now = rfc3339(now_ns)
                made = db.execute(
                    insert(people).values(
                        name=name, shown=f"{name} 님", roles=",".join(sorted(roles)), locked=False,
                        made_at=now, changed_at=now,
                    )
                )  # fmt: skip
                person = int(made.inserted_primary_key[0])  # type: ignore[index]
            return sessions.begin(db, person, HOST, self.site.settings, now_ns)

    def client(self, *roles: str, name: str = "") -> httpx.Client:
        """A client of a person with these roles; without any, not logged in. It does not follow redirects."""
        client = httpx.Client(base_url=self.at, verify=self.trust(), timeout=LIMIT_S, headers={"accept": "text/html"})
        self.held.callback(client.close)
        if roles:
            client.cookies.set(sessions.COOKIE, self.session(*roles, name=name), domain=HOST)
        return client

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    def post(self, client: httpx.Client, path: str, **fields: str) -> httpx.Response:
        """Sends a form of our own page with the client's session."""
        token = secure.token_of(str(client.cookies.get(sessions.COOKIE)))
        return client.post(path, data={secure.FIELD: token, **fields}, headers={"origin": self.url})

    def post_anew(self, client: httpx.Client, path: str, to: str = "", /, **fields: str) -> httpx.Response:
        """Sends the form of the page at `path`, like a browser without a session."""
        found = re.search(r'name="csrf" content="(\w+)"', client.get(path).text)
        assert found
        return client.post(to or path, data={secure.FIELD: found[1], **fields}, headers={"origin": self.url})

    def context(
        self, browser: Browser, *roles: str, name: str = "", scheme: str = "light", script: bool = True
    ) -> BrowserContext:
        """A separate browser of a person, closed with the site."""
        context = browser.new_context(
            ignore_https_errors=True,
            locale="ko-KR",
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=script,
        )
        context.set_default_timeout(LIMIT_S * 1000)
        self.held.callback(_close, context)
        if roles:
            context.add_cookies(
                [
                    {
                        "name": sessions.COOKIE,
                        "value": self.session(*roles, name=name),
                        "url": self.url,
                        "secure": True,
                        "httpOnly": True,
                        "sameSite": "Strict",
                    }
                ]
            )
        return context

    def page(self, browser: Browser, path: str, *roles: str, name: str = "", scheme: str = "light") -> Page:
        page = self.context(browser, *roles, name=name, scheme=scheme).new_page()
        page.goto(f"{self.url}{path}")
        return page


def without_tokens(page: str) -> str:
    """A page's text without its random tokens, in which any few digits may occur."""
    return re.sub(r"[0-9A-Za-z+/=_-]{40,}", "", page)


def _close(context: BrowserContext) -> None:
    """Closes before the server ends, which waits for connected clients; the browser may already be gone."""
    with contextlib.suppress(PlaywrightError):
        context.close()


def require_accessible(page: Page) -> None:
    """Asserts that axe-core finds nothing against WCAG 2.2 AA, and that no sideways scrolling is needed at 320 px."""
    page.wait_for_load_state()  # before its style sheet has arrived the page looks different
    found = Axe().run(page, options={"runOnly": WCAG})
    assert not found.violations_count, found.generate_report()
    size = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    wide: int = page.evaluate("document.scrollingElement.scrollWidth")
    assert wide <= 320, f"{page.url}: {wide} px wide"
    if size is not None:
        page.set_viewport_size(size)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, one for each module: most of the cost is its start."""
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@contextlib.contextmanager
def launched(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=SHELL, args=["--no-sandbox"])
    try:
        yield browser
    finally:
        browser.close()
