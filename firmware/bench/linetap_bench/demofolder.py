# SPDX-License-Identifier: Apache-2.0
"""What both demos begin and end with: a folder of their own, and signals that lead to the cleaning."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from linetap_core.errors import BadInput

MARKER = ".linetap-demo"  # only a folder that a demo made is thrown away


def fresh(folder: Path) -> None:
    if folder.exists() and not (folder / MARKER).exists():
        raise BadInput(f"{folder}: exists and was not made by a demo; another --folder would be right")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end a demo as Ctrl-C does; a second one does not stop the cleaning."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
