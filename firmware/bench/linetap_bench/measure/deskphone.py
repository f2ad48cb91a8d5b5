# SPDX-License-Identifier: Apache-2.0
"""The page of all units on a telephone: the time until the first unit is painted, by Chromium slowed down to a
telephone (stage/telephone.py) behind a telephone's network (stage/distance.py).

The hall: its Wi-Fi or LTE, 40 ms and 10 Mbit/s. "Slow 4G" is Lighthouse's: 150 ms, 1.6 Mbit/s down, 0.75 up. The number
of round trips before the first unit is measured at four seconds each. For comparison, each row has the login page, the
desk's smallest page, which fetches its style sheet in one more round trip.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from linetap_bench.figures import Row
from linetap_bench.measure import desk
from linetap_bench.measure.deskidle import UNITS, still
from linetap_bench.stage.distance import Distance, Way, distant
from linetap_bench.stage.servers import HOST
from linetap_bench.stage.telephone import MIDDLE, SLOWEST, calibrate, plain_tab, slow_down
from linetap_core.errors import LinetapError
from linetap_desk.serve.people import sessions

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TIMES, FAR_TIMES = 10, 2
TARGET_S = 0.3
LIKE_LOGIN = 2  # multiple of the login page's time, on the slowest way
HALL, SLOW_4G, FAR = "the hall's Wi-Fi or LTE", "slow 4G", "far away"
NETWORKS = {HALL: Way(0.040, 10e6, 5e6), SLOW_4G: Way(0.150, 1.6e6, 0.75e6), FAR: Way(4.0, 1e9, 1e9)}
WAYS = [(HALL, MIDDLE), (HALL, SLOWEST), (SLOW_4G, SLOWEST), (FAR, MIDDLE)]
FIRST, AGAIN = "", ", again"
TRIPS = {FIRST: 3, AGAIN: 1}  # TCP, TLS 1.3 and the page; on the next visit the connection is still open
LOGIN = "login"
_TRUSTS = "--ignore-certificate-errors"
# Chromium's Element Timing: the page's first unit has `elementtiming`.
_PAINTED = """new Promise((told) => new PerformanceObserver((list) => told(list.getEntries()[0].renderTime))
  .observe({ type: "element", buffered: true }))"""
_ANYTHING_PAINTED = """new Promise((told) => new PerformanceObserver((list) => told(list.getEntries()[0].startTime))
  .observe({ type: "paint", buffered: true }))"""
_UNITS = "document.querySelectorAll('.unit[data-unit]').length"
type Load = dict[str, float]  # seconds by page: the first visit, the same browser's next visit, the login page


@dataclass
class Found:
    telephones: dict[str, tuple[float, float]]  # factor slower than this machine's processor, and the score
    loads: dict[tuple[str, str], list[Load]] = field(default_factory=dict)  # by network and telephone
    slowed: dict[tuple[str, str], float] = field(default_factory=dict)  # factor of other work meanwhile

    def least_s(self, way: tuple[str, str], page: str) -> float:
        """The shortest time: other work on the machine only adds to it."""
        return min(load[page] for load in self.loads[way])

    def round_trips(self, visit: str) -> int:
        """The number of round trips, measured at a distance at which all other times together are less than one."""
        return int(self.least_s((FAR, MIDDLE), visit) / NETWORKS[FAR].round_trip_s)


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    with still(folder) as here:
        return _rows(_watch(here.config, here.url))


def _rows(found: Found) -> list[Row]:
    login = found.least_s((HALL, SLOWEST), LOGIN)
    times = found.least_s((HALL, SLOWEST), FIRST) / login
    name = f"desk, telephone: first unit, {HALL}, {SLOWEST}, in login pages"
    like = Row(name=name, figure=times, unit="", target=LIKE_LOGIN, method=f"the login page takes {login:.2f} s there")
    return [*(row for visit in TRIPS for row in _visit(found, visit)), like]


def _visit(found: Found, visit: str) -> list[Row]:
    name, trips = f"desk, telephone{visit}", TRIPS[visit]
    rows = []
    for way, least_s in (((HALL, MIDDLE), 0.0), ((SLOW_4G, SLOWEST), trips * NETWORKS[SLOW_4G].round_trip_s)):
        times, score = found.telephones[way[1]]
        all_s = " ".join(f"{load[visit]:.2f}" for load in sorted(found.loads[way], key=lambda load: load[visit]))
        method = (
            f"{UNITS} units; 390 x 844, {times:.2f} times slower than this machine, a score of {score:.0f}; the least"
            f" of {TIMES} loads (s: {all_s}); the login page {found.least_s(way, LOGIN):.2f} s; load"
            f" {os.getloadavg()[0]:.1f}; {desk.SLOWED}: {found.slowed[way]:.1f}"
        )
        rows.append(
            Row(name=f"{name}: first unit, {', '.join(way)}", figure=found.least_s(way, visit), unit="s",
                target=least_s + TARGET_S, method=method)
        )  # fmt: skip
    method = (
        f"{found.least_s((FAR, MIDDLE), visit):.2f} s after the navigation, at {NETWORKS[FAR].round_trip_s:g} s a trip"
    )
    name = f"{name}: round trips before the first unit"
    return [*rows, Row(name=name, figure=found.round_trips(visit), unit="", target=trips, method=method)]


def _watch(config: Path, url: str) -> Found:
    from playwright.sync_api import sync_playwright

    token = desk.session(config, "phone", "watch")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=desk.CHROMIUM, args=["--no-sandbox", _TRUSTS])
        with plain_tab(browser, 390, 844) as tab:
            found = Found(calibrate(tab))
        for way in WAYS:
            network, telephone = way
            before = desk.slowed()
            with distant(urlsplit(url).port or 0, NETWORKS[network]) as at:
                times = FAR_TIMES if network == FAR else TIMES
                found.loads[way] = [_load(browser, at, token, found.telephones[telephone][0]) for _ in range(times)]
            found.slowed[way] = (before + desk.slowed()) / 2
        browser.close()
    return found


def _load(browser: Browser, at: Distance, token: str, slower: float) -> Load:
    """Loads the page once in a browser with only the login page in its cache and no open connection."""
    url = f"https://{HOST}:{at.port}"
    cookie = {"name": sessions.COOKIE, "value": token, "url": url, "secure": True, "httpOnly": True}
    with plain_tab(browser, 390, 844) as tab:
        tab.open(f"{url}/login")
        at.end()
        slow_down(tab, slower)
        tab.open(f"{url}/login")
        found = {LOGIN: float(tab.evaluate(_ANYTHING_PAINTED)) / 1000}
        tab.accept({**cookie, "sameSite": "Strict"})
        at.end()
        for visit in (FIRST, AGAIN):
            tab.open(f"{url}/fleet")
            found[visit] = float(tab.evaluate(_PAINTED)) / 1000
        if int(tab.evaluate(_UNITS)) < UNITS:
            raise LinetapError("the page has not all units")
    return found
