# SPDX-License-Identifier: Apache-2.0
"""The page of all units on a telephone: until the first unit is painted, by Chromium with a processor four times slower
and a telephone's network.

The network is Lighthouse's for telephones, "slow 4G": 150 ms a request, 1.6 Mbit/s down, 0.75 up; and half of that way
(75 ms, 9 Mbit/s), as inside a city with 4G. Chromium adds the way to each request and not to each packet, and the
handshakes of TCP and TLS have none of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linetap_bench.figures import Row
from linetap_bench.measure import desk
from linetap_bench.measure.deskstill import UNITS, still
from linetap_bench.stage.servers import READY_S
from linetap_core.errors import LinetapError
from linetap_desk.serve.people import sessions

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TIMES, SLOWER = 3, 4
TARGET_S = 0.3
WAYS = {"slow 4G": (150, 1_600_000, 750_000), "4G": (75, 9_000_000, 3_000_000), "no network": (0, -1, -1)}
# Painted: the frame after the first unit stands in the document and the style sheets are there.
_PAINTED = """
window.painted = new Promise((told) => {
  const look = () => {
    const unit = document.querySelector(".unit[data-unit]");
    const drawn = performance.getEntriesByName("first-contentful-paint").length;
    if (unit && drawn && unit.getBoundingClientRect().height > 0) told(performance.now());
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
});
"""


@dataclass
class Found:
    """For each way, seconds: of the first visit, and of one whose style sheets and scripts are kept."""

    first_s: dict[str, float]
    again_s: dict[str, float]
    slowed: float


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    with still(folder) as here:
        return _rows(_watch(here.config, here.url))


def _rows(found: Found) -> list[Row]:
    method = (
        f"{UNITS} units; 390 x 844, the processor {SLOWER} times slower, the middle of {TIMES} loads; other work"
        f" took a fixed piece of work {found.slowed:.1f} times its processor time; load {os.getloadavg()[0]:.1f}"
    )
    return [
        Row(name=f"desk, telephone, {way}: first unit{word}", figure=seconds[way], unit="s", target=TARGET_S,
            method=method)
        for way in WAYS
        for word, seconds in (("", found.first_s), (", again", found.again_s))
    ]  # fmt: skip


def _watch(config: Path, url: str) -> Found:
    from playwright.sync_api import sync_playwright

    token = desk.session(config, "phone", "watch")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=desk.CHROMIUM, args=["--no-sandbox"])
        before = desk.slowed()
        loads = {way: sorted(_load(browser, url, token, way) for _ in range(TIMES)) for way in WAYS}
        found = Found(
            {way: sorted(first for first, _ in both)[TIMES // 2] for way, both in loads.items()},
            {way: sorted(again for _, again in both)[TIMES // 2] for way, both in loads.items()},
            (before + desk.slowed()) / 2,
        )
        browser.close()
    return found


def _load(browser: Browser, url: str, token: str, way: str) -> tuple[float, float]:
    """Of a browser that has never been there, and of the same again."""
    latency, down, up = WAYS[way]
    viewport = {"width": 390, "height": 844}
    context = browser.new_context(ignore_https_errors=True, locale="ko-KR", viewport=viewport, is_mobile=True)  # type: ignore[arg-type]
    cookie = {"name": sessions.COOKIE, "value": token, "url": url, "secure": True, "httpOnly": True}
    context.add_cookies([{**cookie, "sameSite": "Strict"}])  # type: ignore[typeddict-item]
    page = context.new_page()
    page.add_init_script(_PAINTED)
    session = context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", {
        "offline": False, "latency": latency, "downloadThroughput": down if down < 0 else down / 8,
        "uploadThroughput": up if up < 0 else up / 8,
    })  # fmt: skip
    found = []
    for _ in range(2):
        page.goto(f"{url}/fleet", timeout=READY_S * 1000, wait_until="commit")
        found.append(float(page.evaluate("window.painted")) / 1000)
        page.wait_for_load_state()
    if page.locator(".unit[data-unit]").count() < UNITS:
        raise LinetapError("the page has not all units")
    context.close()
    return found[0], found[1]
