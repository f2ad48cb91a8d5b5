# SPDX-License-Identifier: Apache-2.0
"""The six commands of docs/desk-serve.md, unchanged; and those about the access log."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx

from pki_rig import Pki

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/desk-serve.md"
LIMIT_S = 120


def blocks() -> list[list[str]]:
    """The command lines of each block, without their remarks."""
    parts = PAGE.read_text().split("```\n")[1::2]
    return [[line.partition(" # ")[0].strip() for line in part.splitlines()] for part in parts]


def test_set_up_in_six_commands(tmp_path: Path) -> None:
    pki, desk, auditor = Pki(tmp_path), tmp_path / "desk", tmp_path / "auditor"
    desk.mkdir()
    auditor.mkdir()
    (desk / "desk.toml").touch()
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    setup, log = blocks()
    assert len(setup) == 6

    def command(line: str) -> str:
        for there, here in (
            ("/media/pki", str(pki.folder)), ("/media/auditor", str(auditor)), ("0.0.0.0:8443", "127.0.0.1:0"),
            ("desk.city.example:8443", "127.0.0.1:0"), ("desk.city.example", "127.0.0.1"),
        ):  # fmt: skip
            line = line.replace(there, here)
        return line.replace('url = "https://127.0.0.1:0"\\n', "")  # the port is chosen when it listens

    def run(line: str) -> int:
        typed = "correct horse battery\n" if "people" in line else ""
        done = subprocess.run(
            ["bash", "-c", command(line)], cwd=desk, env=env, input=typed, text=True, timeout=LIMIT_S, check=False
        )
        return done.returncode

    assert [run(line) for line in setup[:5]] == [0] * 5
    with subprocess.Popen(
        ["bash", "-c", f"exec {command(setup[5])}"], cwd=desk, env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            url = next(line.strip() for line in process.stderr if line.startswith("https://"))
            with httpx.Client(verify=ssl.create_default_context(cafile=str(pki.ca)), timeout=LIMIT_S) as client:
                assert client.get(f"{url}/login").status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
    assert [run(line) for line in log] == [0, 0]
