# SPDX-License-Identifier: Apache-2.0
"""An edited unit.toml that weakens does not count if two have to sign that: the configuration before it stays in force.

The recorder stores that one beside the file, once the roles name people who can sign (durable/copies.py); the command
`config` changes it, and so does an order signed by the authority. So every service and tool uses it, in any order. A
person's changes to the unit's wiring (HAND) count at once, and are shown as a weakening: a card that failed at night
must not wait for two signatures.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from linetap.config.check import config_sha256, load_file
from linetap.config.schema import Config, Line
from linetap_core.durable import copies
from linetap_core.errors import BadInput

# The cards and the lines' places on them, the connection to the desk, the PBX's port, the place of the unit's key.
HAND = ("site_number", "board", "card", "broker", "home_assistant")
HAND_OF_A_LINE = ("card", "channel")
HAND_OF_THE_KEYS = ("unit_key", "tpm", "boots", "release")
NAME, HOME = Path("/etc/linetap/unit.toml"), Path("/var/lib/linetap/config/unit.toml")  # systemd/README.md

log = logging.getLogger("linetap.config")


class Held(msgspec.Struct, frozen=True):
    """`config` is in force. `sha256`: of the edited one; empty if that is invalid. `codes` and `what` of each weakening
    in it (config/weakening.py).
    """

    config: Config
    sha256: str
    found: list[tuple[str, str]]


def load_config(path: Path, folder: Path | None = None, raw: bytes | None = None) -> Config:
    """Returns the configuration in force. Arguments and BadInput as of `load_file`."""
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


def weakening_edit(path: Path, folder: Path | None = None) -> Held | None:
    """Returns the configuration in force in place of an edit that weakens it; None: the file itself counts."""
    before = copies.binding(path)
    if before is None and path.absolute() == NAME:  # an editor may have replaced the link by a file
        before = copies.binding(path, HOME)
    if before is None:
        return None
    try:
        old = load_file(path, folder, before)
    except BadInput:
        return None  # this version cannot read the former configuration: judged as any other edit
    try:
        new = load_file(path, folder)
    except BadInput:
        return Held(old, "", [("file_unusable", f"{path.name}: no service can use it")])
    from linetap.config.weakening import weakenings  # imported here: capture starts without it

    found = [(each.code, each.what) for each in weakenings(old, _without_wiring_changes(old, new))]
    return Held(old, config_sha256(new), found) if found else None


def _without_wiring_changes(old: Config, new: Config) -> Config:
    """Returns the new configuration with the person's wiring changes undone."""
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
