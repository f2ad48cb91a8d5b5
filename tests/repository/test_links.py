# SPDX-License-Identifier: Apache-2.0
"""Every relative link in a Markdown page leads to an existing file, and its anchor to a heading there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from documents import ROOT, anchors, markdown, prose, text_files

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:", re.IGNORECASE)


def dead_links(page: Path) -> list[str]:
    dead = []
    text = page.read_text(encoding="utf-8")
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "", prose(text))):
        if ELSEWHERE.match(link):
            continue
        place, _, anchor = unquote(link).partition("#")
        target = (page.parent / place).resolve() if place else page
        there = target.exists()
        if not there or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", markdown(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_resolve(page: Path) -> None:
    assert dead_links(page) == []


@pytest.mark.parametrize("link", ["gone.md", "here.md#gone", "#gone"])
def test_a_dead_link_is_found(tmp_path: Path, link: str) -> None:
    page = tmp_path / "here.md"
    page.write_text(
        f"# Here\n\n[good](here.md#here) [site](https://example.org/gone) `[code](gone.md)` [dead]({link})\n"
    )
    assert dead_links(page) == [link]


def test_pages_that_code_and_documents_name_exist() -> None:
    """Names of pages in prose, comments and messages, which are not links."""
    gone = set()
    for path in text_files():
        for name in re.findall(
            r"(?<![\w/.-])((?:docs|hardware)/[\w/-]+\.(?:md|toml|sh|yaml))\b", path.read_text(encoding="utf-8")
        ):
            if not (ROOT / name).is_file():
                gone.add(f"{path.relative_to(ROOT)}: {name}")
    assert sorted(gone) == []


def test_each_folder_of_tests_is_in_their_readme() -> None:
    text = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == folders
    for name in re.findall(r"`([\w/]+\*?_?\*?\.py)`", text):
        assert (ROOT / name).is_file() or list((ROOT / "tests").rglob(name)), name
