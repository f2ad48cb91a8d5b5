# SPDX-License-Identifier: Apache-2.0
"""Imports Unicorn from the folder in which `./build.sh test` installs it. It is outside .venv, as a GPL-2.0 tool of
tests alone.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from linetap_core.errors import Refusal

WHERE = Path(__file__).resolve().parent.parent.parent / "build" / "unicorn"


@cache
def unicorn() -> tuple[Any, Any]:
    """The module, and its ARM constants. Refusal if it is missing."""
    if not WHERE.exists():
        raise Refusal(f"{WHERE} is not there: ./build.sh test fetches Unicorn, in which the meter's part is emulated")
    if str(WHERE) not in sys.path:
        sys.path.append(str(WHERE))
    return import_module("unicorn"), import_module("unicorn.arm_const")
