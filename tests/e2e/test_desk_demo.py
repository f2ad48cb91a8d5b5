# SPDX-License-Identifier: Apache-2.0
"""`./build.sh demo --desk` as typed by a user: eleven units, a call that can be found, and its end."""

from __future__ import annotations

import contextlib
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker import until
from linetap_bench.demo import deskstage
from linetap_bench.demo.deskstage import OPEN
from linetap_bench.demo.simulated import UNITS
from linetap_bench.stage.stage import UNIT
from linetap_desk.web import text

LIMIT_S = 120
COMMAND = (sys.executable, "-m", "linetap_bench.demo", "--desk")
SCRIPT = """duration_s = 20.0
[[call]]
line = 1
start_s = 0.5
direction = "in"
rings = 1
talk_s = 7.0
"""


class Demo:
    def __init__(self, folder: Path) -> None:
        self.folder, script = folder / "demo", folder / "calls.toml"
        script.write_text(SCRIPT)
        self.out = folder / "said"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [*COMMAND, "--folder", self.folder, "--script", script, "--minutes", "5"], stdout=out, stderr=out
            )

    def said(self) -> str:
        return self.out.read_text()

    def pids(self) -> set[int]:
        """All processes that it has started: its descendants."""
        parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def login(self, name: str) -> httpx.Client:
        url = re.search(rf"{OPEN} (\S+)", self.said())
        password = re.search(rf"^  {name} +(\S+)", self.said(), re.MULTILINE)
        assert url
        assert password
        trust = ssl.create_default_context(cafile=str(self.folder / "pki" / "ca.pem"))
        client = httpx.Client(base_url=url[1], verify=trust, timeout=LIMIT_S, headers={"accept": "text/html"})
        token = re.search(r'name="csrf" content="(\w+)"', client.get("/login").text)
        assert token
        fields = {"name": name, "password": password[1], "csrf": token[1]}
        answer = client.post("/login", data=fields, headers={"origin": url[1]})
        assert answer.status_code == 303, answer.text
        return client


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    one = Demo(tmp_path)
    yield one
    if one.process.poll() is None:
        one.process.send_signal(signal.SIGINT)
        one.process.wait(LIMIT_S)


@pytest.mark.timeout(400)
def test_the_demo_opens_and_leaves_nothing_behind(demo: Demo) -> None:
    until(lambda: "Ctrl-C" in demo.said() or demo.process.poll() is not None, LIMIT_S)
    assert demo.process.poll() is None, demo.said()
    assert [name for name, _, _ in deskstage.PEOPLE if not re.search(rf"^  {name} ", demo.said(), re.MULTILINE)] == []
    with contextlib.closing(demo.login("officer")) as officer:
        until(lambda: _online(officer) == {UNIT, *UNITS}, LIMIT_S)
        found = {"unit": UNIT, "disposition": "recorded"}
        until(lambda: f"/calls/{UNIT}/" in officer.get("/calls/found", params=found).text, LIMIT_S)
        link = re.search(rf"/calls/{UNIT}/[^\"]+", officer.get("/calls/found", params=found).text)
        assert link
        of_the_record = text.words("ko").gettext("Handset lifted")  # only in the second copy, in no event
        until(lambda: of_the_record in officer.get(link[0]).text, LIMIT_S)
        assert 'value="dispute"' in officer.get(link[0].replace("/calls/", "/release/ask/", 1)).text
    with contextlib.closing(demo.login("watch")) as watch:
        assert watch.get("/calls").status_code == 403
    before = demo.pids()
    assert len(before) >= 10  # itself, JACK, broker, exchange, four services, fleet, ingest, pages
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(LIMIT_S) == 0, demo.said()
    assert {pid for pid in before if Path(f"/proc/{pid}").exists()} == set()
    assert not demo.folder.exists()
    assert "Traceback" not in demo.said()


def _online(client: httpx.Client) -> set[str]:
    return set(re.findall(r'data-unit="([\w-]+)" data-standing="(?:fine|warning)"', client.get("/fleet").text))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--desk", "--minutes", "0"), "--minutes 0: more than 0, and 240 at most expected"),
        (("--keep",), "--minutes and --keep go with --desk"),
        (("--desk", "--script", "/nowhere"), "/nowhere: No such file or directory"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    command = [sys.executable, "-m", "linetap_bench.demo", *words, "--folder", str(tmp_path / "demo")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ended.returncode != 0
    assert ended.stderr == f"linetap demo: {line}\n"


def test_another_folder_is_not_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    ended = subprocess.run(
        [*COMMAND, "--folder", str(tmp_path)], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert ended.returncode == 2
    assert "was not made by a demo" in ended.stderr
    assert (tmp_path / "mine").exists()
