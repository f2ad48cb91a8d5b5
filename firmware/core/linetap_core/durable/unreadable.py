# SPDX-License-Identifier: Apache-2.0
"""Errors for files that the medium has lost. Any other OSError describes the moment, not the file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from linetap_core.errors import Refusal
from linetap_core.system import is_out_of_reach


class Unreadable(Refusal):
    """The medium has lost a file, or it is another user's."""

    code = "unreadable"


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns the errors of a file that is lost, or another user's, into Unreadable; other OSErrors stay. For readers
    only.
    """
    try:
        yield
    except OSError as error:
        if not is_out_of_reach(error):
            raise
        raise Unreadable(f"{path}: it cannot be read: {error.strerror}") from None


def is_missing(path: Path) -> bool:
    """Whether there is certainly no such file. A name that cannot be looked up is not missing."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        if not is_out_of_reach(error):
            raise
    return False
