# SPDX-License-Identifier: Apache-2.0
"""Server-sent events: what is different, as soon as it is; and now and then that there is nothing.

A beat is an event and not a comment: a page's script sees no comments, and must know that the way to here stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_desk.serve.fleet.hub import Hub
from linetap_desk.serve.fleet.journal import Reader, event

BEAT_S = 5
RETRY_MS = 1000
MOST_AT_ONCE = 500  # events in a write


async def events(
    hub: Hub, reader: Reader, news: asyncio.Event, after: int | None, still: Callable[[], Awaitable[bool]], clock: Clock
) -> AsyncIterator[bytes]:
    """Until the reader leaves, or `still`, asked at each beat, says that they may not see it any more. `after`: what
    they have; None, or older than the journal: they get a snapshot. A reader that is slow holds this up, and nobody
    else."""
    yield f"retry: {RETRY_MS}\n\n".encode()
    beat_ns = 0
    while not hub.leaving:
        if clock.monotonic_ns() >= beat_ns:
            if not await still():
                yield event("over", {})
                return
            yield event("beat", {"at": rfc3339(clock.utc_ns())})
            beat_ns = clock.monotonic_ns() + BEAT_S * NS_PER_S
        news.clear()
        entries = None if after is None else hub.after(after)
        if entries is None:
            after, snapshot = hub.snapshot(reader)
            yield snapshot
        elif entries:
            some = entries[:MOST_AT_ONCE]
            after = some[-1].number
            if data := b"".join(hub.event(entry, reader) for entry in some):
                yield data
        else:
            left_s = max(0.0, (beat_ns - clock.monotonic_ns()) / NS_PER_S)
            try:
                async with asyncio.timeout(left_s):
                    await news.wait()
            except TimeoutError:
                continue
