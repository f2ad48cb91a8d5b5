# SPDX-License-Identifier: Apache-2.0
"""The desk's pages under an office's load (twenty open fleet pages, officers who search, and an ingest that stores),
and the fleet page with a broker of 100,000 alerts: the cost, and the time until the page shows them.

One process sends requests with asyncio and httpx, and one writes to the database with the ingest's own store: the
figures include the cost of both. A third party's load tool may add an independent figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import re
import shlex
import socket
import ssl
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path

import httpx
import msgspec
from sqlalchemy import func, select

from linetap_bench.figures import Row, cpu_s, quantile, resident_mb
from linetap_bench.measure import desk, generatedcalls
from linetap_bench.measure.desk import session
from linetap_bench.measure.generatedcalls import write_events
from linetap_bench.stage.processes import ChildFailed, Processes
from linetap_bench.stage.servers import HOST, READY_S, free_port, start_broker, wait
from linetap_core.clock import NS_PER_S, SYSTEM, rfc3339
from linetap_core.errors import LinetapError
from linetap_core.evidence.keys import keys
from linetap_core.wire.topics import Topics
from linetap_desk.ingest import database
from linetap_desk.ingest.tables import events
from linetap_desk.serve.people import sessions
from linetap_desk.watch.units import MOST_ALERTS_IN_ALL

COMMAND = "LINETAP_LOAD_BESIDE"
INDEPENDENT_LIMIT_S = 300


def run_independent(url: str, sessions: Sequence[str], ca: Path) -> None:
    """Runs the command in LINETAP_LOAD_BESIDE, if set; its output goes to standard error. Its environment has the
    address of the pages in LINETAP_LOAD_URL, tokens of logged-in users in _SESSIONS, separated by spaces, and the CA's
    file in _CA.

    ChildFailed if it cannot be started, does not end, or does not exit with 0.
    """
    try:
        words = shlex.split(os.environ.get(COMMAND, ""))
    except ValueError as error:
        raise ChildFailed(f"{COMMAND}: {error}") from None
    if not words:
        return
    variables = {"LINETAP_LOAD_URL": url, "LINETAP_LOAD_SESSIONS": " ".join(sessions), "LINETAP_LOAD_CA": str(ca)}
    try:
        ended = subprocess.run(
            words, stdout=sys.stderr, env=os.environ | variables, timeout=INDEPENDENT_LIMIT_S, check=False
        )
    except OSError as error:
        raise ChildFailed(f"{COMMAND}: {words[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"{COMMAND}: {words[0]}: not over after {INDEPENDENT_LIMIT_S} s") from None
    if ended.returncode:
        raise ChildFailed(f"{COMMAND}: {words[0]} ended with {ended.returncode}")


CALLS = int(os.environ.get("LINETAP_SEARCH_CALLS", "1000000"))
LOAD_S = float(os.environ.get("LINETAP_LOAD_S", "60"))
EVENTS_S = 680
SIZE = desk.Size(150, 8, 100, 1)
STREAMS, OFFICERS, LOADERS = 20, 10, 2
PAUSE_S = 0.3  # an officer's pause between two pages: shorter than a person's
LOAD_EVERY_S = 2  # interval of a user who reloads the fleet page
OF_A_SESSION = 7  # streams of one session; the limit is 8
LIMIT_S = 30
_CALL = re.compile(r'href="(/calls/floor-[^"]+)"')


@dataclass
class Load:
    took_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    events: list[int] = field(default_factory=lambda: [0] * STREAMS)  # events received on each stream
    other: int = 0  # answers other than the page

    async def page(self, client: httpx.AsyncClient, kind: str, path: str) -> str:
        began = SYSTEM.monotonic_ns()
        answer = await client.get(path)
        self.took_ms[kind].append((SYSTEM.monotonic_ns() - began) / 1e6)
        self.other += answer.status_code != 200
        return answer.text


@dataclass(frozen=True)
class Found:
    load: Load
    load_s: float
    stored_s: float
    memory_mb: float
    cpu_percent: float


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="linetap-load-", dir="/dev/shm") as disks:
        return rows(desk.run(folder / "desk", Path(disks) / "city", SIZE, _under_load))


def rows(found: Found) -> list[Row]:
    load, pages = found.load, sum(map(len, found.load.took_ms.values()))
    method = (
        f"{SIZE.units} units of {SIZE.lines} lines with calls, {STREAMS} streams of the fleet page, {LOADERS} who load"
        f" it every {LOAD_EVERY_S} s, {OFFICERS} officers with {PAUSE_S} s between two pages in {CALLS:,} calls"
        f" (SQLite); https; {pages} pages in {found.load_s:.0f} s; the server {found.cpu_percent:.0f} % of a core;"
        f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
    )
    targets = {"fleet page": 1000, "search": 200, "a call": 200}
    timed = [
        Row(name=f"desk-load: {kind}, p95", figure=quantile(load.took_ms[kind], 0.95), unit="ms", target=target,
            method=method, beside={"p50": quantile(load.took_ms[kind], 0.5)})
        for kind, target in targets.items()
    ]  # fmt: skip
    return [
        *timed,
        Row(name="desk-load: pages a second", figure=pages / found.load_s, unit="/s", target=20, at_most=False,
            method=method),
        Row(name="desk-load: answers that were not the page", figure=load.other, unit="", target=0, method=method),
        Row(name="desk-load: events to the quietest stream", figure=min(load.events) / found.load_s, unit="/s",
            target=1, at_most=False, method=method),
        Row(name="desk-load: memory of the server", figure=found.memory_mb, unit="MB", target=150, method=method),
        Row(name="desk-load: events stored meanwhile", figure=found.stored_s, unit="/s", target=EVENTS_S * 0.98,
            at_most=False, method="signed, judged, chained and committed by the ingest's own store"),
    ]  # fmt: skip


def _under_load(children: Processes, folder: Path, city: Path, port: int, size: desk.Size) -> Found:
    path = folder / "desk.db"
    generatedcalls.make(path, CALLS)
    url = f"sqlite:///{path}"
    server, config, https = desk.started(children, folder, city, port, size, url)
    officer = [desk.session(config, f"officer-{n}", "officer") for n in range(-(-STREAMS // OF_A_SESSION))]
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writer = context.Process(target=write_events, args=(url, EVENTS_S, stop))
    writer.start()
    try:
        # It makes 150 keys first: the delay of that is not due to the load.
        wait(lambda: _stored(url) > 0, children, "the writer stores nothing", READY_S)
        load, before, used_s, began = Load(), _stored(url), cpu_s(server.process.pid), SYSTEM.monotonic_ns()
        ca = city / "tls" / "ca.pem"
        trust = ssl.create_default_context(cafile=str(ca))
        asyncio.run(_ask(load, https, officer, trust))
        load_s, stored = (SYSTEM.monotonic_ns() - began) / NS_PER_S, _stored(url) - before
        cpu = (cpu_s(server.process.pid) - used_s) / load_s * 100
        found = Found(load, load_s, stored / load_s, resident_mb(server.process.pid), cpu)
        run_independent(https, officer, ca)
        return found
    finally:
        stop.set()
        writer.join(LIMIT_S)
        for left in folder.glob("desk.db*"):
            left.unlink()


def _stored(url: str) -> int:
    engine = database.open_reader(url)
    with engine.connect() as db:
        count = db.execute(select(func.count()).select_from(events)).scalar_one()
    engine.dispose()
    return count


async def _ask(load: Load, url: str, tokens: list[str], trust: ssl.SSLContext) -> None:
    async with contextlib.AsyncExitStack() as held:
        clients = [
            await held.enter_async_context(httpx.AsyncClient(
                base_url=url, verify=trust, timeout=LIMIT_S, cookies={sessions.COOKIE: token},
                headers={"accept": "text/html"},
            ))
            for token in tokens
        ]  # fmt: skip
        streams = [_listen(load, clients[n // OF_A_SESSION], n) for n in range(STREAMS)]
        chance = random.Random(9)
        officers = [_search(load, clients[n % len(clients)], chance) for n in range(OFFICERS)]
        loaders = [_load(load, clients[n % len(clients)]) for n in range(LOADERS)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOAD_S):
                await asyncio.gather(*streams, *officers, *loaders)


async def _listen(load: Load, client: httpx.AsyncClient, n: int) -> None:
    async with client.stream("GET", "/fleet/events") as answer:
        load.other += answer.status_code != 200
        async for line in answer.aiter_lines():
            load.events[n] += line.startswith("event: unit")


async def _load(load: Load, client: httpx.AsyncClient) -> None:
    while True:
        await load.page(client, "fleet page", "/fleet")
        await asyncio.sleep(LOAD_EVERY_S)


async def _search(load: Load, client: httpx.AsyncClient, chance: random.Random) -> None:
    while True:
        since = rfc3339(chance.randrange(generatedcalls.FIRST_NS, generatedcalls.LAST_NS))[:10]
        unit = generatedcalls.unit_name(chance.randrange(generatedcalls.UNITS))
        asked = chance.choice((f"unit={unit}", f"from={since}", f"unit={unit}&line=3&from={since}", "mark=any"))
        found = _CALL.findall(await load.page(client, "search", f"/calls/found?{asked}"))
        await asyncio.sleep(PAUSE_S)
        if found:
            await load.page(client, "a call", chance.choice(found))
            await asyncio.sleep(PAUSE_S)


UNITS, ALERTS = 1000, 100  # alerts of each unit
QUEUED = 300_000  # as in systemd/mosquitto/linetap.conf: limits the retained messages for a new subscriber
AT_ONCE = 20_000
PUBLISH_S = 60.0
_ALERT = msgspec.json.encode(
    {"severity": "warning", "line": 3, "since": "2026-11-24T22:56:00.123Z", "text_ko": "잡음이 큽니다",
     "text_en": "The line hums.", "action_ko": "배선을 확인하십시오.", "action_en": "Look at the wiring."}
)  # fmt: skip
_NOT_SHOWN = re.compile(r'id="not-shown"[^>]*>[^<]*?(\d+)')


def measure_flood(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    folder.mkdir(parents=True, exist_ok=True)
    config, https = folder / "desk.toml", free_port()
    (folder / "serve-log.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    with Processes(folder / "logs", {}) as children:
        _, port = start_broker(children, folder / "mosquitto", queued=QUEUED)
        publish(port, UNITS, ALERTS)
        config.write_text(f'[broker]\nhost = "{HOST}"\nport = {port}\n[serve]\nlisten = "{HOST}:{https}"\n')
        token, began_ns = session(config, "wall", "watch"), SYSTEM.monotonic_ns()
        desk = children.start("desk", [sys.executable, "-m", "linetap", "desk", "serve", "--config", str(config)])
        children.wait_for_text(desk, "fleet_complete", READY_S)
        start_s, began_ns = _since(began_ns), SYSTEM.monotonic_ns()
        page = httpx.get(f"http://{HOST}:{https}/fleet", cookies={sessions.COOKIE: token}, timeout=READY_S).text
        page_s, memory = _since(began_ns), resident_mb(desk.process.pid)
    shown = _NOT_SHOWN.search(page)
    if shown is None or int(shown[1]) != UNITS * ALERTS - MOST_ALERTS_IN_ALL:
        raise LinetapError("the fleet page has no number of hidden alerts")
    method = (
        f"{UNITS * ALERTS:,} retained alerts of {UNITS:,} units in a Mosquitto of the shipped limits, without TLS;"
        f" {MOST_ALERTS_IN_ALL:,} are kept, and the page counts {shown[1]} hidden ones; {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f}"
    )
    return [
        Row(name="desk-flood: memory of the process", figure=memory, unit="MB", target=150, method=method),
        Row(name="desk-flood: start, until all is read", figure=start_s, unit="s", target=20, method=method),
        Row(name="desk-flood: the page", figure=page_s, unit="s", target=2, method=method),
    ]  # fmt: skip


def publish(port: int, units: int, alerts: int) -> None:
    """Publishes retained alerts, `alerts` of each of `units` units; returns when the broker has them."""
    topics = [Topics(f"flood-{unit:04d}").named(f"alert/a{check}") for check in range(alerts) for unit in range(units)]
    publish_all(port, [(topic, _ALERT) for topic in topics])


def publish_all(port: int, messages: list[tuple[str, bytes]]) -> None:
    """Publishes retained messages; returns when the broker has them.

    Writes MQTT 3.1.1 directly: a client library takes five seconds of a processor for the same bytes.
    """
    *many, (last, told) = messages
    with socket.create_connection((HOST, port), PUBLISH_S) as broker:
        broker.sendall(_packet(0x10, _text("MQTT") + bytes([4, 2, 0, 0]) + _text("flood")))
        _answered(broker, b"\x20\x02\0\0")
        for some in batched(many, AT_ONCE, strict=False):
            broker.sendall(b"".join(_packet(0x31, _text(topic) + payload) for topic, payload in some))
        broker.sendall(_packet(0x33, _text(last) + b"\0\1" + told))
        _answered(broker, b"\x40\x02\0\1")  # the answer to the last packet: the broker has all before it
        broker.sendall(_packet(0xE0, b""))


def _packet(head: int, body: bytes) -> bytes:
    """An MQTT packet; `head`: kind and flags. The length is in groups of seven bits, the lowest first."""
    out, left = bytearray([head]), len(body)
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    return bytes([*out, left]) + body


def _text(text: str) -> bytes:
    return len(text).to_bytes(2) + text.encode()


def _answered(broker: socket.socket, expected: bytes) -> None:
    answer = broker.recv(len(expected), socket.MSG_WAITALL)
    if answer != expected:
        raise LinetapError(f"the broker answered {answer.hex()}; {expected.hex()} expected")


def _since(began_ns: int) -> float:
    return (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S
