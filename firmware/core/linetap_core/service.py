# SPDX-License-Identifier: Apache-2.0
"""The common base of the four services: one instance, one state file, one way to stop, one log."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Self

import msgspec

from linetap_core import __version__, rundir, system
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.durable import broken, smallfile
from linetap_core.durable.files import replace_in_ram
from linetap_core.durable.smallfile import Broken, SmallFile
from linetap_core.errors import AlreadyRunning
from linetap_core.log import handler_for
from linetap_core.records import ServiceState
from linetap_core.watchdog import Supervisor

STATE_EVERY_MS = 250
START_AGAIN = 75  # exit status (EX_TEMPFAIL): the configuration was replaced; the supervisor restarts the service
DEAD_AFTER_MS = 1500
AGAIN_AFTER_MS = 10_000  # the shortest time between two restarts; further requests of the recorder wait
RECORDER = "recorder"  # the only service that may request restarts
_RENEWED = "renewed"  # no .json, because it is no state file
_TAKES_NOTHING = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.ENOENT,
    errno.EACCES,
    errno.ENOTDIR,
    errno.EEXIST,
)  # of a folder
STATE_KIND = "state"
_GONE = b"-"  # SetCredential= of systemd/linetap-recorder.service and of the reporter's
_MOST_BYTES = 1 << 20  # most bytes of a state: 128 lines have 40 kB

log = logging.getLogger("linetap.service")


class Stop:
    """A flag set by SIGTERM and SIGINT, which the main loop reads. A second signal ends the process at once."""

    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(number, signal.SIG_DFL)


class InstanceLock:
    """A lock for the life of the process; the kernel releases it at every kind of end.

    `folder`: only this service may open it (`rundir.private_folder`); otherwise another process could hold the lock.
    """

    def __init__(self, folder: Path, name: str, optional: bool = False) -> None:
        """`optional`: without a writable folder the service runs without a lock."""
        self._optional = optional
        self._path = folder / f"{name}.lock"
        self._name = name
        self._file: io.TextIOWrapper | None = None

    def __enter__(self) -> Self:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | system.NOFOLLOW | system.NONBLOCK | system.CLOEXEC
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(os.open(self._path, flags, 0o600), "a+")
        except OSError as error:
            if not self._optional or error.errno not in _TAKES_NOTHING:
                raise
            log.error("not_locked: %s: %s; a second %s would not be noticed", self._path, error.strerror, self._name)
            return self
        try:
            system.lock(self._file.fileno())
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise AlreadyRunning(f"{self._path}: {self._name} is already running, held by {holder}") from None
        with contextlib.suppress(OSError):  # a full folder does not prevent the lock
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), f"pid {os.getpid()}".encode())
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def lock_of(run_dir: Path, service: str) -> InstanceLock:
    """The lock of one of the four services; optional, so that none of them ends because its folder is full."""
    return InstanceLock(rundir.make_private_folder(run_dir, service), service, optional=True)


class _Renewed(msgspec.Struct):
    """The configuration was replaced at that time: these services restart if they began earlier."""

    at_ns: int  # monotonic
    services: list[str]


_RENEWAL = SmallFile("renewed", _Renewed)


class StateFile:
    """A state file, replaced whole, so that a reader never sees half of it.

    `outdated`: the configuration was replaced since the service began, and it should end with START_AGAIN. `ending`:
    the service ends on request; usually it starts again, after an upgrade or for the PBX's cable. `unwritten`: why the
    last state could not be written. That ends no service: the others find the state too old and the folder unwritable
    (checks/services.py), and systemd is notified separately.
    """

    def __init__(self, run_dir: Path, name: str, clock: Clock) -> None:
        self._path = rundir.service_folder(run_dir, name) / f"{name}.json"
        self._run_dir, self._name = run_dir, name
        self._clock = clock
        self._due_ns = 0
        self._supervisor = Supervisor()
        self._began_ns = clock.monotonic_ns()
        self.outdated = self.ending = False
        self.unwritten: str | None = None

    def write(self, state: ServiceState, idle: bool = False, despite_fault: bool = False, stands: bool = False) -> None:
        """Writes the state. `idle`: there is no work, so that standing progress is no fault; `despite_fault`: the
        service works although its state has a fault; `stands`: one of its threads hangs.
        """
        state.mono_ns = self._clock.monotonic_ns()
        if (renewed := _renewed(self._run_dir)) is not None:
            self.outdated = self._name in renewed.services and self._counts(renewed.at_ns, state.mono_ns)
        state.broken_files = broken.names()
        state.leaving = self.outdated or self.ending  # readers must not count the restart as a failure
        self._replace(smallfile.wrap(STATE_KIND, msgspec.json.encode(state) + b"\n"))
        self._supervisor.notify(state, idle, despite_fault, stands)
        self._due_ns = state.mono_ns + STATE_EVERY_MS * NS_PER_MS

    def _counts(self, at_ns: int, now_ns: int) -> bool:
        """Whether the configuration was replaced since this service began. A future time is ignored: a compromised
        recorder could otherwise restart all services for ever.
        """
        patience_ms = 0 if self._name == RECORDER else AGAIN_AFTER_MS
        return self._began_ns < at_ns <= now_ns and now_ns - self._began_ns >= patience_ms * NS_PER_MS

    def _replace(self, data: bytes) -> None:
        try:
            rundir.make_service_folder(self._run_dir, self._name)
            replace_in_ram(self._path, data)
        except OSError as error:
            why = error.strerror or str(error)
            if why != self.unwritten:
                log.error("state_unwritten: %s: %s; the service works on", self._path, why)
            self.unwritten = why
            return
        if self.unwritten is not None:
            log.info("state_written: %s: again", self._path)
        self.unwritten = None

    def due(self) -> bool:
        return self._clock.monotonic_ns() >= self._due_ns


def ask_to_start_again(run_dir: Path, clock: Clock, services: list[str]) -> None:
    """Requests the restart of these services if they have begun by now; each restarts at its next state. Only the
    recorder may call it.
    """
    place = rundir.make_service_folder(run_dir, RECORDER) / _RENEWED
    _RENEWAL.replace_in_ram(place, _Renewed(clock.monotonic_ns(), services))


def _renewed(run_dir: Path) -> _Renewed | None:
    """The last request to restart; None without one, as usual."""
    folder = rundir.service_folder(run_dir, RECORDER)
    try:
        return _RENEWAL.decode(rundir.read(folder, _RENEWED, _MOST_BYTES))
    except Broken as error:
        broken.report(folder / _RENEWED, error)
    except OSError:
        pass
    return None


def read_state[S: ServiceState](run_dir: Path, name: str, kind: type[S]) -> S | None:
    """The last state written by a service; None if it is missing or unreadable."""
    try:
        found = rundir.read(rundir.service_folder(run_dir, name), f"{name}.json", _MOST_BYTES)
        return SmallFile(STATE_KIND, kind).decode(found)
    except Broken as error:
        broken.report(rundir.service_folder(run_dir, name) / f"{name}.json", error)
    except OSError:
        pass
    return None


def stamp(path: Path | str) -> tuple[int, int] | None:
    """Inode and modification time of a file or a link's target; None if it is missing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


