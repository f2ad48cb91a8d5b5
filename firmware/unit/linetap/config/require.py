# SPDX-License-Identifier: Apache-2.0
"""Requirements of a command on a configuration: known lines and cards, and the usual paths for root's writes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from linetap.config.schema import LEARNED, RUN_DIR, VAULT, Config
from linetap_core.errors import BadInput


def require_card(config: Config, file: Path, card: int) -> None:
    """Raises BadInput if the configuration has no such card."""
    if card not in [each.number for each in config.card]:
        raise BadInput(f"{file}: there is no card {card}; --card names one that is there")


def require_lines(config: Config, file: Path, lines: Iterable[int]) -> None:
    """Raises BadInput with the first unknown line and all known ones."""
    known = sorted(line.number for line in config.line)
    if unknown := set(lines) - set(known):
        raise BadInput(f"{file}: there is no line {min(unknown)}; there are {', '.join(map(str, known))}")


# --- Paths that root writes -------------------------------------------------------------------------------------------


HOME = Path("/etc/linetap")
NOTICES, UNIT_KEY, TLS_KEY, TLS_CERTIFICATE = "notices", "unit.key", "tls.key", "tls.pem"  # below it


def require_usual_places(config: Config, file: Path) -> None:
    """Raises BadInput if root would write to a path chosen by a service: vault, run_dir or learned."""
    for key, usual in (("vault", VAULT), ("run_dir", RUN_DIR), ("learned", LEARNED)):
        require_usual_place(file, key, Path(getattr(config, key)), Path(usual))


def require_usual_place(file: Path, key: str, place: Path, usual: Path) -> None:
    """Raises BadInput if `file`, which another user can replace, has root write to a `place` other than `usual`.

    A signed command replaces the configuration in a folder of the recorder. A compromised recorder could use it to make
    root create folders and files anywhere. A configuration that only root can write may name other paths.
    """
    if place != usual and _is_owned_by_another(file):
        raise BadInput(f"{file}: {key} is {place}; {usual} expected, or a file that is root's")


def _is_owned_by_another(file: Path) -> bool:
    place = file.resolve()
    return os.geteuid() == 0 and place.exists() and {place.stat().st_uid, place.parent.stat().st_uid} != {0}
