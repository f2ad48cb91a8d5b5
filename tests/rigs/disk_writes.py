# SPDX-License-Identifier: Apache-2.0
"""Replaces the durable write, for a test that cuts the power or fills the disk during it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from linetap_core.durable import files

_REAL = files.replace_durably


def replace_durably_by(monkeypatch: pytest.MonkeyPatch, write: Callable[..., None], only: str = "linetap") -> None:
    """Replaces `replace_durably` by `write` in each loaded module below `only`. One loaded later has the real one."""
    for name, module in list(sys.modules.items()):
        if name.startswith(only) and getattr(module, "replace_durably", None) is _REAL:
            monkeypatch.setattr(module, "replace_durably", write)
