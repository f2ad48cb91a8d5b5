# SPDX-License-Identifier: Apache-2.0
"""A compromised service in a guest, with its user, groups, mounts and limits; and the names opened by the others, by
strace.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "systemd"))

from guest import Guest, guest, skip_reason, until
from systemd_rig import SERVICES, lay_cable, make_unit, pid_of, state_of

PLACES = ("/run/linetap", "/var/lib/linetap")
KINDS = ("symlink", "hardlink", "fifo", "folder", "device", "giant", "deep", "gone", "lock")
_PATH = re.compile(r'(?:AT_FDCWD(?:<[^>]*>)?|\d+<(?P<at>[^>]*)>), "(?P<name>[^"]*)"|^\d+ +\w+\("(?P<first>[^"]*)"')
_SOCKET = re.compile(r'sun_path="(?P<path>/[^"]*)"')

# An attacker's attempts on one name, as the service and in its mounts. `victim` is a sealed file of the vault.
_DEED = r"""
import fcntl, json, os, sys
kind, victim, *paths = sys.argv[1:]
done, held = [], []
for path in paths:
    try:
        if kind != "lock":
            aside = path + ".aside"
            try: os.rename(path, aside)
            except FileNotFoundError: pass
        if kind == "symlink": os.symlink(victim, path)
        elif kind == "hardlink": os.link(victim, path)
        elif kind == "fifo": os.mkfifo(path)
        elif kind == "folder": os.mkdir(path)
        elif kind == "device": os.mknod(path, 0o20666, os.makedev(1, 5))
        elif kind == "giant":
            with open(path, "xb") as file:
                try: os.truncate(file.fileno(), 1 << 40)
                except OSError: os.truncate(file.fileno(), 2_000_000)
        elif kind == "deep":
            with open(path, "xb") as file: file.write(b'{"x":' + b"[" * 100000)
        elif kind == "lock":
            held.append(os.open(path, os.O_RDWR))
            fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        done.append(path)
    except OSError as error:
        failed = error.strerror
print(json.dumps(done), flush=True)
sys.stdin.read()
for path in paths:
    if kind == "lock": continue
    try:
        if os.path.isdir(path) and not os.path.islink(path): os.rmdir(path)
        elif os.path.lexists(path): os.unlink(path)
    except OSError: pass
    try: os.rename(path + ".aside", path)
    except OSError: pass
"""


class TakenOver:
    """One of the four services, from the moment of its compromise on."""

    def __init__(self, unit: Guest, service: str) -> None:
        self.unit, self.service, self.pid = unit, service, pid_of(unit, service)
        status = dict(
            line.split(":\t", 1) for line in unit.run("cat", f"/proc/{self.pid}/status").splitlines() if ":\t" in line
        )
        limits = unit.run("cat", f"/proc/{self.pid}/limits").splitlines()
        limit = next(line for line in limits if line.startswith("Max file size")).split()[4]
        # Keeps its mounts, even if the service ends meanwhile.
        holder = [*unit.entered(), "nsenter", "-t", self.pid, "-m", "sh", "-c", "echo $$; exec sleep 600"]
        self._holder = subprocess.Popen(holder, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        self._become = (
            "nsenter", "-t", self._holder.stdout.readline().strip(), "-m", "prlimit", f"--fsize={limit}",
            "setpriv", f"--reuid={status['Uid'].split()[0]}", f"--regid={status['Gid'].split()[0]}",
            f"--groups={','.join(status['Groups'].split())}", "--bounding-set=-all", "--no-new-privs",
        )  # fmt: skip

    def run(self, *words: str) -> str:
        """The output of a command that runs with all rights of the service."""
        return self.unit.run(*self._become, *words, check=False)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()

    def stop_working(self) -> None:
        """Stops the service or its successor, which may have ended by itself: because of changes to its own files, or
        of a cable.
        """
        stop = ("systemctl", "kill", "--kill-whom=main", "-s", "STOP", f"{self.service}.service")
        until(
            lambda: self.unit.run("sh", "-c", f"{' '.join(stop)} && echo stopped", check=False) == "stopped",
            "it stands",
        )

    def work_again(self) -> None:
        self.unit.run("systemctl", "kill", "--kill-whom=main", "-s", "CONT", f"{self.service}.service", check=False)

    def may_write(self) -> list[str]:
        """Every file, folder, FIFO and device in its mounts, except the kernel's own file systems."""
        prune = ("(", "-path", "/proc", "-o", "-path", "/sys", "-o", "-path", "/opt", ")", "-prune", "-o")
        return self.run(
            "find", "/", *prune, "-not", "-type", "l", "-not", "-type", "s", "-writable", "-print"
        ).splitlines()

    def reach(self, names: set[str]) -> list[str]:
        """The names that the service can replace or write."""
        code = (
            "import os,stat,sys\nfor p in sys.argv[1:]:\n"
            " file = os.path.lexists(p) and not stat.S_ISSOCK(os.lstat(p).st_mode) and os.access(p, os.W_OK)\n"
            " if file or os.access(os.path.dirname(p), os.W_OK): print(p)"
        )
        return self.run("python3", "-c", code, *sorted(names)).splitlines()

    @contextmanager
    def planted(self, kind: str, victim: str, paths: list[str]) -> Iterator[list[str]]:
        """The paths on which the attempt succeeded; the original state is restored at the end."""
        words = [*self.unit.entered(), *self._become, "python3", "-c", _DEED, kind, victim, *paths]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield msgspec.json.decode(process.stdout.readline(), type=list[str])
            finally:
                process.stdin.close()


def opened_by(unit: Guest, service: str, seconds: int) -> set[str]:
    """Names below PLACES opened from the start of the service on: it is killed, and its successor traced."""
    before = pid_of(unit, service)
    unit.run("kill", "-KILL", before)
    until(lambda: pid_of(unit, service) not in (before, "0"), f"{service} is there again")
    trace = f"/tmp/trace-{service}"
    flags = ("-f", "-y", "-qq", "-s", "512", "-e", "trace=%file,connect,bind", "-o", trace)
    unit.run("timeout", "-s", "INT", str(seconds), "strace", *flags, "-p", pid_of(unit, service), check=False)
    found: set[str] = set()
    for line in unit.run("cat", trace).splitlines():
        for match in _PATH.finditer(line):
            name = match["first"] or match["name"] or ""
            found.add(name if name.startswith("/") else f"{match['at']}/{name}")
        found.update(match["path"] for match in _SOCKET.finditer(line))
    return {path for path in found if path.startswith(tuple(f"{place}/" for place in PLACES))}


__all__ = [
    "KINDS",
    "PLACES",
    "SERVICES",
    "Guest",
    "TakenOver",
    "guest",
    "lay_cable",
    "make_unit",
    "opened_by",
    "pid_of",
    "skip_reason",
    "state_of",
    "until",
]  # fmt: skip
