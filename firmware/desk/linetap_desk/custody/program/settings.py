# SPDX-License-Identifier: Apache-2.0
"""The settings of the program's person: the desk's address and the paths of files. They contain no key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.rundir import read_small

NAME = "program.json"  # in the desk's folder
MOST_FILES = 20
_LIMIT_BYTES = 64 << 10

Text = Annotated[str, Meta(max_length=1000)]
Paths = Annotated[list[Text], Meta(max_length=MOST_FILES)]


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The settings. Paths as text; empty if not chosen."""

    desk: Text = ""  # https://desk.city.example:8443
    ca: Text = ""
    tsa: Text = ""  # the certificate of the time-stamp authority: bundles are checked with it
    name: Text = ""  # the person's name, as in the roles file
    signing: Text = ""  # the person's SSH key: approvals, holds
    identities: Paths = msgspec.field(default_factory=list)  # age identities: an epoch's, a custodian's, a one-time key
    index: Paths = msgspec.field(default_factory=list)  # index keys, or folders of them
    table: Text = ""  # lines.csv
    keylist: Text = ""  # the authority's list of keys
    output: Text = ""  # the folder of new files
    medium: Text = ""  # for new private keys of days
    vaults: Text = ""  # copies of the units' vaults, before a day's key is destroyed
    pki: Text = ""  # the folder of the certificates' authority
    holds: Text = ""  # re-wrapped keys of holds
    language: Text = "ko"

    def path(self, what: str) -> Path | None:
        found: str = getattr(self, what)
        return Path(found) if found else None


def load(folder: Path) -> Settings:
    """Reads the settings. BadInput for a damaged file, which a person must remove."""
    path = folder / NAME
    if not path.exists():
        return Settings()
    try:
        return jsontext.decode(read_small(path, _LIMIT_BYTES), type=Settings)
    except ValueError as error:
        raise BadInput(f"{path}: {error}; without it the program begins with empty settings") from None


def require_fit(settings: Settings) -> None:
    """BadInput for settings that `load` would refuse."""
    try:
        msgspec.convert(msgspec.to_builtins(settings), Settings)
    except msgspec.ValidationError as error:
        raise BadInput(f"{NAME}: {error}") from None


def save(folder: Path, settings: Settings) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    privatefile.replace(folder / NAME, jsontext.line(settings).encode("utf-8"))
