# SPDX-License-Identifier: Apache-2.0
"""Which version a machine runs, and which of two is the newer. Three numbers, as RAUC compares them too."""

from __future__ import annotations

import re
from pathlib import Path

RELEASE = Path("/usr/lib/linetap/release")  # VERSION=0.2.0, a line of the image's
PATTERN = r"^(0|[1-9][0-9]{0,4})(\.(0|[1-9][0-9]{0,4})){2}\Z"
_LIMIT_BYTES = 4096


def running() -> str | None:
    """None: this machine was not made from an image, and takes no update."""
    try:
        with RELEASE.open(encoding="ascii") as file:
            text = file.read(_LIMIT_BYTES)
    except (OSError, ValueError):
        return None
    found = re.search(r"^VERSION=(\S+)$", text, re.MULTILINE)
    return found[1] if found and re.search(PATTERN, found[1]) else None


def is_older(version: str, than: str) -> bool:
    """Both are of PATTERN."""
    return _numbers(version) < _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
