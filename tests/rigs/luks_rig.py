# SPDX-License-Identifier: Apache-2.0
"""A LUKS2 header as rewritten by an attacker with the card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

METADATA_BYTES = 16 << 10  # of each of the two copies


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes both copies, with their checksums, which are not signed."""
    with path.open("r+b") as file:
        for at in (0, METADATA_BYTES):
            file.seek(at)
            data = bytearray(file.read(METADATA_BYTES))
            header = json.loads(data[4096:].split(b"\0", 1)[0])
            change(header)
            data[4096:] = json.dumps(header).encode().ljust(METADATA_BYTES - 4096, b"\0")
            data[448:512] = bytes(64)
            data[448:480] = hashlib.sha256(data).digest()
            file.seek(at)
            file.write(data)