class StateReader[S: ServiceState]:
    """Like `read_state`, for readers that poll: the file is decoded only when it has changed."""

    def __init__(self, run_dir: Path, name: str, kind: type[S]) -> None:
        self._run_dir, self._name, self._kind = run_dir, name, kind
        self._path = str(rundir.service_folder(run_dir, name) / f"{name}.json")
        self._seen: tuple[int, int] | None = None
        self._state: S | None = None

    def read(self) -> S | None:
        """The state, which the caller must not change: later calls return the same object."""
        seen = rundir.stamp(self._path)
        if seen is None:
            return None
        if seen != self._seen:
            self._state, self._seen = read_state(self._run_dir, self._name, self._kind), seen
        return self._state


def alive(state: ServiceState | None, clock: Clock) -> bool:
    """Whether a service has written its state recently, with or without a fault."""
    return state is not None and clock.monotonic_ns() - state.mono_ns < DEAD_AFTER_MS * NS_PER_MS


def credential(path: Path) -> Path:
    """The path of a secret: systemd's copy for this service (LoadCredential=) if there is one of that name. The unit
    files' placeholder for a missing one (SetCredential=) does not count.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    loaded = Path(folder) / path.name if folder else path
    with contextlib.suppress(OSError), loaded.open("rb") as file:
        if file.read(2) != _GONE:
            return loaded
    return path


def start_logging(service: str) -> logging.Logger:
    """Logs version and pid of a service; returns its logger."""
    root = logging.getLogger("linetap")
    root.handlers = [handler_for(service)]
    root.setLevel(logging.INFO)
    logger = root.getChild(service)
    logger.info("%s %s, pid %d", service, __version__, os.getpid())
    return logger


def try_realtime(priority: int) -> bool:
    """Sets SCHED_FIFO if the limits allow it. Otherwise returns False; the caller reports that and continues."""
    if sys.platform == "win32":
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return False
    return True


def remove_quietly(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
