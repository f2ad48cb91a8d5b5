# SPDX-License-Identifier: Apache-2.0
"""The page of all units on a telephone: until the first unit is painted, by Chromium with a processor four times slower
and a telephone's network (stage/distance.py).

The hall: its Wi-Fi or LTE, 40 ms and 10 Mbit/s. "Slow 4G" is Lighthouse's: 150 ms, 1.6 Mbit/s down, 0.75 up. How many
round trips stand before the first unit is seen at four seconds each.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from linetap_bench.figures import Row
from linetap_bench.measure import desk
from linetap_bench.measure.deskstill import UNITS, still
from linetap_bench.stage.distance import Distance, Way, distant
from linetap_bench.stage.plaintab import plain_tab
from linetap_bench.stage.servers import HOST
from linetap_core.errors import LinetapError
from linetap_desk.serve.people import sessions

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TIMES, FAR_TIMES, SLOWER = 10, 2, 4
TARGET_S = 0.3
HALL, SLOW_4G = "the hall's Wi-Fi or LTE", "slow 4G"
FAR = "far away"
OWN = f"{HALL}, the processor at its own speed"
WAYS = {
    HALL: Way(0.040, 10e6, 5e6),
    OWN: Way(0.040, 10e6, 5e6),
    SLOW_4G: Way(0.150, 1.6e6, 0.75e6),
    FAR: Way(4.0, 1e9, 1e9),
}
TRIPS = {"": 3, ", again": 1}  # TCP, TLS 1.3 and the page; the connection is still open the next time
_TRUSTS = "--ignore-certificate-errors"
# By Chromium's Element Timing: the first unit says `elementtiming`.
_PAINTED = """new Promise((told) => new PerformanceObserver((list) => told(list.getEntries()[0].renderTime))
  .observe({ type: "element", buffered: true }))"""


_UNITS = "document.querySelectorAll('.unit[data-unit]').length"


@dataclass
class Found:
    """For each way, seconds: of the first visit, and of the next of the same browser."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # way -> "" or ", again" -> each load
    slowed: dict[str, float] = field(default_factory=dict)  # by other work meanwhile

    def least_s(self, way: str, visit: str) -> float:
        """Other work on the machine only adds."""
        return min(self.seconds[way][visit])

    def alone_s(self, way: str, visit: str) -> float:
        """Without other work: what is not the network's is divided."""
        network_s = TRIPS[visit] * WAYS[way].round_trip_s
        return network_s + max(0.0, self.least_s(way, visit) - network_s) / self.slowed[way]

    def trips(self, visit: str) -> int:
        """So far away all else is less than one."""
        return int(self.least_s(FAR, visit) / WAYS[FAR].round_trip_s)


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    with still(folder) as here:
        return _rows(_watch(here.config, here.url))


def _rows(found: Found) -> list[Row]:
    return [row for visit in TRIPS for row in _visit(found, visit)]


def _visit(found: Found, visit: str) -> list[Row]:
    name, trips = f"desk, telephone{visit}", TRIPS[visit]
    rows = []
    for way, least_s in ((HALL, 0.0), (OWN, 0.0), (SLOW_4G, trips * WAYS[SLOW_4G].round_trip_s)):
        all_s = " ".join(f"{seconds:.2f}" for seconds in sorted(found.seconds[way][visit]))
        method = (
            f"{UNITS} units; 390 x 844, the processor {_slower(way)} times slower; the least of {TIMES} loads (s:"
            f" {all_s}); load {os.getloadavg()[0]:.1f}"
        )
        alone = f"the network's {trips} round trips, and the rest divided by {found.slowed[way]:.1f}: {desk.SLOWED}"
        rows += [
            Row(name=f"{name}: first unit, {way}", figure=found.least_s(way, visit), unit="s",
                target=least_s + TARGET_S, method=method),
            Row(name=f"{name}: the same, without other work", figure=found.alone_s(way, visit), unit="s",
                target=least_s + TARGET_S, method=alone),
        ]  # fmt: skip
    method = f"{found.least_s(FAR, visit):.2f} s after the navigation, at {WAYS[FAR].round_trip_s:g} s a trip"
    name = f"{name}: round trips before the first unit"
    return [*rows, Row(name=name, figure=found.trips(visit), unit="", target=trips, method=method)]


def _watch(config: Path, url: str) -> Found:
    from playwright.sync_api import sync_playwright

    token, found = desk.session(config, "phone", "watch"), Found()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=desk.CHROMIUM, args=["--no-sandbox", _TRUSTS])
        for name, way in WAYS.items():
            before = desk.slowed()
            with distant(urlsplit(url).port or 0, way) as at:
                loads = [_load(browser, at, token, _slower(name)) for _ in range(FAR_TIMES if name == FAR else TIMES)]
            found.seconds[name] = {"": [first for first, _ in loads], ", again": [again for _, again in loads]}
            found.slowed[name] = (before + desk.slowed()) / 2
        browser.close()
    return found


def _slower(way: str) -> int:
    return 1 if way == OWN else SLOWER


def _load(browser: Browser, at: Distance, token: str, slower: int) -> tuple[float, float]:
    """Of a browser that has shown the login page and nothing else of this desk, without a connection; and of the same
    again."""
    url = f"https://{HOST}:{at.port}"
    cookie = {"name": sessions.COOKIE, "value": token, "url": url, "secure": True, "httpOnly": True}
    with plain_tab(browser, 390, 844) as tab:
        tab.open(f"{url}/login")
        tab.accept({**cookie, "sameSite": "Strict"})
        at.end()
        tab.send("Emulation.setCPUThrottlingRate", rate=slower)
        found = []
        for _ in range(2):
            tab.open(f"{url}/fleet")
            found.append(float(tab.evaluate(_PAINTED)) / 1000)
        if int(tab.evaluate(_UNITS)) < UNITS:
            raise LinetapError("the page has not all units")
    return found[0], found[1]
