# SPDX-License-Identifier: Apache-2.0
"""The repository's documents, for the tests that compare them with each other and with the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {"build", "dist", "node_modules"}
KINDS = {
    ".md",
    ".py",
    ".toml",
    ".conf",
    ".sh",
    ".service",
    ".timer",
    ".rules",
    ".yaml",
    ".c",
    ".h",
    ".html",
    ".js",
    ".css",
}


def text_files() -> Iterator[Path]:
    """Files that may refer to a decision or a page; scripts of the image have no suffix."""
    for path in files():
        if path.suffix in KINDS or (not path.suffix and "image" in path.parts):
            yield path


def markdown() -> list[Path]:
    return [path for path in files() if path.suffix == ".md"]


def files() -> Iterator[Path]:
    """Every file except third-party and built ones."""
    for top in sorted(ROOT.iterdir()):
        if top.name.startswith(".") or top.name in NOT_OURS:
            continue
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            inside = path.relative_to(ROOT).parts
            hidden = any(part.startswith(".") or part in NOT_OURS or part.endswith(".egg-info") for part in inside[:-1])
            if path.is_file() and not hidden:
                yield path


def prose(text: str) -> str:
    """`text` without fenced code and comments."""
    text = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors of a page: GitHub's for the headings, and explicit ones (`<a id="...">`)."""
    found: set[str] = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    seen: dict[str, int] = {}
    for title in re.findall(r"^#{1,6} +(.+?) *$", prose(text), flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found
