# SPDX-License-Identifier: Apache-2.0
"""A telephone's browser: a plain tab of Chromium, and the factor by which a telephone's processor is slower.

The factor is measured like the calibration in Chrome's developer tools, by Lighthouse's BenchmarkIndex: a tenth of the
average rate per second at which a text of 10,000 letters is made and 100,000 numbers are copied. 1000 is a mid-range
telephone (Pixel 5), 264 one of the slowest (Moto G Power of 2022): midScore and lowScore of CalibrationController.ts in
Chromium's devtools-frontend.

The tab lacks the two script contexts that Playwright makes in its own pages. It is made and driven through Playwright's
connection, which does not change foreign tabs.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.errors import LinetapError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession


END_S, LOOK_S = 120, 0.01  # each check takes the browser some time
_LOADED = "Page.loadEventFired"


class PlainTab:
    """A tab of a telephone's screen, `width` by `height`."""

    def __init__(self, session: CDPSession, context: str, width: int, height: int) -> None:
        self._session, self._context, self._numbers = session, context, itertools.count(1)
        self._heard: list[dict[str, Any]] = []
        session.on("Target.receivedMessageFromTarget", lambda said: self._heard.append(json.loads(said["message"])))
        made = session.send("Target.createTarget", {"url": "about:blank", "browserContextId": context})
        attached = session.send("Target.attachToTarget", {"targetId": made["targetId"], "flatten": False})
        self._id = attached["sessionId"]
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)
        self.send("Page.enable")

    def open(self, url: str) -> None:
        """Opens the page; returns when it has loaded."""
        self._heard.clear()
        if (why := self.send("Page.navigate", url=url).get("errorText")) is not None:
            raise LinetapError(f"{url}: {why}")
        self._wait(lambda said: said.get("method") == _LOADED, _LOADED)

    def evaluate(self, expression: str) -> Any:
        found = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise LinetapError(f"{expression}: {found['exceptionDetails'].get('text')}")
        return found["result"].get("value")

    def accept(self, cookie: dict[str, Any]) -> None:
        self._session.send("Storage.setCookies", {"browserContextId": self._context, "cookies": [cookie]})

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = json.dumps({"id": number, "method": method, "params": params})
        self._session.send("Target.sendMessageToTarget", {"sessionId": self._id, "message": message})
        said = self._wait(lambda said: said.get("id") == number, method)
        if "error" in said:
            raise LinetapError(f"{method}: {said['error'].get('message')}")
        return dict(said["result"])

    def _wait(self, is_it: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        until_ns = SYSTEM.monotonic_ns() + END_S * NS_PER_S
        while SYSTEM.monotonic_ns() < until_ns:
            for said in self._heard:
                if is_it(said):
                    self._heard.remove(said)
                    return said
            SYSTEM.sleep(LOOK_S)
            self._session.send("Browser.getVersion")  # earlier messages arrive before its answer
        raise LinetapError(f"{what}: no answer in {END_S} s")


@contextlib.contextmanager
def plain_tab(browser: Browser, width: int, height: int) -> Iterator[PlainTab]:
    """A tab with its own cookies and cache."""
    session = browser.new_browser_cdp_session()
    context = session.send("Target.createBrowserContext")["browserContextId"]
    try:
        yield PlainTab(session, context, width, height)
    finally:
        session.send("Target.disposeBrowserContext", {"browserContextId": context})
        session.detach()


MIDDLE, SLOWEST = "a telephone of the middle", "one of the slowest"
SCORES: Final = {MIDDLE: 1000, SLOWEST: 264}
_LOOKS = 4  # the first one warms up the script engine
_STEPS = 6  # the actual slowing differs from the requested one
_NEAR = 0.03
_SCORE = """(() => {
  const inOneSecond = (work) => {
    const end = performance.now() + 250
    let done = 0
    while (performance.now() < end) { for (let i = 0; i < 5; i++) work(done++) }
    return done / (performance.now() - end + 250) * 1000
  }
  const numbers = [Array.from({ length: 100000 }, (_, i) => i), Array.from({ length: 100000 }, (_, i) => i)]
  const letters = () => { let text = ""; for (let i = 0; i < 10000; i++) text += "a"; if (text.length === 1) throw text }
  const copies = (n) => { const from = numbers[n % 2], to = numbers[1 - n % 2]; for (let i = 0; i < 100000; i++) to[i] = from[i] }
  return (inOneSecond(letters) + inOneSecond(copies)) / 20
})()"""  # noqa: E501


def slow_down(tab: PlainTab, times: float) -> None:
    tab.send("Emulation.setCPUThrottlingRate", rate=times)


def score(tab: PlainTab) -> float:
    """The best score of several: other work can only lower it."""
    return max(float(tab.evaluate(_SCORE)) for _ in range(_LOOKS))


def calibrate(tab: PlainTab) -> dict[str, tuple[float, float]]:
    """For each telephone, the slowing factor of the tab, and its score with that factor. 1 if this machine is no faster
    than the telephone.
    """
    slow_down(tab, 1)
    own = score(tab)
    found = {name: _slowed(tab, own, wanted) for name, wanted in SCORES.items()}
    slow_down(tab, 1)
    return found


def _slowed(tab: PlainTab, own: float, wanted: float) -> tuple[float, float]:
    times, reached = 1.0, own
    for _ in range(_STEPS):
        if abs(reached - wanted) <= _NEAR * wanted:
            break
        times = max(1.0, times * reached / wanted)
        slow_down(tab, times)
        reached = score(tab)
        if times == 1.0:
            break
    return times, reached
