# SPDX-License-Identifier: Apache-2.0
"""Holds back an edit of unit.toml that weakens, if two people must sign that: the previous configuration stays in
force.

The recorder stores the previous one beside the file, once the roles name people who can sign (durable/copies.py). The
command `config` and an order signed by the authority change the stored one. Every service and tool therefore uses it,
in any order. A person's changes to the unit's wiring (HAND) count at once, and are shown as a weakening: the
replacement of a card that failed at night must not wait for two signatures.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from linetap.config.check import config_sha256, load_file
from linetap.config.schema import Config, Line
from linetap_core.durable import copies
from linetap_core.errors import BadInput

# The cards and the lines on them, the connection to the desk, the PBX's port, the storage of the unit's key.
HAND = ("site_number", "board", "card", "broker", "home_assistant")
HAND_OF_A_LINE = ("card", "channel")
HAND_OF_THE_KEYS = ("unit_key", "tpm", "boots", "release")
NAME, HOME = Path("/etc/linetap/unit.toml"), Path("/var/lib/linetap/config/unit.toml")  # systemd/README.md

log = logging.getLogger("linetap.config")


class HeldEdit(msgspec.Struct, frozen=True):
    """An edit held back; `config` is in force. `sha256`: of the edited one; empty if that is invalid. `codes` and
    `what` of each of its weakenings (config/weakening.py).
    """

    config: Config
    sha256: str
    found: list[tuple[str, str]]


def load_config(path: Path, folder: Path | None = None, raw: bytes | None = None) -> Config:
    """The configuration in force. Arguments and BadInput as in `load_file`."""
    held = weakening_edit(path, folder) if raw is None else None
    if held is None:
        return load_file(path, folder, raw)
    what = "; ".join(what for _, what in held.found)
    log.error(
        "config_held: %s: it weakens without two signatures, so the configuration before it stays in force: %s",
        path,
        what,
    )
    return held.config


def weakening_edit(path: Path, folder: Path | None = None) -> HeldEdit | None:
    """The configuration in force instead of an edit that weakens it; None: the file itself counts."""
    before = copies.binding(path)
    if before is None and path.absolute() == NAME:  # an editor may have replaced the link by a file
        before = copies.binding(path, HOME)
    if before is None:
        return None
    try:
        old = load_file(path, folder, before)
    except BadInput:
        return None  # the former configuration is unreadable for this version: judged like any other edit
    try:
        new = load_file(path, folder)
    except BadInput:
        return HeldEdit(old, "", [("file_unusable", f"{path.name}: no service can use it")])
    from linetap.config.weakening import weakenings  # imported here, because capture does not need it at its start

    found = [(each.code, each.what) for each in weakenings(old, _without_wiring_changes(old, new))]
    return HeldEdit(old, config_sha256(new), found) if found else None


def _without_wiring_changes(old: Config, new: Config) -> Config:
    """The new configuration without the person's changes to the wiring."""
    was = {line.number: line for line in old.line}
    return msgspec.structs.replace(
        new,
        line=[_as_wired(was.get(line.number), line) for line in new.line],
        smdr=msgspec.structs.replace(new.smdr, port=old.smdr.port),
        keys=msgspec.structs.replace(new.keys, **{name: getattr(old.keys, name) for name in HAND_OF_THE_KEYS}),
        **{name: getattr(old, name) for name in HAND},
    )


def _as_wired(old: Line | None, new: Line) -> Line:
    if old is None:
        return new
    return msgspec.structs.replace(new, **{name: getattr(old, name) for name in HAND_OF_A_LINE})
