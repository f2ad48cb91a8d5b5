# SPDX-License-Identifier: Apache-2.0
"""The desk's fleet page with a busy fleet: the age of the shown states, their delay and cost, and the time until a page
that was hidden is right again.

A page is right again when it has drawn the server's newest change at the moment of its return. It receives the changes,
or after an hour the whole state, because the journal no longer has the page's position. The test's page sends a
position that does not exist, and gets the same answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linetap_bench.figures import Row
from linetap_core.errors import LinetapError

if TYPE_CHECKING:
    from playwright.sync_api import Page
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from sqlalchemy import insert

from linetap_bench.figures import cpu_s, resident_mb
from linetap_bench.fleet.command import BEGUN
from linetap_bench.fleet.schedule import names
from linetap_bench.stage.processes import Child, Processes
from linetap_bench.stage.servers import HOST, READY_S, free_port, start_shipped, wait
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, rfc3339
from linetap_core.evidence.keys import keys
from linetap_desk.config import pages
from linetap_desk.serve import opendatabase
from linetap_desk.serve.database import transactions
from linetap_desk.serve.database.tables import people
from linetap_desk.serve.people import sessions

TIMES = 5
HIDDEN_S = 6
MOST_MS = 30_000
TARGET_S = 2
_ID = re.compile(r'data-id="\w+-(\d+)"')
# Runs beside the page's own listeners; the page has drawn one frame later.
HOOK = """
window.seen = { newest: -1, changes: 0, wholes: 0, forget: false, wanted: Infinity, right: null };
window.EventSource = class extends EventSource {
  constructor(url) {
    super(window.seen.forget ? url.replace(/after=[^&]*/, "after=nobody") : url);
    const note = (kind) => (event) => {
      const seen = window.seen;
      seen.changes += kind === "unit";
      seen.wholes += kind === "snapshot";
      seen.newest = Math.max(seen.newest, Number((event.lastEventId || "-0").split("-")[1]));
      if (seen.newest >= seen.wanted && seen.right) requestAnimationFrame(() => setTimeout(seen.right));
    };
    for (const kind of ["unit", "desk", "snapshot"]) this.addEventListener(kind, note(kind));
  }
};
"""
_SEE = """state => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
_COME_BACK = """([wanted, forget, most]) => new Promise((right) => {
  Object.assign(window.seen, { changes: 0, wholes: 0, forget, wanted });
  const began = performance.now();
  const told = (ms) => right([ms, window.seen.changes, window.seen.wholes]);
  window.seen.right = () => { window.seen.right = null; told(performance.now() - began); };
  setTimeout(() => told(-1), most);
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "visible" });
  document.dispatchEvent(new Event("visibilitychange"));
  const loaded = Number(document.getElementById("fleet").dataset.id.split("-")[1]);
  if (!forget && Math.max(loaded, window.seen.newest) >= wanted) window.seen.right(); // nothing has changed
})"""


@dataclass(frozen=True)
class HiddenFound:
    """The milliseconds and received changes of each return."""

    changed: list[tuple[float, int]]
    whole: list[tuple[float, int]]


def measure_hidden_tab(page: Page, url: str) -> HiddenFound:
    """Measures the returns of `page`, which shows the fleet and was opened with HOOK."""
    back = [_back(page, url, forget) for _ in range(TIMES) for forget in (False, True)]
    return HiddenFound(back[::2], back[1::2])


def _back(page: Page, url: str, forget: bool) -> tuple[float, int]:
    page.evaluate(_SEE, "hidden")
    page.wait_for_timeout(HIDDEN_S * 1000)
    ms, changes, wholes = page.evaluate(_COME_BACK, [newest(page, url), forget, MOST_MS])
    if forget and not wholes:
        raise LinetapError("a page with an unknown place did not get the whole state")
    return (float(ms) if ms >= 0 else float("inf")), int(changes)


def newest(page: Page, url: str) -> int:
    """The number of the server's newest change."""
    found = _ID.search(page.context.request.get(f"{url}/fleet").text())
    if found is None:
        raise LinetapError("the fleet page has no number of its last change")
    return int(found[1])


def rows(name: str, found: HiddenFound, method: str) -> list[Row]:
    changes = sorted(count for _, count in found.changed)
    hidden = f"hidden {TIMES} times for {HIDDEN_S} s while the fleet went on; until the newest change is drawn"
    return [
        Row(name=f"{name}: hidden tab, gets the changes", figure=_worst_s(found.changed), unit="s", target=TARGET_S,
            method=f"{hidden}: {changes[0]} to {changes[-1]} changes; the worst. {method}"),
        Row(name=f"{name}: hidden tab, gets the whole state", figure=_worst_s(found.whole), unit="s", target=TARGET_S,
            method=f"{hidden}: a snapshot, as after an hour; the worst. {method}"),
    ]  # fmt: skip


def _worst_s(back: list[tuple[float, int]]) -> float:
    return max(ms for ms, _ in back) / 1000


