# SPDX-License-Identifier: Apache-2.0
"""The longest time that a read of the meter's port blocks capture's loop while ordinary processes keep all processors
busy: by capture's read, and by a plain non-blocking read, which waits for a kernel worker.

A pseudo-terminal replaces a USB adapter: both pass their bytes to the same worker (tty_buffer.c), and the same code
(n_tty.c) reads all terminals.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tty
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from linetap.board.meter.port import MOST_READ, SerialPort
from linetap.capture.service import PRIORITY
from linetap.ring import SLOT_MS
from linetap_bench.figures import Row
from linetap_bench.stage.processes import ChildFailed
from linetap_core.clock import NS_PER_MS, SYSTEM, ns_of
from linetap_core.service import try_realtime

BUSY_EACH = 3  # processes for each processor
TURNS = 4  # turns of each kind of read, alternating
TURN_S = 3.0
LOOKS_S = 0.005  # twice a period
LIMIT_S = 120
WRITES = "import os, time\nwhile True: os.write(1, bytes(60)); time.sleep(0.002)"  # like a card of eight lines
BUSY = "while True: pass"


def measure(_folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    reader = context.Process(target=_read, args=(theirs,))
    with _busy():
        reader.start()
        theirs.close()
        if not ours.poll(LIMIT_S):
            reader.kill()
        reader.join()
    try:
        plain_ms, port_ms = ours.recv()
    except EOFError:
        raise ChildFailed(f"the reader has ended with {reader.exitcode}") from None
    return [
        Row(
            name="meter's port: longest wait of capture's loop",
            figure=port_ms,
            unit="ms",
            target=SLOT_MS,
            method=f"{BUSY_EACH} busy processes a processor, reader at SCHED_FIFO {PRIORITY}; {TURNS} turns of"
            f" {TURN_S:g} s each way, looked at every {LOOKS_S * 1000:g} ms",
            beside={"a plain non-blocking read": plain_ms},
        )
    ]


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    count = BUSY_EACH * (os.cpu_count() or 1)
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _read(answer: Connection) -> None:
    """Reads in its own process, which becomes real-time."""
    try_realtime(PRIORITY)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(theirs, False)
    port = SerialPort(os.ttyname(theirs))
    while not port.ready(SYSTEM.monotonic_ns()):
        SYSTEM.sleep(LOOKS_S)
    with subprocess.Popen(["chrt", "-f", str(PRIORITY - 10), sys.executable, "-c", WRITES], stdout=ours) as writer:
        plain_ns = port_ns = 0
        for _ in range(TURNS):
            plain_ns = max(plain_ns, _longest_ns(lambda: _plain(theirs)))
            port_ns = max(port_ns, _longest_ns(port.read))
        writer.kill()
    answer.send((plain_ns / NS_PER_MS, port_ns / NS_PER_MS))


def _plain(terminal: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(terminal, MOST_READ)


def _longest_ns(look: Callable[[], object]) -> int:
    longest_ns, end_ns = 0, SYSTEM.monotonic_ns() + ns_of(TURN_S)
    while (began_ns := SYSTEM.monotonic_ns()) < end_ns:
        look()
        longest_ns = max(longest_ns, SYSTEM.monotonic_ns() - began_ns)
        SYSTEM.sleep(LOOKS_S)
    return longest_ns
