#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Performs each role's task in a browser and writes docs/role-runs.md with its table, docs/role-runs.json with every
step, and the pictures of the steps in docs/pictures/runs/.

Run it as `.venv/bin/python tools/role_runs.py [NAME ...]` when one of these pages changes; names limit it to these
runs. tests/desk/runs.py lists them, tests/desk/role_hand.py counts their steps.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from html import escape
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/rigs"), str(ROOT / "tests/desk")]

from playwright.sync_api import Browser  # noqa: E402
from role_hand import PHONE, Recording, Run  # noqa: E402
from runs import RUNS, made  # noqa: E402
from runs_document import DOCUMENT, PAGE, RECORDED, Recorded, page, sheets  # noqa: E402
from servesite import chromium  # noqa: E402

from linetap_core.errors import BadInput  # noqa: E402

PICTURES = ROOT / "docs/pictures/runs"
MOST_BYTES = 6_000_000
COLUMNS = {"wall": (2, 760), "desktop": (3, 500), "phone": (5, 260)}
_WEBP = (
    "ffmpeg", "-v", "error", "-f", "png_pipe", "-i", "-", "-frames:v", "1", "-f", "image2pipe", "-c:v", "libwebp",
    "-quality", "62", "-compression_level", "6", "-",
)  # fmt: skip
_STYLE = """body{margin:0;padding:12px;background:#fff;color:#111;font:15px "Noto Sans CJK KR",sans-serif}
main{display:grid;gap:14px;grid-template-columns:repeat(%d,%dpx)}figure{margin:0}
img{width:100%%;display:block;border:1px solid #999}figcaption{padding:4px 0 0;font-size:14px;line-height:1.3}"""


def draw(browser: Browser, record: Recording) -> None:
    """Draws a sheet of all steps in the width in which they were done, and one at a telephone's."""
    for name, narrow in sheets(record.run):
        steps = [
            (number, one, record.pictures[key])
            for number, one in enumerate(record.run.steps, 1)
            if (key := f"{record.run.name}-{number}{f'-{PHONE.wide}' if narrow else ''}") in record.pictures
        ]
        columns, wide = COLUMNS["phone" if narrow else steps[0][1].device]
        figures = "".join(
            f'<figure><img src="data:image/png;base64,{base64.b64encode(png).decode()}">'
            f"<figcaption><b>{number}</b> {escape(one.who)}: {escape(one.says)}<br><code>{escape(one.page)}</code>"
            "</figcaption></figure>"
            for number, one, png in steps
        )
        columns = min(columns, len(steps))
        sheet = browser.new_page(viewport={"width": columns * (wide + 14) + 24, "height": 400})
        sheet.set_content(f"<style>{_STYLE % (columns, wide)}</style><main>{figures}</main>")
        png = sheet.screenshot(full_page=True)
        sheet.close()
        done = subprocess.run(_WEBP, input=png, capture_output=True, timeout=120, check=True)
        (PICTURES / name).write_bytes(done.stdout)


def main(names: list[str]) -> int:
    """Runs the tasks; 1 if the pictures are too large."""
    if strange := set(names) - RUNS.keys():
        raise BadInput(f"{', '.join(sorted(strange))}: no such run; {', '.join(RUNS)} expected")
    PICTURES.mkdir(parents=True, exist_ok=True)
    known = msgspec.json.decode(RECORDED.read_bytes(), type=Recorded).runs if RECORDED.exists() else []
    found: dict[str, Run] = {one.name: one for one in known if one.name in RUNS}
    with chromium() as browser:
        for record in made(browser, names or list(RUNS), takes=True):
            found[record.run.name] = record.run
            draw(browser, record)
            print(record.run.name, len(record.run.steps), "steps", flush=True)
    recorded = Recorded([found[name] for name in RUNS if name in found])
    RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(recorded), indent=1) + b"\n")
    DOCUMENT.write_text(page(recorded), encoding="utf-8")
    wanted = {name for one in recorded.runs for name, _ in sheets(one)}
    for old in PICTURES.glob("*.webp"):
        if old.name not in wanted:
            old.unlink()
    size = sum(path.stat().st_size for path in PICTURES.glob("*.webp"))
    print(f"{PAGE}: {len(recorded.runs)} runs, pictures of {size / 1e6:.2f} MB")
    return 1 if size > MOST_BYTES else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BadInput as error:
        sys.exit(f"role_runs: {error}")
