# SPDX-License-Identifier: Apache-2.0
"""The printed page of a new unit: each light on it is the legend's, as it lights and as it is called, on one sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from servesite import ServeSite, chromium

from linetap_core.wire.legend import ACTIVITIES, CONDITIONS, PATTERN_NAMES_KO, PATTERNS, WALK
from linetap_desk.serve.adoption import paper

ROW = re.compile(r'<tr data-code="(\w+)">(.*?)</tr>', re.DOTALL)
BAR = re.compile(r'<svg class="bar (\w+)".*?aria-label="([^"]+)">(.*?)</svg>', re.DOTALL)
LIT = re.compile(r'<rect x="([\d.]+)" width="([\d.]+)" height="12" class="lit"/>')


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeSite]:
    with ServeSite(tmp_path_factory.mktemp("serve")) as site:
        yield site


def shown(page: str) -> dict[str, dict[str, tuple[str, str]]]:
    """code -> LED -> (name, the pattern as it is drawn: # for 100 ms lit)."""
    found = {}
    for code, cells in ROW.findall(page):
        leds = {}
        for led, name, inside in BAR.findall(cells):
            drawn = ["."] * 30
            for at, long in LIT.findall(inside):
                begin, end = round(float(at) * 0.3), round((float(at) + float(long)) * 0.3)
                drawn[begin:end] = "#" * (end - begin)
            leds[led] = (name, "".join(drawn))
        found[code] = leds
    return found


def as_it_lights(pattern: str) -> str:
    steps = PATTERNS[pattern]
    return (steps * 30)[:30]


def test_every_light_on_it_is_the_legends(served: ServeSite) -> None:
    page = served.client("officer").get("/adoption/paper").text
    found = shown(page)
    assert set(found) == {*paper.SHOWN, *WALK}
    for code, leds in found.items():
        one = CONDITIONS[code] if code in CONDITIONS else ACTIVITIES[code]
        assert one.ko in page
        wanted = {led: getattr(one, led) for led in ("run", "fault", "call") if hasattr(one, led)}
        assert leds == {led: (PATTERN_NAMES_KO[name], as_it_lights(name)) for led, name in wanted.items()}


def test_every_row_of_a_new_unit_is_on_it() -> None:
    assert {code for code in CONDITIONS if code.startswith("adopt_")} <= set(paper.SHOWN)
    assert {"ok", "config_wrong", "panel_dead", "broker_unreachable"} <= set(paper.SHOWN)


def test_it_is_one_sheet(served: ServeSite, tmp_path: Path) -> None:
    """As a browser prints it on A4."""
    with chromium() as browser:
        assert isinstance(browser, Browser)
        page = served.context(browser, "officer").new_page()
        page.goto(f"{served.url}/adoption/paper")
        page.pdf(path=tmp_path / "paper.pdf", prefer_css_page_size=True, print_background=True)
    data = (tmp_path / "paper.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page[^s]", data)) == 1
