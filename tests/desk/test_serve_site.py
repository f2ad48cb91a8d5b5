# SPDX-License-Identifier: Apache-2.0
"""The skeleton: what is served at all, and to whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from servesite import ServeSite, chromium, require_accessible


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    with ServeSite(tmp_path_factory.mktemp("site")) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_first_page_is_for_who_is_logged_in(served: ServeSite) -> None:
    assert served.client("watch").get("/").status_code == 200
    answer = served.client().get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F")


def test_korean_first_and_in_the_dark_without_script(served: ServeSite, browser: Browser) -> None:
    page = served.page(browser, "/", "watch")
    assert page.locator("html").get_attribute("lang") == "ko"
    assert page.locator("h1").inner_text() == "통화 녹음 데스크"
    require_accessible(page)
    page.get_by_role("button", name="English").click()
    assert page.locator("h1").inner_text() == "Call recording desk"
    page.get_by_role("button", name="Dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    require_accessible(page)
