# SPDX-License-Identifier: Apache-2.0
"""The connection to a TPM: /dev/tpmrm0, or the socket of a software TPM. Sends command bytes, returns the answer's."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from linetap_core.errors import DeviceFault

DEVICE = "/dev/tpmrm0"  # the kernel's resource manager, which flushes objects left by a process
ANSWER_S = 4.0  # for one command; a chip signs in a fraction of a second
_ANSWER_BYTES = 4096  # TPM 2.0 part 2, 6.10: no implementation in use sends longer answers


class TpmFault(DeviceFault):
    """The TPM is absent, does not answer, or refuses."""


class Transport(Protocol):
    alone: bool  # this TPM is not shared and has no resource manager

    def exchange(self, command: bytes) -> bytes: ...

    def close(self) -> None: ...


def open_device(path: Path) -> Transport:
    """Opens a TPM. TpmFault, in one line, if there is none."""
    try:
        return _Socket(path) if stat.S_ISSOCK(path.stat().st_mode) else _Character(path)
    except OSError as error:
        text = f"{path}: {error.strerror}; the TPM that the unit's key was made in expected"
        raise TpmFault("tpm_absent", text) from None


class _Way:
    """A connection, not used again after a failure: the next answer could belong to an earlier command."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False

    def exchange(self, command: bytes) -> bytes:
        if self._failed:
            raise self._silent("has not answered before")
        try:
            return self._exchange(command)
        except OSError as error:
            self._failed = True
            raise error if isinstance(error, TpmFault) else self._silent(error.strerror or str(error)) from None

    def _exchange(self, command: bytes) -> bytes:
        raise NotImplementedError

    def _silent(self, why: str) -> TpmFault:
        return TpmFault("tpm_silent", f"{self._path}: the TPM does not answer: {why}")


class _Character(_Way):
    alone = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._fd = -1
        # Without O_NONBLOCK, write() blocks until the command is done.
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        if not stat.S_ISCHR(os.fstat(self._fd).st_mode):  # the first command would overwrite a file
            raise OSError(errno.ENODEV, "not a device of a TPM")

    def _exchange(self, command: bytes) -> bytes:
        if os.write(self._fd, command) != len(command):
            raise self._silent("it took less than a command")
        if not select.select([self._fd], [], [], ANSWER_S)[0]:
            raise self._silent(f"nothing for {ANSWER_S:.0f} s")
        return os.read(self._fd, _ANSWER_BYTES)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    __del__ = close


class _Socket(_Way):
    """A socket. The answer may arrive in pieces; its header has its length."""

    alone = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(ANSWER_S)
        _close_on_error(self._socket, lambda: self._socket.connect(str(path)))

    def _exchange(self, command: bytes) -> bytes:
        self._socket.sendall(command)
        answer = self._receive(10)
        return answer + self._receive(min(int.from_bytes(answer[2:6], "big"), _ANSWER_BYTES) - 10)

    def _receive(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self._socket.recv(count - len(found))
            if not piece:
                raise self._silent("it hung up")
            found += piece
        return found

    def close(self) -> None:
        self._socket.close()

    __del__ = close


def _close_on_error(thing: socket.socket, act: Callable[[], None]) -> None:
    try:
        act()
    except OSError:
        thing.close()
        raise
