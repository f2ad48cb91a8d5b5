# SPDX-License-Identifier: Apache-2.0
"""Debian's Firefox, through its own port: Marionette, the protocol of Mozilla's geckodriver
(https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html), which Debian does not have.
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

from engine import HIGH, NARROW, Engine
from servesite import LIMIT_S

from broker import until

WORDS = ("/usr/bin/firefox-esr", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote")
ZOOM = 4  # a window of 1280 pixels, enlarged four times as in WCAG 2.2, 1.4.10; Firefox makes none below 500
# No traffic of the browser's own; text in Korean; the port is free, and written into the profile.
PREFERENCES = {
    "marionette.port": 0, "intl.accept_languages": "ko-KR,ko", "ui.useOverlayScrollbars": 1,
    "app.update.disabledForTesting": True, "network.connectivity-service.enabled": False,
    "network.captive-portal-service.enabled": False, "browser.safebrowsing.downloads.remote.enabled": False,
    "services.settings.server": "data:,", "datareporting.policy.dataSubmissionEnabled": False,
    "browser.shell.checkDefaultBrowser": False, "browser.startup.page": 0,
}  # fmt: skip


class Firefox(Engine):
    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self._stream = self._connection.makefile("rb")
        self._receive()  # its greeting
        self._sent = 0
        self.call("NewSession", acceptInsecureCerts=True)
        self.call("SetTimeouts", script=LIMIT_S * 1000, pageLoad=LIMIT_S * 1000)
        self.call("SetWindowRect", width=NARROW * ZOOM, height=HIGH * ZOOM)

    def close(self) -> None:
        self._stream.close()
        self._connection.close()

    def narrow(self) -> None:
        self._answer("Marionette:SetContext", value="chrome")
        self.run(f"gBrowser.selectedBrowser.fullZoom = {ZOOM};")  # a new page has none
        self._answer("Marionette:SetContext", value="content")

    def printed(self) -> bytes:
        """The opened page as a PDF on A4, with the margins of its style sheet."""
        margins = dict.fromkeys(("top", "bottom", "left", "right"), 0)
        page = {"width": 21.0, "height": 29.7}
        return base64.b64decode(self.call("Print", page=page, margin=margins, background=True, shrinkToFit=False))

    def call(self, command: str, **words: object) -> Any:
        answer = self._answer(f"WebDriver:{command}", **words)
        return answer.get("value") if isinstance(answer, dict) else answer

    def _answer(self, command: str, **words: object) -> Any:
        self._sent += 1
        text = json.dumps([0, self._sent, command, words]).encode()
        self._connection.sendall(b"%d:%s" % (len(text), text))
        _, number, error, result = self._receive()
        assert number == self._sent
        if error is not None:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result

    def _receive(self) -> Any:
        length = b""
        while (digit := self._stream.read(1)) != b":":
            assert digit.isdigit(), "Firefox has ended"
            length += digit
        return json.loads(self._stream.read(int(length)))


@contextlib.contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """A new browser with its profile in `folder`."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
    (folder / "user.js").write_text("".join(lines))
    words = [*WORDS, "--profile", str(folder)]
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
