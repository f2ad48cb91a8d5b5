# SPDX-License-Identifier: Apache-2.0
"""Where root may write for a configuration that somebody else can replace."""

from __future__ import annotations

import os
from pathlib import Path

from linetap.config.schema import LEARNED, RUN_DIR, VAULT, Config
from linetap.errors import BadInput


def require_usual_places(config: Config, file: Path) -> None:
    """BadInput where root would write at a place that a service has named.

    What a signed command may replace lies in a folder of the recorder's: taken over, that could have root make folders
    and files anywhere. A configuration that only root can write may name other places.
    """
    place = file.resolve()
    if os.geteuid() != 0 or not place.exists() or {place.stat().st_uid, place.parent.stat().st_uid} == {0}:
        return
    for key, usual in (("vault", VAULT), ("run_dir", RUN_DIR), ("learned", LEARNED)):
        if getattr(config, key) != usual:
            raise BadInput(f"{file}: {key} is {getattr(config, key)}; {usual} would be right, or a file that is root's")
