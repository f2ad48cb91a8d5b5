# SPDX-License-Identifier: Apache-2.0
"""The form of a unit's name, and the reserved names that no unit may have: a unit signs under its name, and its topics
and folders contain it.
"""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

NAME = r"[a-z0-9][a-z0-9-]{1,39}"  # part of other patterns
UnitId = Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
_NAME = re.compile(NAME)

# Other signers in a signers' file and a list of roles.
OFFICES = frozenset(
    {"witness", "authority", "vault", "custodian", "operator", "desk", "officer", "roles", "release", "versions"}
)
# Names beside a unit's files in vaults, stores, bundles and proofs.
_FOLDERS = frozenset(
    {"index", "log", "logs", "holds", "outbox", "journal", "walks", "smdr", "faults", "keys", "heads", "stamps"}
    | {"calls", "opened", "sigsum", "certificates", "signers", "closings", "copies", "ballast", "run", "commands"}
)
_TOPICS = frozenset({"linetap", "status", "line", "call", "health", "alert", "cmd", "reply", "broker"})
_DEVICES = re.compile(r"con|prn|aux|nul|com\d|lpt\d")  # folders that Windows cannot create
_YEAR = re.compile(r"(19|20)\d\d")  # a vault's folder of a year


def is_name(text: str) -> bool:
    """Whether the text has the form of a unit's name, reserved or not."""
    return _NAME.fullmatch(text) is not None


def is_reserved(name: str) -> bool:
    """Whether the name is reserved, in upper or lower case."""
    folded = name.casefold()
    taken = folded in OFFICES or folded in _FOLDERS or folded in _TOPICS
    return taken or bool(_DEVICES.fullmatch(folded) or _YEAR.fullmatch(folded)) or folded.strip(".") == ""


def reserved_message(name: str) -> str:
    """The message for a reserved name."""
    return f"{name!r} is reserved: no unit may have it, floor-03 expected"
