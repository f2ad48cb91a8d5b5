# SPDX-License-Identifier: Apache-2.0
"""SHA-256 as text: 64 lower-case hexadecimal digits, as `sha256sum` prints it."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

HEX = "[0-9a-f]{64}"
Sha256 = Annotated[str, Meta(pattern=rf"^{HEX}\Z")]
_HEX = re.compile(HEX)


def is_sha256(text: str) -> bool:
    return _HEX.fullmatch(text) is not None
