# SPDX-License-Identifier: Apache-2.0
"""A tab of Chromium as a telephone has it: without the two contexts of scripts that Playwright makes for each page of
its own. The tab is made and driven through Playwright's connection, which leaves foreign tabs alone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.errors import LinetapError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession

END_S, LOOK_S = 120, 0.01  # a look takes the browser some time of its own
_LOADED = "Page.loadEventFired"


class PlainTab:
    """`width`, `height`: a telephone's screen."""

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
        """Returns when the page has loaded."""
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
            self._session.send("Browser.getVersion")  # with its answer comes what was said before
        raise LinetapError(f"{what}: no answer in {END_S} s")


@contextlib.contextmanager
def plain_tab(browser: Browser, width: int, height: int) -> Iterator[PlainTab]:
    """With cookies and cache of its own."""
    session = browser.new_browser_cdp_session()
    context = session.send("Target.createBrowserContext")["browserContextId"]
    try:
        yield PlainTab(session, context, width, height)
    finally:
        session.send("Target.disposeBrowserContext", {"browserContextId": context})
        session.detach()
