# SPDX-License-Identifier: Apache-2.0
"""A file that people change while a service runs; it is read again after each change."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from linetap_core.errors import BadInput


class ReloadedFile[T]:
    def __init__(self, path: Path, load: Callable[[Path], T], log: logging.Logger, code: str) -> None:
        """BadInput from `load` for an unusable file. Later faults are logged once each, with `code`."""
        self.path, self._load, self._log, self._code = path, load, log, code
        self._stamp = self._stamp_now()
        self._content = load(path)

    def now(self) -> T:
        """The content. While the file is missing or damaged, the last valid content stays."""
        if (stamp := self._stamp_now()) != self._stamp:
            self._stamp = stamp
            try:
                self._content = self._load(self.path)
            except BadInput as error:
                self._log.error("%s: %s; the previous content stays in force", self._code, error)
        return self._content

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ctime_ns, found.st_size, found.st_ino  # changes with the mode too: readable now
