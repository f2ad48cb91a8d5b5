#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the hashes of the signing page: those of its script and style into its own Content-Security-Policy, and that
of the file as the newest of SIGNING_PAGES.

Run it as `.venv/bin/python tools/signingpage.py` when the page changes. An older page stays in the list, so that
requests made for it can still be approved; the line of a faulty page is removed by hand.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "firmware/desk/linetap_desk/release/signingpage.html"
LIST = ROOT / "firmware/core/linetap_core/evidence/authorization/release.py"
_LISTED = re.compile(r"^SIGNING_PAGES: tuple\[str, \.\.\.\] = \((.*?)\)$", re.MULTILINE | re.DOTALL)


def with_hashes(text: str) -> str:
    """The page with the hashes of its present script and style."""
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        inner = text[text.index(f"<{tag}>") + len(tag) + 2 : text.index(f"</{tag}>")]
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        text = re.sub(rf"{directive} '[^']*'", f"{directive} 'sha256-{digest}'", text, count=1)
    return text


def with_listed(text: str, sha256: str) -> str:
    """The list with this page as its newest."""
    found = _LISTED.search(text)
    assert found is not None
    pages = [one for one in re.findall(r'"([0-9a-f]{64})"', found[1]) if one != sha256] + [sha256]
    lines = "".join(f'\n    "{one}",' for one in pages)
    return text[: found.start()] + f"SIGNING_PAGES: tuple[str, ...] = ({lines}\n)" + text[found.end() :]


def main() -> int:
    page = with_hashes(PAGE.read_text("utf-8"))
    PAGE.write_text(page, "utf-8")
    LIST.write_text(with_listed(LIST.read_text("utf-8"), hashlib.sha256(page.encode()).hexdigest()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
