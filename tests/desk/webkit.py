# SPDX-License-Identifier: Apache-2.0
"""WebKitGTK, the engine of Safari: its smallest browser on a display without a screen, through Debian's WebDriver."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine import HIGH, NARROW, Engine
from servesite import LIMIT_S

from broker import until
from linetap_bench.stage.servers import free_port

DRIVER = "/usr/bin/WebKitWebDriver"
(BROWSER,) = Path("/usr/lib").glob("*/webkit2gtk-*/MiniBrowser")
OPTIONS = {
    "acceptInsecureCerts": True,
    "webkitgtk:browserOptions": {
        "binary": str(BROWSER),
        "args": ["--automation", "--javascript-can-open-windows-automatically=true"],
    },
}
# A window with a row of buttons is never narrower than 447 pixels, and one without, with its default margins, than 334.
WINDOW = f"window.open('about:blank', 'narrow', 'toolbar=no,menubar=no,location=no,width={NARROW},height={HIGH}');"
STYLE = "window * { min-width: 0; margin: 0; padding: 0; border: 0; }"
REQUESTS = {
    "Navigate": ("POST", "/url"),
    "AddCookie": ("POST", "/cookie"),
    "DeleteAllCookies": ("DELETE", "/cookie"),
    "ExecuteScript": ("POST", "/execute/sync"),
    "ExecuteAsyncScript": ("POST", "/execute/async"),
    "FindElement": ("POST", "/element"),
    "ElementClick": ("POST", "/element/{id}/click"),
    "ElementSendKeys": ("POST", "/element/{id}/value"),
    "SetWindowRect": ("POST", "/window/rect"),
    "SetTimeouts": ("POST", "/timeouts"),
    "GetWindowHandles": ("GET", "/window/handles"),
    "SwitchToWindow": ("POST", "/window"),
    "DeleteSession": ("DELETE", ""),
}


class WebKit(Engine):
    def __init__(self, port: int) -> None:
        self._port = port
        self._session = ""
        session = self._answer("POST", "/session", {"capabilities": {"alwaysMatch": OPTIONS}})
        self._session = f"/session/{session['sessionId']}"
        self.call("SetTimeouts", script=LIMIT_S * 1000, pageLoad=LIMIT_S * 1000)
        (first,) = self.call("GetWindowHandles")
        self.run(WINDOW)
        until(lambda: len(self.call("GetWindowHandles")) == 2, LIMIT_S)
        (second,) = {*self.call("GetWindowHandles")} - {first}
        self.call("SwitchToWindow", handle=second)

    def close(self) -> None:
        self.call("DeleteSession")

    def narrow(self) -> None:
        self.call("SetWindowRect", width=NARROW, height=HIGH)

    def call(self, command: str, **words: object) -> Any:
        method, path = REQUESTS[command]
        return self._answer(method, self._session + path.format(**words), words)

    def _answer(self, method: str, path: str, words: dict[str, object]) -> Any:
        body = json.dumps(words) if method == "POST" else None
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=2 * LIMIT_S)) as connection:
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
        if answer.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: {value['error']}: {value['message']}")
        return value


@contextlib.contextmanager
def display() -> Iterator[str]:
    reading, writing = os.pipe()
    words = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    with subprocess.Popen(words, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        try:
            with open(reading) as number:
                yield f":{number.readline().strip()}"
        finally:
            server.terminate()
            server.wait(LIMIT_S)


@contextlib.contextmanager
def webkit(folder: Path) -> Iterator[WebKit]:
    """A new browser with its files in `folder`."""
    port = free_port()
    (folder / "gtk-3.0").mkdir()
    (folder / "gtk-3.0/gtk.css").write_text(STYLE)
    with display() as name, (folder / "log").open("wb") as log:
        places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder))
        names = places | {"DISPLAY": name, "GDK_BACKEND": "x11", "LIBGL_ALWAYS_SOFTWARE": "1"}
        words = [DRIVER, f"--port={port}"]
        with subprocess.Popen(words, env=os.environ | names, stdout=log, stderr=log) as driver:
            try:
                until(lambda: driver.poll() is not None or _listens(port), LIMIT_S)
                assert driver.poll() is None, (folder / "log").read_text()
                with contextlib.closing(WebKit(port)) as browser:
                    yield browser
            finally:
                driver.terminate()
                driver.wait(LIMIT_S)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.connect()
        return True
    return False