CHROMIUM = "/usr/bin/chromium"
WATCHED_S = 30
FIRST_S = 0.3
_ROUNDS = 400_000
EVERY_S = 240  # between calls on a line
MAKE_S = 120.0
_COMPLETE = re.compile(
    r"fleet_complete: (\d+) units with (\d+) lines, (\d+) of the register's (\d+), (\d+) ms after the connection"
)
# Compares the time in the payload, which a page keeps with its line, with the browser's clock: both are this machine's.
_OBSERVE = """() => {
  window.ways = [];
  new MutationObserver((all) => {
    const now = Date.now();
    for (const one of all) window.ways.push(now - Date.parse(one.target.dataset.since));
  }).observe(document.getElementById("fleet"), { subtree: true, attributes: true, attributeFilter: ["data-since"] });
}"""
_USEFUL = """() => {
  const [way] = performance.getEntriesByType("navigation");
  return [way.domContentLoadedEventEnd, document.querySelectorAll(".unit[data-unit]").length];
}"""


@dataclass(frozen=True, slots=True)
class Size:
    units: int
    lines: int
    way_ms: float  # the target, like the following fields
    page_s: float


type Watching[T] = Callable[[Processes, Path, Path, int, Size], T]
SIZES = (Size(150, 8, 100, 1), Size(1000, 9, 150, 2))  # the second has 11,000 retained topics


@dataclass
class Found:
    start_s: float
    known: tuple[int, int, int, int]  # units, lines, reporting units of the register, units in the register
    page_s: float
    slowed: float  # factor by which other work slowed the loading of the page
    ways_ms: list[float]
    memory_mb: float
    cpu_percent: float
    hidden: HiddenFound


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    rows = []
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="linetap-desk-", dir="/dev/shm") as disks:
            rows += _rows(size, run(folder / str(size.units), Path(disks) / "city", size, _watch))
    return rows


