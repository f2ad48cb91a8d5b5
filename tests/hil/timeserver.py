# SPDX-License-Identifier: Apache-2.0
"""A site's time server: Debian's chronyd on this machine's loopback, which the emulated one reaches as 10.0.2.2."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from linetap_core.clock import SYSTEM

PORT = 123  # a card names a server and no port
READY_TRIES = 50
END_S = 10


@contextlib.contextmanager
def time_server(folder: Path) -> Iterator[None]:
    """It never touches this machine's clock (-x), and answers nobody outside. The port takes root, or sudo."""
    folder.mkdir()
    conf = folder / "chrony.conf"
    conf.write_text(
        f"local stratum 3\nallow 127.0.0.1\nbindaddress 127.0.0.1\nport {PORT}\ncmdport 0\nbindcmdaddress /\n"
        f"pidfile {folder}/pid\n"
    )
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*sudo, "/usr/sbin/chronyd", "-d", "-x", "-f", conf], stdout=log, stderr=log)
    try:
        assert any(_answers() for _ in range(READY_TRIES)), (folder / "log").read_text()
        yield
    finally:
        subprocess.run([*sudo, "kill", str(server.pid)], timeout=END_S, check=False)
        server.wait(END_S)


def _answers() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.sendto(struct.pack("!B47x", 0x23), ("127.0.0.1", PORT))  # version 4, client (RFC 5905)
        try:
            return len(asking.recv(128)) >= 48
        except OSError:
            SYSTEM.sleep(0.2)
            return False
