# SPDX-License-Identifier: Apache-2.0
"""An edited unit.toml that weakens does not count where two have to sign that: what was in force before does.

The recorder keeps that beside the file, once it knows people who can sign (durable/keptcopy.py); the command `config`
changes it, and an order that the authority has signed. So every service and tool acts by it, whoever starts first.
What a person at the unit changes with its wires (HAND) counts at once, and is found and shown as a weakening: a card
that died at night is not to wait for two signatures.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from linetap.config.check import config_sha256, load_file
from linetap.config.schema import Config, Line
from linetap_core.durable import keptcopy
from linetap_core.errors import BadInput

# The cards and where a line is on them, the way to the desk, the PBX's port, where the unit's key is.
HAND = ("site_number", "board", "card", "broker", "home_assistant")
HAND_OF_A_LINE = ("card", "channel")
HAND_OF_THE_KEYS = ("unit_key", "tpm", "boots", "release")
NAME, HOME = Path("/etc/linetap/unit.toml"), Path("/var/lib/linetap/config/unit.toml")  # systemd/README.md

log = logging.getLogger("linetap.config")


class Held(msgspec.Struct, frozen=True):
    """`config` is in force. `sha256`: of the edited one; empty, where it is none. `codes` and `what` of each weakening
    that it would be (config/weakening.py)."""

    config: Config
    sha256: str
    found: list[tuple[str, str]]


def load_config(path: Path, folder: Path | None = None, raw: bytes | None = None) -> Config:
    """The configuration that is in force. Arguments and BadInput as of `load_file`."""
    held = look(path, folder) if raw is None else None
    if held is None:
        return load_file(path, folder, raw)
    what = "; ".join(what for _, what in held.found)
    log.error("config_held: %s: it weakens, two have not signed that, and what was in force counts: %s", path, what)
    return held.config


def look(path: Path, folder: Path | None = None) -> Held | None:
    """None: what lies there counts."""
    before = keptcopy.binding(path)
    if before is None and path.absolute() == NAME:  # an editor may have put a file in the place of the link
        before = keptcopy.binding(path, HOME)
    if before is None:
        return None
    try:
        old = load_file(path, folder, before)
    except BadInput:
        return None  # nor does this version know what was in force: it is found as any other edit
    try:
        new = load_file(path, folder)
    except BadInput:
        return Held(old, "", [("file_unusable", f"{path.name}: no service can use it")])
    from linetap.config.weakening import weakenings  # only here: capture starts without it

    found = [(each.code, each.what) for each in weakenings(old, _without_hand(old, new))]
    return Held(old, config_sha256(new), found) if found else None


def _without_hand(old: Config, new: Config) -> Config:
    """The new one, with what a person at the unit changes as it was."""
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
