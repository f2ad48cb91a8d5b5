# SPDX-License-Identifier: Apache-2.0
"""The staff's sheet on ending a call: it has the notices as spoken, and is one page of A4."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser
from servesite import chromium

from linetap.notices.shipped import SHIPPED

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, SHEET = DOCS / "ending-a-call.md", DOCS / "ending-a-call-sheet.html"
SMALLEST_PT = 9


def test_each_korean_notice_stands_on_the_page_as_it_is_spoken() -> None:
    page = PAGE.read_text()
    for name, words in SHIPPED.items():
        assert words.language != "ko" or name == "ko" or words.text in page, name


def test_page_and_sheet_have_the_same_codes() -> None:
    codes = set(re.findall(r"`(\*\*\d)`", PAGE.read_text()))
    assert len(codes) == 7
    assert set(re.findall(r">(\*\*\d)<", SHEET.read_text())) == codes


def test_the_sheet_prints_on_one_page_and_can_be_read(tmp_path: Path) -> None:
    with chromium() as browser:
        assert isinstance(browser, Browser)
        page = browser.new_page()
        page.goto(SHEET.as_uri())
        page.emulate_media(media="print")
        sizes = page.locator("body *").evaluate_all("all => all.map(one => parseFloat(getComputedStyle(one).fontSize))")
        assert min(sizes) * 0.75 >= SMALLEST_PT
        page.pdf(path=tmp_path / "sheet.pdf", prefer_css_page_size=True, print_background=True)
    data = (tmp_path / "sheet.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page[^s]", data)) == 1
    assert re.search(rb"/MediaBox\s*\[\s*0 0 59[45][.\d]* 84[12]", data), "A4"
