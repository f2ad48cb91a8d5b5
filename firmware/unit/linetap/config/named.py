# SPDX-License-Identifier: Apache-2.0
"""Lines and cards that a person names: in the configuration, or one line that says which are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from linetap.config.schema import Config
from linetap_core.errors import BadInput


def require_card(config: Config, file: Path, card: int) -> None:
    """BadInput if it is not there."""
    if card not in [each.number for each in config.card]:
        raise BadInput(f"{file}: there is no card {card}; --card names one that is there")


def require_lines(config: Config, file: Path, lines: Iterable[int]) -> None:
    """BadInput names the first that is not there, and all that are."""
    known = sorted(line.number for line in config.line)
    if unknown := set(lines) - set(known):
        raise BadInput(f"{file}: there is no line {min(unknown)}; there are {', '.join(map(str, known))}")
