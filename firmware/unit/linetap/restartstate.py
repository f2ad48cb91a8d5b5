# SPDX-License-Identifier: Apache-2.0
"""A recorder's state in RAM for its successor. If it cannot be written, recording continues, with a log entry.

The loss matters only after a restart; ending because of it would lose the current calls.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from pathlib import Path

from linetap_core.durable.files import replace_in_ram

log = logging.getLogger("linetap.recorder")

_failed: dict[Path, str] = {}


def keep(path: Path, data: bytes) -> bool:
    """Stores the state; returns whether that succeeded. On failure removes the earlier content, which would be
    trusted.
    """
    try:
        _replace(path, data)
    except OSError as error:
        if not _failed:
            log.error("not_kept: %s: %s; calls continue, but a restart would end them", path, error.strerror)
        _failed[path] = error.strerror or str(error)
        with contextlib.suppress(OSError):
            path.unlink()
        return False
    if _failed.pop(path, None) is not None and not _failed:
        log.info("kept: %s: again", path)
    return True


def _replace(path: Path, data: bytes) -> None:
    try:
        replace_in_ram(path, data, private=True)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        path.unlink(missing_ok=True)  # the new content alone may fit
        replace_in_ram(path, data, private=True)


def forget(path: Path) -> None:
    """Removes a state that is no longer needed."""
    _failed.pop(path, None)
    with contextlib.suppress(OSError):
        path.unlink()


def fault() -> str | None:
    """The reason why the state cannot be stored at present; None if it can."""
    return next(iter(list(_failed.values())), None)