def _rows(size: Size, found: Found) -> list[Row]:
    ways, topics = sorted(found.ways_ms) or [float("inf")], size.units * (size.lines + 2)
    method = (
        f"{size.units} units of {size.lines} lines, a call on each in {EVERY_S} s, TLS, shipped Mosquitto, Chromium"
        f" over https: {len(found.ways_ms)} changes in {WATCHED_S} s, from the moment in the payload to the page's"
        f" element; the desk {found.cpu_percent:.0f} % of a core; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    units, lines, heard, expected = found.known
    start = (
        f"{topics} retained topics, from the connection; {units} units and {lines} lines known,"
        f" {heard} of the register's {expected}"
    )
    name = f"desk, {size.units} units"
    return [
        Row(name=f"{name}: publish to browser, p95", figure=ways[len(ways) * 95 // 100], unit="ms", target=size.way_ms,
            method=method, beside={"p50": ways[len(ways) // 2], "p99": ways[len(ways) * 99 // 100]}),
        Row(name=f"{name}: first useful page", figure=found.page_s, unit="s", target=size.page_s, method=method),
        Row(name=f"{name}: the same, without other work", figure=found.page_s / found.slowed, unit="s", target=FIRST_S,
            method=f"divided by {found.slowed:.1f}: {SLOWED}"),
        Row(name=f"{name}: memory of the process", figure=found.memory_mb, unit="MB", target=150, method=method),
        Row(name=f"{name}: all that the broker has, read", figure=found.start_s, unit="s", target=1, method=start),
        *rows(name, found.hidden, f"{size.units} units of {size.lines} lines"),
    ]  # fmt: skip


def run[T](folder: Path, city: Path, size: Size, watching: Watching[T]) -> T:
    """Runs the fleet and the pages; calls `watching` when the fleet's calls have begun."""
    folder.mkdir(parents=True)
    port = free_port()
    words = ["--units", size.units, "--lines", size.lines, "--every", EVERY_S, "--for", 600, "--settle", MAKE_S]
    command = [sys.executable, "-m", "linetap", "fleet", *map(str, words), "--broker", f"mqtts://{HOST}:{port}"]
    with Processes(folder / "logs", {}) as children, (folder / "fleet.log").open("wb") as log:
        fleet = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command, "--dir", str(city), "--wait"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
        log_path = folder / "fleet.log"
        try:
            wait(lambda: b"allowed_signers" in log_path.read_bytes(), children, "the fleet is not made", MAKE_S)
            start_shipped(children, folder / "mosquitto", city / "tls", port)
            _go(fleet)
            wait(lambda: BEGUN.encode() in log_path.read_bytes(), children, "the calls have not begun", MAKE_S)
            return watching(children, folder, city, port, size)
        finally:
            fleet.send_signal(signal.SIGKILL)
            fleet.wait()


def _go(fleet: subprocess.Popen[bytes]) -> None:
    assert fleet.stdin is not None
    fleet.stdin.write(b"\n")
    fleet.stdin.close()


def _watch(children: Processes, folder: Path, city: Path, port: int, size: Size) -> Found:
    desk, config, url = started(children, folder, city, port, size)
    token = session(config, "wall", "watch")
    read = _COMPLETE.search(desk.log.read_text())
    assert read is not None
    units, lines, heard, expected, ms = map(int, read.groups())
    page_s, slowed, ways, cpu, back = _measure_pages(desk, url, token, size)
    memory = resident_mb(desk.process.pid)
    return Found(ms / 1000, (units, lines, heard, expected), page_s, slowed, ways, memory, cpu, back)


def started(
    children: Processes, folder: Path, city: Path, port: int, size: Size, db: str = "", more: str = ""
) -> tuple[Child, Path, str]:
    """Starts the pages; returns the process, its desk.toml and its URL once it has the whole fleet. `db`: URL of the
    ingest's database; `more`: lines of [serve].
    """
    config, https = folder / "desk.toml", free_port()
    tls = city / "tls"
    (folder / "serve-log.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    (folder / "places.toml").write_text(
        "".join(f'["{building}"]\n{"".join(units)}' for building, units in _places(size.units).items())
    )
    config.write_text(
        (f'db = "{db}"\n' if db else "")
        + f'[broker]\nhost = "{HOST}"\nport = {port}\nca = "{tls}/ca.pem"\ncertificate = "{tls}/desk-seoul.pem"\n'
        f'key = "{tls}/desk-seoul.key"\n[watch]\nplaces = "places.toml"\n'
        f'certificate = "{tls}/desk-wall.pem"\nkey = "{tls}/desk-wall.key"\n'
        f'[serve]\nlisten = "{HOST}:{https}"\ncertificate = "{tls}/broker.pem"\nkey = "{tls}/broker.key"\n'
        f'fleet_certificate = "{tls}/desk-pages.pem"\nfleet_key = "{tls}/desk-pages.key"\n{more}'
    )
    # A broker that writes to its disk with every change is slow when a thousand units report at once.
    watch = ["watch", "--config", str(config), "--once", "--json"]
    wait(lambda: _lines(watch) == size.units * size.lines, children, "the broker has not all lines", MAKE_S)
    desk = children.start("desk", [sys.executable, "-m", "linetap", "desk", "serve", "--config", str(config)])
    children.wait_for_text(desk, "fleet_complete", READY_S)
    return desk, config, f"https://{HOST}:{https}"


def _lines(watch: list[str]) -> int:
    done = subprocess.run([sys.executable, "-m", "linetap", *watch], capture_output=True, timeout=READY_S, check=False)
    return sum(len(msgspec.json.decode(unit)["lines"]) for unit in done.stdout.splitlines())


def _places(units: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names(units):
        building, _, floor = name.partition("-")
        found.setdefault(building, []).append(f"{name} = {int(floor)}\n")
    return found


def session(config: Path, name: str, role: str) -> str:
    """The token of a logged-in user."""
    settings, now_ns = pages.read_settings(config), SYSTEM.utc_ns()
    engine, now = opendatabase.open_own(settings.db), rfc3339(now_ns)
    try:
        with transactions.writing(engine) as db:
            made = db.execute(
                insert(people).values(name=name, shown=name, roles=role, locked=False, made_at=now, changed_at=now)
            )
            (person,) = made.inserted_primary_key or (0,)
            return sessions.begin(db, int(person), HOST, settings, now_ns)
    finally:
        engine.dispose()


SLOWED = "a fixed piece of work took that many times its processor time"


def slowed() -> float:
    """The factor by which other work on this machine lengthens a fixed task."""
    began_ns, used_s = SYSTEM.monotonic_ns(), time.thread_time()
    hashlib.pbkdf2_hmac("sha256", b"linetap", b"bench", _ROUNDS)
    return max(1.0, (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S / (time.thread_time() - used_s))


def _measure_pages(
    desk: Child, url: str, token: str, size: Size
) -> tuple[float, float, list[float], float, HiddenFound]:
    """Seconds to the page, and the factor by which other work slowed it; ms for each change; the desk's share of a core
    meanwhile; the return of a hidden page.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(ignore_https_errors=True, locale="ko-KR")
        context.add_cookies(
            [{"name": sessions.COOKIE, "value": token, "url": url, "secure": True, "httpOnly": True,
              "sameSite": "Strict"}]
        )  # fmt: skip
        page = context.new_page()
        page.add_init_script(HOOK)
        before = slowed()
        page.goto(f"{url}/fleet", timeout=READY_S * 1000)
        slower = (before + slowed()) / 2
        useful_ms, there = page.evaluate(_USEFUL)
        page.evaluate(_OBSERVE)
        began_ns, used_s = SYSTEM.monotonic_ns(), cpu_s(desk.process.pid)
        page.wait_for_timeout(WATCHED_S * 1000)
        took_s = (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S
        ways = [float(way) for way in page.evaluate("window.ways")]
        cpu = (cpu_s(desk.process.pid) - used_s) / took_s * 100
        back = measure_hidden_tab(page, url)
        browser.close()
    shown = useful_ms if there == size.units else float("inf")  # an incomplete page does not count
    return shown * NS_PER_MS / NS_PER_S, slower, ways, cpu, back
