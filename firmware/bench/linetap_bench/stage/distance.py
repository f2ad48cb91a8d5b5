# SPDX-License-Identifier: Apache-2.0
"""A simulated network between a browser and a server of this machine: a port in front of the server's, with a
round-trip time, a rate and TCP's slow start.

A kernel without netem has none, and Chromium's own emulation delays requests, but neither the handshakes of TCP and TLS
nor packets. Here bytes are delayed by half a round trip each way, and by one more before a connection's first (TCP's
handshake). At first ten packets are in transit at most (RFC 6928), and one more for each that has arrived. TLS is
between browser and server, and passes through. No packet is lost, and acknowledgements use no bandwidth.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from linetap_bench.stage.servers import HOST, READY_S

PACKET_BYTES, FIRST_PACKETS = 1460, 10
_MOST_WAITING = 1024  # packets of a connection


@dataclass(frozen=True, slots=True)
class Way:
    round_trip_s: float
    down_bits: float  # per second; shared by all connections, as on a telephone
    up_bits: float


@dataclass(slots=True)
class _Lane:
    """One direction of the line."""

    bits: float
    free_s: float = 0.0


@dataclass(slots=True)
class _Sender:
    """Computes the arrival times of a connection's packets: in order, and no more in transit than the window."""

    lane: _Lane
    round_trip_s: float
    window: int = PACKET_BYTES * FIRST_PACKETS
    under_way: int = 0
    packets: deque[tuple[float, int]] = field(default_factory=deque)

    def arrives_s(self, now_s: float, size: int) -> float:
        at_s = max(now_s, self.lane.free_s)
        while self.packets and (self.packets[0][0] <= at_s or self.under_way + size > self.window):
            known_s, known = self.packets.popleft()
            at_s = max(at_s, known_s)
            self.under_way -= known
            self.window += known
        self.lane.free_s = at_s + size * 8 / self.lane.bits
        self.packets.append((self.lane.free_s + self.round_trip_s, size))
        self.under_way += size
        return self.lane.free_s + self.round_trip_s / 2


@dataclass(frozen=True, slots=True)
class Distance:
    """A running network. `end` ends all connections, so that the next ones begin with handshakes."""

    port: int
    end: Callable[[], object]


@contextlib.contextmanager
def distant(port: int, way: Way) -> Iterator[Distance]:
    """Runs a network in front of `port`; both ports are on the loopback."""
    ready, found = threading.Event(), list[int]()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    tasks = set[asyncio.Task[None]]()

    def end() -> None:
        for task in tasks:
            task.cancel()

    async def serve() -> None:
        down, up = _Lane(way.down_bits), _Lane(way.up_bits)

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(_carry(port, way.round_trip_s, (down, up), reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        async with await asyncio.start_server(begin, HOST, 0) as server:
            found.append(server.sockets[0].getsockname()[1])
            ready.set()
            await ended.wait()
            end()
            await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="distance", daemon=True)
    thread.start()
    try:
        if not ready.wait(READY_S):
            raise TimeoutError(f"the network before port {port} did not begin")
        yield Distance(found[0], partial(loop.call_soon_threadsafe, end))
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(READY_S)
        loop.close()


async def _carry(
    port: int,
    round_trip_s: float,
    lanes: tuple[_Lane, _Lane],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    await asyncio.sleep(round_trip_s)  # TCP's handshake
    server_reader, server_writer = await asyncio.open_connection(HOST, port)
    down, up = (_Sender(lane, round_trip_s) for lane in lanes)
    with contextlib.suppress(OSError):  # either end may close
        async with asyncio.TaskGroup() as ways:
            ways.create_task(_one_way(server_reader, writer, down))
            ways.create_task(_one_way(reader, server_writer, up))


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sender: _Sender) -> None:
    now_s = asyncio.get_running_loop().time
    waiting = asyncio.Queue[tuple[float, bytes]](_MOST_WAITING)

    async def deliver() -> None:
        while True:
            due_s, data = await waiting.get()
            await asyncio.sleep(due_s - now_s())
            writer.write(data)
            if not data:
                return
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    try:
        while data := await reader.read(PACKET_BYTES):
            await waiting.put((sender.arrives_s(now_s(), len(data)), data))
        await waiting.put((now_s() + sender.round_trip_s / 2, b""))
        await delivering
    finally:
        delivering.cancel()
        writer.close()
