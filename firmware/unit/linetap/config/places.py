# SPDX-License-Identifier: Apache-2.0
"""Where root may write for a configuration that somebody else can replace."""

from __future__ import annotations

import os
from pathlib import Path

from linetap.config.schema import LEARNED, RUN_DIR, VAULT, Config
from linetap_core.errors import BadInput

HOME = Path("/etc/linetap")
NOTICES, UNIT_KEY, TLS_KEY, TLS_CERTIFICATE = "notices", "unit.key", "tls.key", "tls.pem"  # below it


def require_usual_places(config: Config, file: Path) -> None:
    """BadInput where root would write at a place that a service has named: vault, run_dir or learned."""
    for key, usual in (("vault", VAULT), ("run_dir", RUN_DIR), ("learned", LEARNED)):
        require_usual_place(file, key, Path(getattr(config, key)), Path(usual))


def require_usual_place(file: Path, key: str, place: Path, usual: Path) -> None:
    """BadInput where `file`, of which somebody else can make another, has root write at another `place` than usual.

    What a signed command may replace lies in a folder of the recorder's: taken over, that could have root make folders
    and files anywhere. A configuration that only root can write may name other places.
    """
    if place != usual and _is_anothers(file):
        raise BadInput(f"{file}: {key} is {place}; {usual} would be right, or a file that is root's")


def _is_anothers(file: Path) -> bool:
    place = file.resolve()
    return os.geteuid() == 0 and place.exists() and {place.stat().st_uid, place.parent.stat().st_uid} != {0}
