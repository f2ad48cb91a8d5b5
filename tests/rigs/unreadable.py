# SPDX-License-Identifier: Apache-2.0
"""A file of which the medium has lost a block: each read of it fails with EIO, under whatever name it has. Writing,
renaming and removing it go on. With `inode` it can be neither opened nor looked at, as where its inode was lost."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest


class Unreadable:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, inode: bool = False) -> None:
        found = path.stat()
        self._place = found.st_dev, found.st_ino
        self._held = os.open(path, os.O_RDONLY)  # so that no new file gets its inode
        self._fstat = os.fstat
        for module, name in ((os, "read"), (os, "pread")):
            monkeypatch.setattr(module, name, self._of_descriptor(getattr(os, name)))
        monkeypatch.setattr(io, "open", self._of_file(io.open))
        if inode:
            monkeypatch.setattr(os, "open", self._opened(os.open))
            monkeypatch.setattr(os, "stat", self._looked_at(os.stat))
            monkeypatch.setattr(os, "lstat", self._looked_at(os.lstat))

    def __del__(self) -> None:
        os.close(self._held)

    def _refuse(self, found: os.stat_result) -> None:
        if (found.st_dev, found.st_ino) == self._place:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _of_descriptor(self, real: Any) -> Any:
        def read(fd: int, *more: Any) -> Any:
            self._refuse(self._fstat(fd))
            return real(fd, *more)

        return read

    def _of_file(self, real: Any) -> Any:
        def opened(path: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            file = real(path, mode, *more, **named)
            if "r" in mode:
                try:
                    self._refuse(self._fstat(file.fileno()))
                except OSError:
                    file.close()
                    raise
            return file

        return opened

    def _opened(self, real: Any) -> Any:
        def opened(*more: Any, **named: Any) -> Any:
            fd = real(*more, **named)
            try:
                self._refuse(self._fstat(fd))
            except OSError:
                os.close(fd)
                raise
            return fd

        return opened

    def _looked_at(self, real: Any) -> Any:
        def look(*more: Any, **named: Any) -> Any:
            found = real(*more, **named)
            self._refuse(found)
            return found

        return look
