# SPDX-License-Identifier: Apache-2.0
"""A real systemd as process 1 of a separate namespace, over this machine's root read-only: the units run under their
real supervisor. All writes go to RAM.

Needs root, overlayfs and cgroup2; `skip_reason` names a missing one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from linetap_core.clock import NS_PER_S, SYSTEM

LIMIT_S = 150  # a busy machine is no failure
SOONEST_S, LATEST_S = 0.05, 0.2  # between two polls
_PROJECT = Path(__file__).resolve().parents[2]
_UNITS = _PROJECT / "systemd"
_ENTER = Path(__file__).with_name("enter.sh")


class Guest:
    """A guest. `root` is its root folder as seen by this process, before `boot`; then everything uses `run`. `folder`
    is for files outside it, such as its people's keys.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self.stood = contextlib.ExitStack()  # closed before it ends

    def install(self) -> None:
        """Installs the units, users and folders as in the image.

        Without sysctl.d and system.conf.d, which would affect this machine's kernel and watchdog.
        """
        for name, place in (
            ("", "etc/systemd/system"), ("sysusers.d", "etc/sysusers.d"), ("tmpfiles.d", "etc/tmpfiles.d"),
            ("journald.conf.d", "etc/systemd/journald.conf.d"),
            ("journald@linetap.conf.d", "etc/systemd/journald@linetap.conf.d"),
        ):  # fmt: skip
            target = self.root / place
            target.mkdir(parents=True, exist_ok=True)
            for source in (_UNITS / name).glob("*linetap*"):
                (shutil.copytree if source.is_dir() else shutil.copy)(source, target / source.name)

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Writes a file of the guest's /etc or /usr, before it boots."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        target.chmod(mode)

    def boot(self) -> None:
        command = [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net",
            str(_ENTER), str(self.root), str(_PROJECT), self.folder.name,
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: self._find() and self.run("systemctl", "is-system-running", check=False) in _UP, "systemd is up")

    @property
    def pid(self) -> int:
        """Process 1 of the guest, after `boot`."""
        return self._pid

    def _find(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the namespace could not be made"
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
            self._pid = int(children[0])
        return bool(self._pid)

    def is_in(self, process: Path) -> bool:
        """Whether this folder of /proc belongs to a process of the guest."""
        return (process / "ns/pid").readlink() == Path(f"/proc/{self._pid}/ns/pid").readlink()

    def entered(self) -> list[str]:
        """The prefix of a command to be run in the guest."""
        return ["nsenter", "-t", str(self._pid), "-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w"]

    def run(self, *words: str, check: bool = True) -> str:
        """The standard output of a command in the guest."""
        done = subprocess.run([*self.entered(), *words], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def place(self, path: str) -> Path:
        """A file of the running guest, as opened by this process: frequent polls need no process. The path must not
        contain links; an absolute one leads into this machine's root.
        """
        return Path(f"/proc/{self._pid}/root{path}")

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "-P", name, unit)

    def end(self) -> None:
        self.stood.close()
        if self._process is not None:
            if self._pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)  # ends all processes with process 1
            self._process.kill()
            self._process.wait(LIMIT_S)
            until(self._remove_groups, "its control groups are empty")

    def _remove_groups(self) -> bool:
        """Removes the guest's groups, if this machine shows them: nothing else would."""
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        tops = [Path(words[1]) / self.folder.name for words in mounts if words[2] == "cgroup2"]
        for top in (each for each in tops if each.is_dir()):
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):  # a process in it is still ending
                    os.rmdir(folder)
        return not any(top.is_dir() for top in tops)


_UP = ("running", "degraded")


@contextlib.contextmanager
def guest(over: Path = Path("/"), installed: bool = True) -> Iterator[Guest]:
    """A guest that is not booted, in RAM, over another root if one is named; `installed`: with the units of this
    project.
    """
    folder = Path(tempfile.mkdtemp(prefix="linetap-guest-", dir="/dev/shm"))
    try:
        yield from _laid(folder, over, installed)
    finally:
        shutil.rmtree(folder)


def _laid(folder: Path, lower: Path, installed: bool) -> Iterator[Guest]:
    over = folder / "over"
    root = folder / "root"
    for name in (over / "upper", over / "work", root):
        name.mkdir(parents=True)
    layers = f"lowerdir={lower},upperdir={over}/upper,workdir={over}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True, timeout=LIMIT_S)
    made = Guest(root, folder)
    try:
        if installed:
            made.install()
        yield made
    finally:
        made.end()
        subprocess.run(["umount", "-l", str(root)], check=True, timeout=LIMIT_S)


def until(holds: object, what: str, limit_s: float = LIMIT_S) -> None:
    """Polls until it holds; AssertionError after `limit_s`. After a second it polls less often: most polls start a
    command in the guest.
    """
    assert callable(holds)
    began_ns = SYSTEM.monotonic_ns()
    while not holds():
        waited_s = (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S
        assert waited_s < limit_s, f"not within {limit_s} s: {what}"
        SYSTEM.sleep(min(max(waited_s / 20, SOONEST_S), LATEST_S))


def skip_reason() -> str | None:
    """The reason why no guest is possible here."""
    if os.geteuid() != 0:
        return "only root can boot a systemd"
    if not Path("/usr/lib/systemd/systemd").exists():
        return "there is no systemd here"
    if "overlay" not in Path("/proc/filesystems").read_text() or "cgroup2" not in Path("/proc/filesystems").read_text():
        return "the kernel has no overlayfs or no cgroup2"
    return None
