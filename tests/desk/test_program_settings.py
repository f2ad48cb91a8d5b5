# SPDX-License-Identifier: Apache-2.0
"""The program's settings: values that its next start would refuse are refused at input."""

from __future__ import annotations

from pathlib import Path

import pytest

from linetap_core.errors import BadInput
from linetap_desk.custody.program import settings
from linetap_desk.custody.program.settings import Settings


def test_what_is_too_long_is_refused_before_it_is_kept(tmp_path: Path) -> None:
    fits, too_long = Settings(name="가" * 1000), Settings(name="가" * 1001)
    settings.require_fit(fits)
    settings.save(tmp_path / "desk", fits)
    assert settings.load(tmp_path / "desk") == fits
    with pytest.raises(BadInput, match="name"):
        settings.require_fit(too_long)
    settings.save(tmp_path / "other", too_long)
    with pytest.raises(BadInput, match="empty settings"):
        settings.load(tmp_path / "other")
