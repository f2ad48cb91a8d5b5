# SPDX-License-Identifier: Apache-2.0
"""`linetap custody` without arguments, as seen by a browser: in a thread, or as a process in the Windows-like
environment.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import httpx

import windows_like
from broker import until
from linetap_desk.custody import serving
from linetap_desk.custody.package import private_folder
from linetap_desk.custody.program import pages
from linetap_desk.custody.program.program import Program
from linetap_desk.custody.program.settings import Settings
from linetap_desk.custody.site import Admission, CasePages
from linetap_desk.web import secure
from release_rig import Desk

LIMIT_S = 120
IDLE_S = 90 * 86_400  # longer than any jump of a test's clock: otherwise the program would end before the next request


class Browser:
    """A browser admitted to the program; it does not follow redirects."""

    def __init__(self, held: contextlib.ExitStack, url: str, code: str) -> None:
        self.url = url
        self.client = held.enter_context(httpx.Client(base_url=url, timeout=LIMIT_S))
        answer = self.client.post("/", data={"code": code}, headers={"origin": url})
        assert answer.status_code == 303, answer.text
        self.room = answer.headers["location"].rstrip("/")

    def get(self, path: str = "/", status: int = 200) -> str:
        answer = self.client.get(self.room + path)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, path: str, /, **fields: str | list[str]) -> httpx.Response:
        token = secure.token_of(str(self.client.cookies.get("linetap-custody")))
        return self.client.post(self.room + path, data={secure.FIELD: token, **fields}, headers={"origin": self.url})

    def do(self, path: str, /, **fields: str | list[str]) -> str:
        """Submits a step, and returns the page to which it leads."""
        answer = self.post(path, **fields)
        assert answer.status_code == 303, re.sub(r"<[^>]+>|\s+", " ", answer.text)
        page = self.client.get(answer.headers["location"])
        assert page.status_code == 200, page.text
        return page.text

    def refused(self, path: str, /, **fields: str | list[str]) -> str:
        answer = self.post(path, **fields)
        assert answer.status_code == 409, answer.text
        return answer.text

    def choose(self, what: str, path: Path) -> str:
        return self.do("/choose", what=what, path=str(path))


class InThread:
    """`with InThread(desk) as run: run.browser`; without `enters` the code is left for another browser."""

    def __init__(self, desk: Desk, settings: Settings | None = None, *, enters: bool = True) -> None:
        self.enters, self.desk, self.settings = enters, desk, settings or Settings(output=str(desk.root / "out"))
        (desk.root / "out").mkdir(exist_ok=True)
        self.held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        work = self.held.enter_context(private_folder())
        at = self.held.enter_context(serving.listening(0))
        look = CasePages(ZoneInfo("Asia/Seoul"), "linetap_desk.custody")
        url, clock = serving.url_of(at), self.desk.clock
        self.program = Program(Admission(), look, clock, url, IDLE_S, self.desk.folder, work, self.settings)
        self.held.callback(self.program.held.close)
        self.server = serving.server(self.program, pages.make_app(self.program))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [at]})
        self.thread.start()
        self.held.callback(self._end)
        until(lambda: self.server.started or not self.thread.is_alive(), LIMIT_S)
        if self.enters:
            self.browser = Browser(self.held, url, self.program.admission.code)
        return self

    def stranger(self) -> httpx.Client:
        """A browser, or another program, that is not admitted."""
        return self.held.enter_context(httpx.Client(base_url=self.browser.url, timeout=LIMIT_S))

    def __exit__(self, *_: object) -> None:
        self.held.close()

    def _end(self) -> None:
        self.server.should_exit = True
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()


class OnWindows:
    """A separate process: `with OnWindows(folder, desk_folder) as run: run.browser`."""

    def __init__(self, folder: Path, desk_folder: Path) -> None:
        words = [sys.executable, windows_like.__file__, str(folder), "custody", "--no-browser"]
        self._words = [*words, "--desk-folder", str(desk_folder)]
        self._home = folder / "home"
        self._home.mkdir(exist_ok=True)
        self.held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.process = self.held.enter_context(
            subprocess.Popen(self._words, stderr=subprocess.PIPE, text=True, env=os.environ | {"HOME": str(self._home)})
        )
        self.held.callback(self.process.kill)
        assert self.process.stderr is not None
        url = self.process.stderr.readline().strip().rstrip("/")
        code = self.process.stderr.readline().removeprefix("code: ").strip()
        assert code, url + self.process.stderr.read()
        self.browser = Browser(self.held, url, code)
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()

    def end(self) -> None:
        """Ends the program by its button."""
        assert self.browser.post("/end").status_code == 200
        assert self.process.wait(LIMIT_S) == 0
