# SPDX-License-Identifier: Apache-2.0
"""Every page of the desk has its picture and its verdict by axe-core, and the same desk gives the same picture."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from picture_list import NO_PAGE, SHOTS, Shot, Verdicts
from picture_site import PictureSite
from servesite import chromium

from linetap_desk.serve.service import ROUTES

ROOT = Path(__file__).parents[2]
HOW = "a row in tests/desk/picture_list.py, then tools/screenshots.py"


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools/screenshots.py"))


# Names of roles and classes are words on a page, not codes.
IN_KOREAN = {"call": "보존 구분</dt><dd>일반", "release-one": "(법무 담당)"}
CODES = ("legal", "privacy", "manager", "standard")


def test_each_page_has_a_picture() -> None:
    pages = {route.path for route in ROUTES if "GET" in route.methods}
    shown = {shot.route for shot in SHOTS}
    missing, gone = pages - shown - NO_PAGE.keys(), (shown | NO_PAGE.keys()) - pages
    assert not missing, f"no picture of {', '.join(sorted(missing))}: {HOW}"
    assert not gone, f"no such page any more: {', '.join(sorted(gone))}: picture_list.py"
    assert len({shot.name for shot in SHOTS}) == len(SHOTS)


def test_what_is_kept_is_what_the_list_says(tool: dict[str, Any]) -> None:
    files = {path.stem: path.stat().st_size for path in tool["PICTURES"].glob("*.png")}
    assert files.keys() == {shot.name for shot in SHOTS}, f"docs/pictures: {HOW}"
    assert sum(files.values()) <= tool["MOST_BYTES"]
    verdicts = msgspec.json.decode(tool["VERDICTS"].read_bytes(), type=Verdicts)
    assert {name: one.violations for name, one in verdicts.of.items()} == dict.fromkeys(files, 0)
    assert min(one.passed for one in verdicts.of.values()) > 10
    assert tool["PAGE"].read_text() == tool["page"](verdicts), "tools/screenshots.py writes docs/desk-pages.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureSite]:
    with PictureSite.opened(tmp_path_factory.mktemp("first") / "site") as site:
        yield site


@pytest.mark.parametrize(
    "shot", [shot for shot in SHOTS if shot.role and not shot.locked and not shot.waits], ids=lambda shot: shot.name
)
def test_each_page_opens(site: PictureSite, shot: Shot) -> None:
    answer = site.served.client(shot.role).get(site.address(shot))
    assert answer.status_code == 200, shot.name
    assert IN_KOREAN.get(shot.name, "") in answer.text
    assert not any(f"{before}{word}{behind}" in answer.text for word in CODES for before, behind in ("()", "><"))


def test_a_second_picture_is_the_same(site: PictureSite, tool: dict[str, Any], tmp_path: Path) -> None:
    taken = []
    with chromium() as browser, PictureSite.opened(tmp_path / "site") as second:
        for number, one in enumerate((site, second)):
            (folder := tmp_path / str(number)).mkdir()
            for shot in (one for one in SHOTS if one.name in ("fleet", "review-month")):
                assert tool["take"](one, browser, shot, folder).violations == 0
            taken.append({path.name: path.read_bytes() for path in folder.glob("*.png")})
    assert taken[0].keys() == {"fleet.png", "review-month.png"}
    assert taken[0] == taken[1]
