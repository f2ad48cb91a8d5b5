# SPDX-License-Identifier: Apache-2.0
"""Small files of /proc, /sys and /run. A file may be missing at any moment, and its driver may not answer."""

from __future__ import annotations

import re
from pathlib import Path

MOST_BYTES = 64 << 10


def bytes_of(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Returns the file's bytes; b"" if it is missing, or the driver does not answer."""
    try:
        with path.open("rb") as file:
            return file.read(most_bytes)
    except OSError:
        return b""


def text_of(path: Path, most_bytes: int = MOST_BYTES) -> str:
    return bytes_of(path, most_bytes).decode("utf-8", "replace")


def first_group(pattern: str, text: str) -> str:
    """Returns the match of the pattern's first group in the first matching line; "" without a match."""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""
