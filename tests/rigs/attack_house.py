# SPDX-License-Identifier: Apache-2.0
"""A unit started from its file, with all its commanders' keys, for tests in which one of them attacks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import msgspec

import config_file
from keeping_rig import Keeper
from linetap.config import Config, config_sha256, load_config
from linetap.config.schema import Policy
from linetap.recorder.vault.weakening import weakened
from linetap_core.clock import NS_PER_S
from linetap_core.durable import copies
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document
from linetap_core.records import WeakeningState

HOUR = 3600 * NS_PER_S


class House(Keeper):
    """A unit started from a file, and everybody's keys. `privacy` and `legal` approve."""

    ROLES: ClassVar = {
        "vault": "vault", "vault2": "vault", "desk": "desk", "operator": "operator", "operator2": "operator",
        "privacy": "privacy", "legal": "legal", "custodian": "custodian",
    }  # fmt: skip

    def __init__(self, run_dir: Path, delay_h: int = 0) -> None:
        super().__init__(run_dir, run_dir)
        self.days: dict[str, list[Any]] = {}
        for name in self.ROLES:
            if not hasattr(self.people, name):
                setattr(self.people, name, keys.new_unit_key())
        self.config = msgspec.structs.replace(
            self.config,
            keys=msgspec.structs.replace(self.config.keys, key_list=str(run_dir / "keylist.json")),
            policy=Policy(weakening_delay_h=delay_h),
        )
        self.config_file = config_file.write(run_dir / "unit.toml", self.config)
        self.restart()
        self.roles_are(1, *self.ROLES)

    def roles_are(self, version: int, *names: str) -> None:
        people = [Person(f"the {name}", self.ROLES[name], keys.public_line(self.people.of(name).public_key()))
                  for name in names]  # fmt: skip
        text = document.encode(Roles(version, people, []))
        assert self.command(self.signed("roles", "authority", text, "linetap-roles")).done

    def restart(self, boot: bool = False, off_ns: int = 0) -> None:
        assert self.config_file is not None
        self.config = load_config(self.config_file)
        super().restart(boot, off_ns)

    @property
    def file(self) -> Path:
        assert self.config_file is not None
        return self.config_file

    def with_(self, part: str, **changes: Any) -> Config:
        if part == "line":
            first, *others = self.config.line
            return msgspec.structs.replace(self.config, line=[msgspec.structs.replace(first, **changes), *others])
        replaced = msgspec.structs.replace(getattr(self.config, part), **changes)
        return msgspec.structs.replace(self.config, **{part: replaced})

    def asking(self, new: Config, *by: str) -> bytes:
        """The command signed by each of these, with the first commands."""
        body = {"document": config_file.text(new), "replaces": config_sha256(self.config)}
        role = self.ROLES[by[0]]
        return self.cosigned(self.envelope("config", role, body, by=by[0]), *by[1:])

    def ask(self, new: Config, *by: str) -> Answer:
        return self.command(self.asking(new, *by))

    def say(self, verb: str, name: str, by: str) -> Answer:
        role = self.ROLES.get(by, by)
        return self.command(self.envelope(verb, role, {"weakening": name}, by=by))

    def quietly(self) -> None:
        self.upkeep.change.quiet = True
        self.upkeep.tick(busy=False, room=lambda: (self.room, self.room))

    def lay(self, new: Config) -> None:
        """Installs another unit.toml as an attacker who knows the copy with which an edit is compared, and
        deletes it.
        """
        copies.kept_of(self.file).unlink()
        config_file.write(self.file, new)

    def look(self) -> None:
        self.clock.advance(weakened.LOOK_EVERY_NS)
        self.tick()

    @property
    def standing(self) -> list[WeakeningState]:
        return self.upkeep.weakened.state

    def steps(self) -> list[str]:
        return [leaf["step"] for leaf in self.leaves("weakening")]

    def fingerprint(self, name: str) -> str:
        return keys.fingerprint(self.people.of(name).public_key())


def a_weaker(unit: House) -> Config:
    return unit.with_("line", exempt=True)


def put_in_place(file: Path, how: str) -> None:
    """Replaces unit.toml by something unusable. `gone`: by nothing."""
    good = file.read_bytes()
    file.unlink()
    match how:
        case "fifo":
            os.mkfifo(file)
        case "giant":
            with file.open("wb") as giant:
                giant.truncate(1 << 40)
        case "folder":
            file.mkdir()
        case "no toml":
            file.write_bytes(b"[[[")
        case "not utf-8":
            file.write_bytes(b"\xff\xfe")
        case "another key":
            file.write_bytes(b"listen = true\n" + good)
        case _:
            assert how == "gone", how
