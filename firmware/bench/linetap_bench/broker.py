# SPDX-License-Identifier: Apache-2.0
"""A Mosquitto of one's own on a free loopback port, with limits and without a memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from linetap_bench.processes import Child, ChildFailed, Processes
from linetap_core.clock import NS_PER_S, SYSTEM, Clock
from linetap_core.errors import BadInput

READY_S = 60.0
_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_connections 16
max_packet_size 1048576
max_queued_messages {queued}
log_dest stderr
"""


def start_broker(
    children: Processes, folder: Path, port: int | None = None, clock: Clock = SYSTEM, queued: int = 10_000
) -> tuple[Child, int]:
    """The running broker and its port, a free one where none is asked for. ChildFailed when it does not listen."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    configuration = folder / "mosquitto.conf"
    configuration.write_text(_CONFIGURATION.format(port=port, queued=queued))
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")  # not in a user's path
    if program is None:
        raise BadInput("mosquitto is not installed: ./build.sh setup brings it")
    child = children.start("mosquitto", [program, "-c", str(configuration)])
    deadline = clock.monotonic_ns() + round(READY_S * NS_PER_S)
    while not _listens(port):
        children.check()
        if clock.monotonic_ns() > deadline:
            raise ChildFailed(f"mosquitto does not listen on port {port}; {child.log}:\n{child.last_words()}")
        clock.sleep(0.05)
    return child, port
