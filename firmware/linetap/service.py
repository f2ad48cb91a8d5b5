# SPDX-License-Identifier: Apache-2.0
"""What all four services have in common: one instance, one state file, one way to stop, one log."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
from pathlib import Path
from types import FrameType
from typing import Self

import msgspec

from linetap import __version__
from linetap.clock import NS_PER_MS, Clock
from linetap.errors import AlreadyRunning
from linetap.log import handler_for
from linetap.records import ServiceState
from linetap.supervisor import Supervisor

STATE_EVERY_MS = 250
START_AGAIN = 75  # exit status (EX_TEMPFAIL): the configuration is another one now, whoever supervises starts it anew
DEAD_AFTER_MS = 1500
_RENEWED = "renewed"  # no .json: nobody's state
_MOST_BYTES = 1 << 20  # of a state: 128 lines have 40 kB


class Stop:
    """Set by SIGTERM and SIGINT; the loop asks it. A second signal ends the process the ordinary way."""

    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(number, signal.SIG_DFL)


class InstanceLock:
    """Held for the life of the process; the kernel drops it, however the process dies."""

    def __init__(self, run_dir: Path, name: str) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._path = run_dir / f"{name}.lock"
        self._name = name

    def __enter__(self) -> Self:
        self._file = self._path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise AlreadyRunning(f"{self._path}: {self._name} is already running, held by {holder}") from None
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()}")
        self._file.flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class _Renewed(msgspec.Struct):
    """The configuration was replaced then: these services start again, if they began before."""

    at_ns: int  # monotonic
    services: list[str]


class StateFile:
    """Rewritten whole and atomically, so that a reader never sees half of one.

    `outdated`: the service runs with a configuration that was replaced since, and should end with START_AGAIN.
    """

    def __init__(self, run_dir: Path, name: str, clock: Clock) -> None:
        self._path = run_dir / f"{name}.json"
        self._renewed, self._name = f"{run_dir}/{_RENEWED}", name
        self._clock = clock
        self._due_ns = 0
        self._supervisor = Supervisor()
        self._began_ns = clock.monotonic_ns()
        self.outdated = False

    def write(self, state: ServiceState, idle: bool = False, in_spite: bool = False, stands: bool = False) -> None:
        """`idle`: there is no work, so that no progress is no fault; `in_spite` of the fault it tells it works;
        `stands`: one of its threads does not get on."""
        state.mono_ns = self._clock.monotonic_ns()
        with contextlib.suppress(OSError, msgspec.MsgspecError):  # there is none, as a rule
            renewed = msgspec.json.decode(_read(self._renewed), type=_Renewed)
            self.outdated = self._name in renewed.services and renewed.at_ns > self._began_ns
        state.leaving = self.outdated  # whoever reads it now does not take the pause for a death
        write_atomically(self._path, msgspec.json.encode(state))
        self._supervisor.tell(state, idle, in_spite, stands)
        self._due_ns = state.mono_ns + STATE_EVERY_MS * NS_PER_MS

    def due(self) -> bool:
        return self._clock.monotonic_ns() >= self._due_ns


def ask_to_start_again(run_dir: Path, clock: Clock, services: list[str]) -> None:
    """Those of them that have begun by now; each does it when it next writes its state."""
    write_atomically(run_dir / _RENEWED, msgspec.json.encode(_Renewed(clock.monotonic_ns(), services)))


def read_state[S: ServiceState](run_dir: Path, name: str, kind: type[S]) -> S | None:
    """The last state a service wrote, or None where there is none that can be read."""
    try:
        return msgspec.json.decode(_read(f"{run_dir}/{name}.json"), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _read(path: str) -> bytes:
    """A small file of tmpfs. Not by Path and open(): every service does this ten times a second and more, and three
    quarters of the time would be theirs."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, min(os.fstat(fd).st_size, _MOST_BYTES))
    finally:
        os.close(fd)


def stamp(path: Path | str) -> tuple[int, int] | None:
    """Inode and time: another one after each writing, since each is a file of its own. None: it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


class StateReader[S: ServiceState]:
    """The same, for whoever looks more often than it is written: the file is read where it is another than before."""

    def __init__(self, run_dir: Path, name: str, kind: type[S]) -> None:
        self._run_dir, self._name, self._kind = run_dir, name, kind
        self._path = str(run_dir / f"{name}.json")
        self._seen: tuple[int, int] | None = None
        self._state: S | None = None

    def read(self) -> S | None:
        """Not to be changed: it is given out again."""
        seen = stamp(self._path)
        if seen is None:
            return None
        if seen != self._seen:
            self._state, self._seen = read_state(self._run_dir, self._name, self._kind), seen
        return self._state


def alive(state: ServiceState | None, clock: Clock) -> bool:
    """Whether a service has written its state lately; a fault in it is another question."""
    return state is not None and clock.monotonic_ns() - state.mono_ns < DEAD_AFTER_MS * NS_PER_MS


def write_atomically(path: Path, data: bytes, private: bool = False) -> None:
    """For tmpfs: a rename without fsync. What must survive a power cut goes through the vault.

    `private`: for this service alone; the others' umask lets linetap's group read.
    """
    fresh = f"{path.parent}/.{path.name}.new"
    if private:
        Path(fresh).touch(0o600)
    with open(fresh, "wb") as file:
        file.write(data)
    os.rename(fresh, path)


def credential(path: Path) -> Path:
    """A secret's file: systemd's copy for this service alone (LoadCredential=), where there is one of that name."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    loaded = Path(folder) / path.name if folder else path
    return loaded if loaded.exists() else path


def start_logging(service: str) -> logging.Logger:
    """The logger of a service, which has said its version and pid."""
    root = logging.getLogger("linetap")
    root.handlers = [handler_for(service)]
    root.setLevel(logging.INFO)
    logger = root.getChild(service)
    logger.info("%s %s, pid %d", service, __version__, os.getpid())
    return logger


def try_realtime(priority: int) -> bool:
    """SCHED_FIFO where the limits allow it. False where not: the caller says so, and goes on."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return False
    return True


def remove_quietly(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
