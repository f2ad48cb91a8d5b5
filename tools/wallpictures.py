#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of 150 units for docs/desk-fleet.md: a wall of 1920 x 1080 and a telephone of 390 x 844.

Run it as `.venv/bin/python tools/wallpictures.py` when the page of all units changes. tests/desk/wall_rig.py defines
the faults and their age; the times are those of the moment.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/rigs"), str(ROOT / "tests/desk")]

from fleet_rig import END_S, Speaking, fleet_site  # noqa: E402
from servesite import chromium  # noqa: E402
from wall_rig import NAMES, WRONG, all_is_well, goes_wrong, places  # noqa: E402

from broker import Broker, until  # noqa: E402
from linetap_desk.serve.live.hub import Hub  # noqa: E402
from linetap_desk.serve.live.journal import Reader  # noqa: E402

FOLDER = ROOT / "docs/pictures/wall"
SIZES = {"wall": (1920, 1080), "telephone": (390, 844)}
READER = Reader(False, "ko")


def main() -> int:
    small = runpy.run_path(str(ROOT / "tools/screenshots.py"))["_small"]
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="linetap-wall-") as folder,
        Broker(Path(folder) / "b", saves=False) as broker,
    ):
        floor = Speaking(broker.port)
        all_is_well(floor)
        with fleet_site(Path(folder) / "site", broker.port, places()) as site, chromium() as browser:
            hub = site.site.fleet
            until(lambda: len(hub.state(READER)[2]) == len(NAMES), END_S)
            goes_wrong(floor)
            until(lambda: _wrong(hub) == len(WRONG), END_S)
            for name, (wide, high) in SIZES.items():
                page = site.context(browser, "watch", name="kim").new_page()
                page.set_viewport_size({"width": wide, "height": high})
                with page.expect_response(lambda answer: "/fleet/events" in answer.url):
                    page.goto(f"{site.url}/fleet")
                whole = name == "telephone"  # both of its screens
                (FOLDER / f"{name}.png").write_bytes(small(page.screenshot(full_page=whole)))
                page.context.close()
        floor.close()
    return 0


def _wrong(hub: Hub) -> int:
    return sum(one["standing"] != "fine" for one in hub.state(READER)[2])


if __name__ == "__main__":
    sys.exit(main())
