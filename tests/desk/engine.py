# SPDX-License-Identifier: Apache-2.0
"""A browser by the commands of W3C WebDriver, which Firefox and WebKit speak over different connections."""

from __future__ import annotations

import abc
from typing import Any

from servesite import LIMIT_S

from broker import until

NARROW = 320  # CSS pixels: WCAG 2.2, 1.4.10
HIGH = 640
# Elements that only a sideways scroll shows, with their right edge.
_BEYOND = """const right = document.documentElement.clientWidth + 1;
if (document.scrollingElement.scrollWidth < right) return [];
return [...document.querySelectorAll("body *")].map((one) => [one, Math.round(one.getBoundingClientRect().right)])
  .filter(([, edge]) => edge > right).map(([one, edge]) => `${one.tagName} #${one.id} .${one.className} to ${edge}`);"""


class Engine(abc.ABC):
    """One window, 320 pixels wide. An error of the browser or of a script is a RuntimeError with its words."""

    @abc.abstractmethod
    def call(self, command: str, **words: object) -> Any:
        """The value of a command's answer. `id` in the words names an element."""

    @abc.abstractmethod
    def narrow(self) -> None:
        """Makes the window 320 pixels wide, after a page was opened."""

    def open(self, url: str) -> None:
        self.call("Navigate", url=url)
        self.narrow()
        until(lambda: self.run("return document.documentElement.clientWidth") == NARROW, LIMIT_S)

    def cookie(self, name: str, value: str) -> None:
        """For the site of the opened page."""
        self.call("AddCookie", cookie={"name": name, "value": value, "path": "/", "secure": True, "httpOnly": True})

    def forget(self) -> None:
        self.call("DeleteAllCookies")

    def run(self, script: str) -> Any:
        return self.call("ExecuteScript", script=script, args=[])

    def click(self, selector: str) -> None:
        self.call("ElementClick", id=self._element(selector))

    def write(self, selector: str, text: str) -> None:
        self.call("ElementSendKeys", id=self._element(selector), text=text)

    def _element(self, selector: str) -> str:
        (found,) = self.call("FindElement", using="css selector", value=selector).values()
        return str(found)

    def beyond_the_edge(self) -> list[str]:
        found: list[str] = self.run(_BEYOND)
        return found
