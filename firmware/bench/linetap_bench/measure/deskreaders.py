# SPDX-License-Identifier: Apache-2.0
"""Two hundred open fleet pages beside a thousand busy units: the server's share of a core, its memory, the transferred
size of the page, and the rate of writes to a reader.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from linetap_bench.figures import Row, cpu_s, resident_mb
from linetap_bench.measure import desk
from linetap_bench.stage.processes import Processes
from linetap_bench.stage.servers import READY_S
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.errors import LinetapError
from linetap_desk.serve.people import sessions

SIZES = (desk.Size(150, 8, 100, 1), desk.Size(1000, 9, 150, 2))
READERS = int(os.environ.get("LINETAP_READERS", "200"))
WATCHED_S = 30
OF_A_SESSION = 7  # streams of one session; the limit is 8
_UNIT, _AT_ONCE = b"event: unit", 1 << 16


@dataclass
class Found:
    page_bytes: int
    events: list[int] = field(default_factory=lambda: [0] * READERS)
    reads: int = 0
    watched_s: float = 0.0
    cpu_s: float = 0.0
    memory_mb: float = 0.0


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    rows = []
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="linetap-readers-", dir="/dev/shm") as disks:
            rows += _rows(size, desk.run(folder / str(size.units), Path(disks) / "city", size, _watch))
    return rows


def _rows(size: desk.Size, found: Found) -> list[Row]:
    method = (
        f"{size.units} units of {size.lines} lines, a call on each in {desk.EVERY_S} s, TLS; {READERS} readers of"
        f" /fleet/events over https for {found.watched_s:.0f} s: {min(found.events)} to {max(found.events)} changes of"
        f" units each, {found.reads} reads; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    name = f"desk, {READERS} readers, {size.units} units"
    share = found.cpu_s / found.watched_s * 100
    rows = [
        Row(name=f"{name}: the server's share of a core", figure=share, unit="%", target=100, method=method),
        Row(name=f"{name}: memory of the process", figure=found.memory_mb, unit="MB", target=150, method=method),
    ]
    if size.units == SIZES[0].units:
        text = "GET /fleet with Accept-Encoding: gzip"
        size_kb = found.page_bytes / 1000
        rows.append(Row(name="desk: /fleet as it is sent", figure=size_kb, unit="KB", target=60, method=text))
    return rows


def _watch(children: Processes, folder: Path, city: Path, port: int, size: desk.Size) -> Found:
    server, config, url = desk.started(children, folder, city, port, size)
    tokens = [desk.session(config, f"wall-{n}", "watch") for n in range(-(-READERS // OF_A_SESSION))]
    trust = ssl.create_default_context(cafile=str(city / "tls" / "ca.pem"))
    found = Found(_page_bytes(url, tokens[0], trust))
    asyncio.run(_read(found, url, tokens, trust, server.process.pid))
    found.memory_mb = resident_mb(server.process.pid)
    return found


def _page_bytes(url: str, token: str, trust: ssl.SSLContext) -> int:
    cookies, wanted = {sessions.COOKIE: token}, {"accept-encoding": "gzip"}
    with (
        httpx.Client(base_url=url, verify=trust, timeout=READY_S, cookies=cookies) as client,
        client.stream("GET", "/fleet", headers=wanted) as answer,
    ):
        return sum(len(part) for part in answer.iter_raw())


async def _read(found: Found, url: str, tokens: list[str], trust: ssl.SSLContext, pid: int) -> None:
    """Reads all streams; counts once all are connected."""
    begun = [asyncio.create_task(opened(url, tokens[n // OF_A_SESSION], trust)) for n in range(READERS)]
    streams = await asyncio.gather(*begun)
    tasks = [asyncio.create_task(_count(found, n, *stream)) for n, stream in enumerate(streams)]
    began_ns, used_s = SYSTEM.monotonic_ns(), cpu_s(pid)
    await asyncio.sleep(WATCHED_S)
    found.cpu_s, found.watched_s = cpu_s(pid) - used_s, (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S
    for task in tasks:
        if task.done():
            raise LinetapError("a stream of the fleet page ended")
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _, writer in streams:
        writer.close()


async def opened(url: str, token: str, trust: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Opens an event stream and reads its head."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port, ssl=trust)
    head = f"GET /fleet/events HTTP/1.1\r\nHost: {at.netloc}\r\nCookie: {sessions.COOKIE}={token}\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(READY_S):
        answer = await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"event: snapshot")
    if not answer.startswith(b"HTTP/1.1 200"):
        raise LinetapError(f"the stream was refused: {answer[:30]!r}")
    return reader, writer


async def _count(found: Found, n: int, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_AT_ONCE):
        found.events[n] += data.count(_UNIT)
        found.reads += 1
