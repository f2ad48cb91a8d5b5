# SPDX-License-Identifier: Apache-2.0
"""Which version a machine runs."""

from __future__ import annotations

import re
from pathlib import Path

from linetap_core.wire.updates import PATTERN

RELEASE = Path("/usr/lib/linetap/release")  # VERSION=0.2.0, a line of the image's
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
