# SPDX-License-Identifier: Apache-2.0
"""A socket that a test left open fails a later test, and the report names the test that connected it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = """
from unclosed import UnclosedSockets

def pytest_configure(config):
    config.pluginmanager.register(UnclosedSockets())
"""
TESTS = """
import gc
import socket

class Cycle:
    pass

def test_leaves_it(server=socket.create_server(("127.0.0.1", 0))):
    gc.disable()
    left = Cycle()
    left.self, left.socket = left, socket.create_connection(server.getsockname())

def test_collects_it():
    gc.collect()
"""


def test_who_connected_an_unclosed_socket_is_named(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    path = os.pathsep.join([str(Path(__file__).parents[1] / "rigs"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, timeout=250,
    )  # fmt: skip
    assert "FAILED test_it.py::test_collects_it" in done.stdout, done.stdout
    _, _, summary = done.stdout.partition("short test summary info")
    assert "connected by test_it.py::test_leaves_it" in summary, "CI shows the summary alone"
    _, _, report = done.stdout.partition("was last connected by")
    assert "test_it.py::test_leaves_it (call)" in report
    assert "left.self, left.socket = left, socket.create_connection(" in report
