# SPDX-License-Identifier: Apache-2.0
"""State in RAM for a service's next start. Where it cannot be written, the service goes on and logs that.

Its loss matters only after a restart; ending because of it would lose the calls of now.
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
    """Writes the state; whether that succeeded.

    After a failure the old state is removed: it would be taken for current.
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
        path.unlink(missing_ok=True)  # the new one alone may fit
        replace_in_ram(path, data, private=True)


def forget(path: Path) -> None:
    """Removes state that is not needed any more."""
    _failed.pop(path, None)
    with contextlib.suppress(OSError):
        path.unlink()


def fault() -> str | None:
    """Why some state is not kept now; None: all is kept."""
    return next(iter(list(_failed.values())), None)
