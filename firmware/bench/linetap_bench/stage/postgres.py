# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL on a Unix socket, that can be killed and restarted."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from linetap_core.errors import BadInput

LIMIT_S = 60
_SETTINGS = "listen_addresses=''\nfsync=on\nmax_connections=20\n"


def programs() -> Path:
    """The folder of the newest installed version; BadInput if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise BadInput("there is no PostgreSQL on this machine: apt install postgresql")
    return found[-1].parent


class Postgres:
    def __init__(self, shared_mib: int = 16) -> None:
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="linetap-pg-", dir="/tmp"))  # a socket's path has to be short
        self._data = self._folder / "data"
        self._user = "nobody" if os.getuid() == 0 else None  # it refuses to run as root
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "-D", str(self._data), "-U", "desk", "-A", "trust", "-E", "UTF8", "--no-sync")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{_SETTINGS}shared_buffers={shared_mib}MB\nunix_socket_directories='{self._folder}'\n")
        self.url = f"postgresql+psycopg://desk@/postgres?host={self._folder}"

    def start(self) -> Self:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._folder / "log"), "start")
        return self

    def stop(self, how: str = "immediate") -> None:
        """`immediate`: as in a crash; it recovers from its log at the next start."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", how, "stop")

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), *words]
        subprocess.run(
            command, user=self._user, cwd=self._folder, check=True, timeout=LIMIT_S,
            stdout=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
