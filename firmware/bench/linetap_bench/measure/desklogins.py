# SPDX-License-Identifier: Apache-2.0
"""Two hundred logins at once beside open pages of 150 units: the server's peak memory, the number of passwords that it
checked, and the delay of the page of all units for a logged-in user meanwhile.

Each login has its own address, through a proxy, and its own name, so that the limits of attempts do not apply. Every
password is wrong, which costs as much as a right one.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from linetap_bench.figures import Row, peak_mb, resident_mb
from linetap_bench.measure import desk, deskreaders
from linetap_bench.measure.deskidle import UNITS, Still, still
from linetap_bench.stage.servers import HOST
from linetap_core.clock import SYSTEM
from linetap_core.errors import LinetapError
from linetap_desk.serve.people import sessions

AT_ONCE, TIMES, PAGES_BEFORE = 200, 2, 10
WAIT_S = 400  # on a machine with other work
OPEN_PAGES, MOST_MB = (20, 200), 150
_CSRF = re.compile(r'name="csrf" content="(\w+)"')


@dataclass
class Found:
    before_mb: float = 0.0
    peak_mb: float = 0.0
    before_ms: list[float] = field(default_factory=list)
    during_ms: list[float] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    looked_ms: list[float] = field(default_factory=list)  # time until a password was rejected


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    with still(folder, more=f'proxies = ["{HOST}"]\n') as here:
        found = _watch(here)
    return [row for count, one in found.items() for row in _rows(count, one)]


def _rows(count: int, found: Found) -> list[Row]:
    said = ", ".join(f"{number} times {status}" for status, number in sorted(found.answers.items()))
    method = (
        f"{UNITS} units; {AT_ONCE} logins at once, {TIMES} times: {said}; the slowest of those that were looked at"
        f" took {max(found.looked_ms) / 1000:.1f} s; {found.before_mb:.0f} MB before;"
        f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    paged = (
        f"/fleet, one after the other: {_median(found.before_ms):.0f} ms before (median of {len(found.before_ms)}),"
        f" {_median(found.during_ms):.0f} ms beside the logins ({len(found.during_ms)})"
    )
    name = f"desk, {AT_ONCE} logins at once, {count} open pages"
    slower = _median(found.during_ms) / _median(found.before_ms)
    return [
        Row(name=f"{name}: memory", figure=found.peak_mb, unit="MB", target=MOST_MB, method=method),
        Row(name=f"{name}: /fleet, slower", figure=slower, unit="x", target=4, method=paged),
    ]


def _median(found: list[float]) -> float:
    return sorted(found)[len(found) // 2] if found else float("inf")


def _watch(here: Still) -> dict[int, Found]:
    most = -(-max(OPEN_PAGES) // deskreaders.OF_A_SESSION)
    tokens = [desk.session(here.config, f"wall-{n}", "watch") for n in range(most)]
    trust = ssl.create_default_context(cafile=str(here.certificate))
    return {count: asyncio.run(_flood(count, here.url, tokens, trust, here.pid)) for count in OPEN_PAGES}


async def _flood(count: int, url: str, tokens: list[str], trust: ssl.SSLContext, pid: int) -> Found:
    found, cookies = Found(), {sessions.COOKIE: tokens[0]}
    async with (
        _open_pages(count, url, tokens, trust),
        httpx.AsyncClient(base_url=url, verify=trust, timeout=WAIT_S, cookies=cookies) as client,
    ):
        for _ in range(PAGES_BEFORE):
            found.before_ms.append(await _page_ms(client))
        found.before_mb = resident_mb(pid)
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # resets the peak
        for turn in range(TIMES):
            await _at_once(found, turn, url, trust, client)
        found.peak_mb = peak_mb(pid)
    return found


async def _at_once(found: Found, turn: int, url: str, trust: ssl.SSLContext, client: httpx.AsyncClient) -> None:
    """Fetches a form for each login; then sends all at once."""
    async with AsyncExitStack() as held:
        forms = []
        for n in range(AT_ONCE):
            headers = {"x-forwarded-for": f"10.{turn}.{n // 250}.{n % 250 + 1}", "origin": url, "accept": "text/html"}
            made = httpx.AsyncClient(base_url=url, verify=trust, timeout=WAIT_S, headers=headers)
            one = await held.enter_async_context(made)
            csrf = _CSRF.search((await one.get("/login")).text)
            if csrf is None:
                raise LinetapError("the login page has no form")
            forms.append((one, {"csrf": csrf[1], "name": f"nobody-{turn}-{n}", "password": "x" * 12}))
        logins = asyncio.gather(*(asyncio.create_task(_login(found, *form)) for form in forms))
        while not logins.done():
            found.during_ms.append(await _page_ms(client))
        await logins


async def _login(found: Found, client: httpx.AsyncClient, fields: dict[str, str]) -> None:
    began_ns = SYSTEM.monotonic_ns()
    answer = await client.post("/login", data=fields)
    found.answers[answer.status_code] += 1
    if answer.status_code == 403:
        found.looked_ms.append((SYSTEM.monotonic_ns() - began_ns) / 1e6)


async def _page_ms(client: httpx.AsyncClient) -> float:
    began_ns = SYSTEM.monotonic_ns()
    answer = await client.get("/fleet")
    if answer.status_code != 200:
        raise LinetapError(f"/fleet: {answer.status_code}")
    return (SYSTEM.monotonic_ns() - began_ns) / 1e6


@asynccontextmanager
async def _open_pages(count: int, url: str, tokens: list[str], trust: ssl.SSLContext) -> AsyncIterator[None]:
    streams = await asyncio.gather(
        *(deskreaders.opened(url, tokens[n // deskreaders.OF_A_SESSION], trust) for n in range(count))
    )
    readers = [asyncio.create_task(_read(reader)) for reader, _ in streams]
    try:
        yield
        if any(one.done() for one in readers):
            raise LinetapError("a stream of the fleet page ended")
    finally:
        for one in readers:
            one.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        for _, writer in streams:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass
