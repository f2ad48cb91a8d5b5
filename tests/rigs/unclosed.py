# SPDX-License-Identifier: Apache-2.0
"""Names the code that connected a socket which nobody closed. Python finds such a socket at a later collection of
garbage, and the test that runs then fails for it.
"""

from __future__ import annotations

import os
import re
import socket
import traceback
from typing import Any

import pytest

_FRAMES = 8
_FD = re.compile(r"unclosed <[\w.]*socket\w* fd=([0-9]+)|Exception ignored in: <[\w.]*socket\w* fd=([0-9]+)")


class UnclosedSockets:
    """Remembers for each file descriptor who connected it last: as many as the process has open at once."""

    def __init__(self) -> None:
        self._connected: dict[int, str] = {}
        self._patch = pytest.MonkeyPatch()

    def pytest_sessionstart(self) -> None:
        remembered, connect = self._connected, socket.socket.connect

        def connect_and_remember(one: socket.socket, address: Any) -> None:
            where = "".join(traceback.format_stack(limit=_FRAMES)[:-1])
            remembered[one.fileno()] = f"{os.environ.get('PYTEST_CURRENT_TEST', 'outside a test')}\n{where}"
            connect(one, address)

        self._patch.setattr(socket.socket, "connect", connect_and_remember)

    def pytest_sessionfinish(self) -> None:
        self._patch.undo()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if call.excinfo is not None:
            for found in {a or b for a, b in _FD.findall(f"{call.excinfo.value!r} {call.excinfo.value.__cause__!r}")}:
                by = self._connected.get(int(found), "this process did not connect it\n")
                report.sections.append((f"the socket of descriptor {found} was last connected by", by))
                if (crash := getattr(report.longrepr, "reprcrash", None)) is not None:  # the line of the summary
                    crash.message = f"connected by {by.splitlines()[0]}: {crash.message}"
        return report
