# SPDX-License-Identifier: Apache-2.0
"""Names that no unit may have: a unit signs under its name, and names a topic and folders by it."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

NAME = r"[a-z0-9][a-z0-9-]{1,39}"  # a pattern, for others to be made of
UnitId = Annotated[str, Meta(pattern=rf"^{NAME}$")]
_NAME = re.compile(NAME)

# Who signs besides units, as a signers' file and a list of roles call them.
OFFICES = frozenset({"witness", "authority", "vault", "custodian", "operator", "desk", "officer", "roles", "release"})
# What lies beside a unit's files in vaults, stores, bundles and proofs.
_FOLDERS = frozenset(
    {"index", "log", "logs", "holds", "outbox", "journal", "walks", "smdr", "faults", "keys", "heads", "stamps"}
    | {"calls", "opened", "sigsum", "certificates", "signers", "closings", "copies", "ballast", "run", "commands"}
)
_TOPICS = frozenset({"linetap", "status", "line", "call", "health", "alert", "cmd", "reply", "broker"})
_DEVICES = re.compile(r"con|prn|aux|nul|com\d|lpt\d")  # folders that Windows does not make
_YEAR = re.compile(r"(19|20)\d\d")  # a vault's folder of a year


def is_name(text: str) -> bool:
    """Whether a unit could be called so; a reserved name could too."""
    return _NAME.fullmatch(text) is not None


def is_reserved(name: str) -> bool:
    """Whether it means somebody or something else already, in whatever case."""
    folded = name.casefold()
    taken = folded in OFFICES or folded in _FOLDERS or folded in _TOPICS
    return taken or bool(_DEVICES.fullmatch(folded) or _YEAR.fullmatch(folded)) or folded.strip(".") == ""


def complaint(name: str) -> str:
    """What is said of a reserved one, wherever somebody gives it to a unit."""
    return f"{name!r} is reserved: no unit may have it, floor-03 would be right"
