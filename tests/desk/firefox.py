# SPDX-License-Identifier: Apache-2.0
"""Debian's Firefox, a browser engine of another maker than Chromium's, through its own port (Marionette, the protocol
of Mozilla's geckodriver: https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html).
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from servesite import LIMIT_S, WCAG

from broker import until

FIREFOX = "/usr/bin/firefox-esr"
NARROW = 320  # CSS pixels: WCAG 2.2, 1.4.10
ZOOM = 4  # a window of 1280 pixels, enlarged four times as there; Firefox makes none below 500
# No traffic of the browser's own; text in Korean; the port is free, and written into the profile.
PREFERENCES = {
    "marionette.port": 0, "intl.accept_languages": "ko-KR,ko", "ui.useOverlayScrollbars": 1,
    "app.update.disabledForTesting": True, "network.connectivity-service.enabled": False,
    "network.captive-portal-service.enabled": False, "browser.safebrowsing.downloads.remote.enabled": False,
    "services.settings.server": "data:,", "datareporting.policy.dataSubmissionEnabled": False,
    "browser.shell.checkDefaultBrowser": False, "browser.startup.page": 0,
}  # fmt: skip
# Elements that only a sideways scroll shows, with their right edge.
_BEYOND = """const right = document.documentElement.clientWidth + 1;
if (document.scrollingElement.scrollWidth < right) return [];
return [...document.querySelectorAll("body *")].map((one) => [one, Math.round(one.getBoundingClientRect().right)])
  .filter(([, edge]) => edge > right).map(([one, edge]) => `${one.tagName} #${one.id} .${one.className} to ${edge}`);"""
_AXE = """const [tags, done] = arguments;
axe.run({ runOnly: tags }).then((found) => done(found.violations.map((one) => `${one.id}: ${one.nodes[0].html}`)));"""


class Firefox:
    """One tab. Errors of the browser and of scripts are a RuntimeError with the browser's words."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self._stream = self._connection.makefile("rb")
        self._receive()  # its greeting
        self._sent = 0
        self._call("WebDriver:NewSession", acceptInsecureCerts=True)
        self._call("WebDriver:SetTimeouts", script=LIMIT_S * 1000, pageLoad=LIMIT_S * 1000)
        self._call("WebDriver:SetWindowRect", width=NARROW * ZOOM, height=640 * ZOOM)

    def close(self) -> None:
        self._stream.close()
        self._connection.close()

    def open(self, url: str) -> None:
        """Opens a page at 320 pixels."""
        self._call("WebDriver:Navigate", url=url)  # sets the zoom back
        self._call("Marionette:SetContext", value="chrome")
        self.run(f"gBrowser.selectedBrowser.fullZoom = {ZOOM};")
        self._call("Marionette:SetContext", value="content")
        until(lambda: self.run("return document.documentElement.clientWidth") == NARROW, LIMIT_S)

    def cookie(self, name: str, value: str) -> None:
        """For the site of the opened page."""
        self._call("WebDriver:AddCookie", cookie={"name": name, "value": value, "secure": True, "httpOnly": True})

    def forget(self) -> None:
        self._call("WebDriver:DeleteAllCookies")

    def run(self, script: str, *words: object) -> Any:
        return self._call("WebDriver:ExecuteScript", script=script, args=words)["value"]

    def click(self, selector: str) -> None:
        element = self._call("WebDriver:FindElement", using="css selector", value=selector)["value"]
        self._call("WebDriver:ElementClick", id=next(iter(element.values())))

    def write(self, selector: str, text: str) -> None:
        element = self._call("WebDriver:FindElement", using="css selector", value=selector)["value"]
        self._call("WebDriver:ElementSendKeys", id=next(iter(element.values())), text=text)

    def printed(self) -> bytes:
        """The opened page as a PDF on A4, with the margins of its style sheet."""
        page = {"width": 21.0, "height": 29.7}
        margins = dict.fromkeys(("top", "bottom", "left", "right"), 0)
        done = self._call("WebDriver:Print", page=page, margin=margins, background=True, shrinkToFit=False)
        return base64.b64decode(done["value"])

    def beyond_the_edge(self) -> list[str]:
        found: list[str] = self.run(_BEYOND)
        return found

    def inaccessible(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 AA."""
        self.run(f"{AXE_SCRIPT}\nwindow.axe = axe;")
        found: list[str] = self._call("WebDriver:ExecuteAsyncScript", script=_AXE, args=[WCAG])["value"]
        return found

    def _call(self, command: str, **words: object) -> dict[str, Any]:
        self._sent += 1
        text = json.dumps([0, self._sent, command, words]).encode()
        self._connection.sendall(b"%d:%s" % (len(text), text))
        _, number, error, result = self._receive()
        assert number == self._sent
        if error is not None:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result if isinstance(result, dict) else {"value": result}

    def _receive(self) -> Any:
        length = b""
        while (digit := self._stream.read(1)) != b":":
            assert digit.isdigit(), "Firefox has ended"
            length += digit
        return json.loads(self._stream.read(int(length)))


@contextlib.contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """A new browser with its profile in `folder`."""
    folder.mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
    (folder / "user.js").write_text("".join(lines))
    words = [
        FIREFOX,
        "--headless",
        "--marionette",
        "--remote-allow-system-access",
        "--no-remote",
        "--profile",
        str(folder),
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:
        try:
            port = folder / "MarionetteActivePort"
            until(lambda: process.poll() is not None or (port.is_file() and port.read_text().strip() != ""), LIMIT_S)
            assert process.poll() is None, (folder / "log").read_text()
            with contextlib.closing(Firefox(int(port.read_text()))) as browser:
                yield browser
        finally:
            process.terminate()
            process.wait(LIMIT_S)
