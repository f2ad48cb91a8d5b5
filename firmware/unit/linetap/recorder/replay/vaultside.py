# SPDX-License-Identifier: Apache-2.0
"""The replay's access to its vault, which runs in a separate process, and the audio common to both processes.

In operation, the vault's thread waits for a disk while the main thread follows the lines. In a replay neither waits,
and two threads of one Python process would run in turns (decision 0044).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from linetap.config import Config
from linetap.recorder.calls.ports import CallSnapshot, Stretches
from linetap.ring import I16
from linetap_core.errors import BadInput
from linetap_core.records import CallEvent, CallRecord

ENOUGH = 100  # jobs sent at once: waking the other process costs more than sending
DISK_S = 300.0  # for the writes left at the end
Call = tuple[str, tuple[object, ...]]  # a method of the writer, and its arguments


class SharedAudio:
    """The lines' audio in unnamed RAM, freed with its last process. `fd`: for the other process, until `close`."""

    def __init__(self) -> None:
        self.fd, self.frames = os.memfd_create("linetap-replay"), 0

    def room(self, lines: int, frames: int) -> I16:
        """Zeros, int16 (lines, frames)."""
        os.ftruncate(self.fd, lines * frames * 2)
        self.frames = frames
        return mapped(self.fd, lines, frames)

    def close(self) -> None:
        """Closes the descriptor; the array stays."""
        os.close(self.fd)


def mapped(fd: int, lines: int, frames: int) -> I16:
    """The audio that another process has allocated."""
    memory = mmap.mmap(fd, lines * frames * 2)  # lives as long as the array
    return np.frombuffer(memory, np.int16).reshape(lines, frames)


class Setup(NamedTuple):
    config: Config
    start_ns: int
    lines: list[int]  # their numbers, in the order of the audio
    frames: int


class Done(NamedTuple):
    records: list[CallRecord]
    failure: Exception | None


class VaultSide:
    """A VaultPort. `hand_over` sends its jobs to the other process; `finish` returns the sealed records in order."""

    def __init__(self, config: Config, audio: SharedAudio, lines: list[int], start_ns: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            fds = (theirs.fileno(), audio.fd)
            command = [sys.executable, "-m", "linetap.recorder.replay.vaultserver", *map(str, fds)]
            self._process = subprocess.Popen(command, pass_fds=fds)
        self._way: Connection[object, Done] = Connection(ours.detach())
        self._jobs: list[Call] = []
        self._way.send(Setup(config, start_ns, lines, audio.frames))

    def refused(self) -> str | None:
        return None

    def report(self, event: CallEvent) -> None:
        self._jobs.append(("report", (event,)))

    def snapshot(self, call_id: str, snapshot: CallSnapshot) -> None:
        """Does nothing: an interrupted replay is run again."""

    def open(self, call_id: str, line: int, first_frame: int) -> None:
        self._jobs.append(("open", (call_id, line, first_frame)))

    def permit(self, call_id: str, frame: int, withheld: Stretches = ()) -> None:
        self._jobs.append(("permit", (call_id, frame, withheld)))

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:
        self._jobs.append(("close", (call_id, end_frame, record, withheld)))

    def remember_fault(self, line: int, since_ns: int | None) -> None:
        self._jobs.append(("remember_fault", (line, since_ns)))

    def keep(self, place: str, content: bytes) -> None:
        self._jobs.append(("keep", (place, content)))

    def log_leaf(self, kind: str, at_ns: int, **fields: object) -> None:
        self._jobs.append(("log_leaf", (kind, at_ns, fields)))

    def hand_over(self) -> bool:
        """Sends the jobs once there are enough. False: the other process has ended; `finish` raises the cause."""
        if len(self._jobs) < ENOUGH:
            return True
        jobs, self._jobs = self._jobs, []
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._way.send(jobs)
            return not self._way.poll()
        return False

    def finish(self) -> list[CallRecord]:
        """The records, once all are sealed. Raises the error of the other process."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._way.send(self._jobs)
            self._way.send(None)
        try:
            done = self._way.recv()
        except (EOFError, ConnectionResetError):
            raise BadInput(f"the vault process of the replay ended with status {self._process.wait()}") from None
        if done.failure is not None:
            raise done.failure
        return done.records

    def end(self) -> None:
        """Ends the other process, by a kill if necessary."""
        self._way.close()
        try:
            self._process.wait(DISK_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
