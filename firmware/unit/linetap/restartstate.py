# SPDX-License-Identifier: Apache-2.0
"""What a recorder keeps in RAM for its successor. If that cannot be written, recording goes on, with a log entry.

The loss matters only after a restart; ending because of it would lose the calls of now.
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
    """Whether it is kept. What was kept before under that name is gone where it is not: it would be believed."""
    try:
        _replace(path, data)
    except OSError as error:
        if not _failed:
            log.error("not_kept: %s: %s; calls go on, and a restart would end them", path, error.strerror)
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
        path.unlink(missing_ok=True)  # both do not fit: the new one alone may
        replace_in_ram(path, data, private=True)


def forget(path: Path) -> None:
    """It is not needed any more."""
    _failed.pop(path, None)
    with contextlib.suppress(OSError):
        path.unlink()


def fault() -> str | None:
    """Why something is not kept now."""
    return next(iter(list(_failed.values())), None)
