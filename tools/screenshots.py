#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of the desk's pages, runs axe-core on them (docs/pictures/), and writes docs/desk-pages.md with
both.

Run it as `.venv/bin/python tools/screenshots.py [NAME ...]` when a page changes; names limit it to these pages.
tests/desk/picture_list.py lists the pictures.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/rigs"), str(ROOT / "tests/desk")]

from axe_playwright_python.base import AXE_SCRIPT  # noqa: E402
from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from picture_list import SHOTS, Shot, Verdict, Verdicts  # noqa: E402
from picture_site import PictureSite  # noqa: E402
from playwright.sync_api import Browser, Page  # noqa: E402
from servesite import WCAG, chromium  # noqa: E402

from linetap_core.errors import BadInput  # noqa: E402
from linetap_desk.serve.service import ROUTES  # noqa: E402
from linetap_desk.web.roles import SIGNED_IN  # noqa: E402

PICTURES, PAGE = ROOT / "docs/pictures", ROOT / "docs/desk-pages.md"
VERDICTS = PICTURES / "axe.json"
FOLDER = Path("/tmp/linetap-desk")  # a constant path: a call's page shows it
MOST_BYTES = 1_955_000  # of all pictures
MOST_LOOKS = 10
_DRAWN = """() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(
  () => drawn(document.scrollingElement.scrollHeight))))"""
_COLOURS = "split[a][b];[a]palettegen=max_colors=64:reserve_transparent=0[p];[b][p]paletteuse=dither=none"
_PALETTE = (
    "ffmpeg", "-v", "error", "-f", "png_pipe", "-i", "-", "-vf", _COLOURS, "-frames:v", "1", "-f", "image2pipe",
    "-c:v", "png", "-",
)  # fmt: skip
_HEAD = """# The desk's pages

tools/screenshots.py makes these pictures: a desk on a working day, in Korean, as `linetap desk serve` shows it in
Debian's Chromium. Every page also exists in English, in dark colours and at 320 px; two of the pictures show these.
[desk-roles.md](desk-roles.md) lists the rights of each role. To try the pages: `./build.sh demo --desk`.
"""
_AXE = """
## Accessibility by axe-core

axe-core {version} checked the pages above by the rules of WCAG 2.0 to 2.2, A and AA. `Left to a person` counts rules
that axe-core cannot decide; the tests use the pages by keyboard, at 320 px and at twice the size.

| Picture | Address | Rules passed | Violations | Left to a person |
|---|---|---|---|---|
"""


def take(site: PictureSite, browser: Browser, shot: Shot, to: Path) -> Verdict:
    page = site.open(browser, shot)
    _unroll(page, shot.wide)
    (to / f"{shot.name}.png").write_bytes(_small(page.screenshot(animations="disabled")))
    said = Axe().run(page, options={"runOnly": WCAG}).response
    page.context.close()
    return Verdict(*(len(said[name]) for name in ("passes", "violations", "incomplete")))


def _unroll(page: Page, wide: int) -> None:
    """Makes the window as high as the page, and draws it: units out of sight have no content, and only an estimated
    height (`content-visibility`), so that a full-page picture would sometimes lack some of them.
    """
    for _ in range(MOST_LOOKS):
        high: int = page.evaluate(_DRAWN)
        if page.viewport_size == {"width": wide, "height": high}:
            return
        page.set_viewport_size({"width": wide, "height": high})
    raise BadInput(f"{page.url}: its height does not come to rest")


def _small(png: bytes) -> bytes:
    """Reduces the picture to 64 colours, a third of the size, with ffmpeg."""
    made = subprocess.run(_PALETTE, input=png, capture_output=True, timeout=60, check=True)
    return made.stdout


def page(verdicts: Verdicts) -> str:
    shown = "".join(
        f"\n## `{shot.route}`{_look(shot)}\n\n{shot.says} {_who(shot)}\n\n![{shot.name}](pictures/{shot.name}.png)\n"
        for shot in SHOTS
    )
    rows = (
        f"| {shot.name} | `{shot.route}` | {one.passed} | {one.violations} | {one.incomplete} |\n"
        for shot in SHOTS
        if (one := verdicts.of.get(shot.name)) is not None
    )
    return _HEAD + shown + _AXE.format(version=verdicts.version) + "".join(rows)


def _look(shot: Shot) -> str:
    parts = (["dark"] if shot.scheme == "dark" else []) + ([f"{shot.wide} px"] if shot.wide < 640 else [])
    return f", {', '.join(parts)}" if parts else ""


def _who(shot: Shot) -> str:
    route = next(route for route in ROUTES if route.path == shot.route and "GET" in route.methods)
    if route.public:
        return "Seen by everybody."
    if route.roles == SIGNED_IN:
        return "Seen by everybody who is logged in."
    return f"Seen by {', '.join(sorted(route.roles))}."


def main(names: list[str]) -> int:
    """Takes the pictures; 1 if a page breaks a rule, or the pictures are too large."""
    if FOLDER.exists():
        raise BadInput(f"{FOLDER}: exists; without it, it expected")
    if strange := set(names) - {shot.name for shot in SHOTS}:
        raise BadInput(f"{', '.join(sorted(strange))}: no such picture in picture_list.py")
    PICTURES.mkdir(exist_ok=True)
    shots = [shot for shot in SHOTS if not names or shot.name in names]
    for old in PICTURES.glob("*.png"):
        if not names or old.stem not in {shot.name for shot in SHOTS}:
            old.unlink()
    found = re.search(r"axe v([\d.]+)", AXE_SCRIPT)
    verdicts = Verdicts("" if found is None else found[1], {})
    if names:
        verdicts.of = msgspec.json.decode(VERDICTS.read_bytes(), type=Verdicts).of
    FOLDER.mkdir()
    try:
        with PictureSite.opened(FOLDER) as site, chromium() as browser:
            for shot in shots:
                verdicts.of[shot.name] = take(site, browser, shot, PICTURES)
    finally:
        shutil.rmtree(FOLDER)
    verdicts.of = {shot.name: verdicts.of[shot.name] for shot in SHOTS if shot.name in verdicts.of}
    VERDICTS.write_bytes(msgspec.json.format(msgspec.json.encode(verdicts)) + b"\n")
    PAGE.write_text(page(verdicts))
    size = sum(path.stat().st_size for path in PICTURES.glob("*.png"))
    broken = [name for name, one in verdicts.of.items() if one.violations]
    print(f"{len(shots)} pictures, {size / 1e6:.2f} MB; violations: {', '.join(broken) or 'none'}")
    return 1 if broken or size > MOST_BYTES else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BadInput as error:
        sys.exit(f"screenshots: {error}")
