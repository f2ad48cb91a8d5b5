# SPDX-License-Identifier: Apache-2.0
"""The vault officer's desk: a key list with all its private files on one medium, and calls sealed to its days."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from zoneinfo import ZoneInfo

import msgspec

import sealing_rig
from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap_core.clock import ManualClock, from_utc_ns, parse_rfc3339
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.sealing.keylist import KeyList
from linetap_core.evidence.signing import document, sshsig
from linetap_core.records import Retention
from linetap_desk.accesslog import deskfolder
from linetap_desk.ceremony import epoch, hold, keygen
from linetap_desk.ceremony import rewrap as overflow
from sealing_rig import CALL_ID, UNIT, Rig, noise, record

DAY, NEXT_DAY = "2026-12-01", "2026-12-02"
ENDS = "2026-12-01T15:00:00.000Z"
MADE = "2026-11-20T00:00:00.000Z"


@dataclass
class Desk:
    folder: Path
    rig: Rig

    @classmethod
    def make(cls, folder: Path, days: int = 3, *words: object) -> Desk:
        desk = cls(folder, Rig.make(folder))
        (folder / "holds").mkdir()
        officer = keys.new_unit_key()
        (folder / "officer.key").write_bytes(keys.unit_key_file(officer))
        (folder / "officer.key").chmod(0o600)
        (folder / "officers").write_text(f"officer {keys.public_line(officer.public_key())}\n")
        desk.run(
            keygen, "epochs", "--from", DAY, "--days", days, "--all-on-one-medium", desk.media, "-o", desk.key_list,
            *words,
        )  # fmt: skip
        return desk

    @property
    def media(self) -> Path:
        return self.folder / "media"

    @property
    def key_list(self) -> Path:
        return self.folder / "keylist.json"

    @property
    def holds(self) -> Path:
        return self.folder / "holds"

    @property
    def certificates(self) -> Path:
        return self.folder / "certificates"

    def keys_of(self, name: str) -> list[Path]:
        return sorted([*self.media.glob(f"{name}.txt"), *self.media.glob(f"{name}.index.txt")])

    def officers_keys(self, name: str, *officers: int) -> list[Path]:
        """These officers' private files of that epoch: for its calls, then for its index."""
        files = [self.media / f"officer-{officer}" / f"{name}.txt" for officer in officers]
        return [*files, *(path.with_suffix(".index.txt") for path in files)]

    def recipient(self, name: str) -> str:
        found: KeyList = keylist.sound(self.key_list.read_bytes())
        named = {each.day: each.recipient for each in found.epochs}
        named |= {f"overflow-{each.number}": each.recipient for each in found.overflow}
        return named[name]

    def call(
        self, name: str, call_id: str = CALL_ID, pending: bool = False, until: str | None = None, **more: object
    ) -> Path:
        """A sealed call of that epoch, in the desk's copy of the vault. `more` of its record."""
        folder = CallFolder.create(self.rig.vault, OfCall(UNIT, call_id), self.recipient(name), self.rig.custodians)
        folder.write(noise(1000))
        kept = Retention(class_="standard", epoch=name, class_pending=True if pending else msgspec.UNSET)
        kept.until = until
        folder.seal(msgspec.structs.replace(record(1000, call_id), retention=kept, **more), self.rig.sign)
        return folder.path

    def run(self, command: ModuleType, *words: object, at: str = MADE) -> int:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        args = parser.parse_args([str(word) for word in words])
        status: int = command.run(args, ManualClock(utc_ns=parse_rfc3339(at)))
        return status

    def hold(self, call_dir: Path, identity: Path, to: str, *words: object, at: str = MADE) -> Path:
        output = self.holds / call_dir.name
        named = [
            "--case",
            "2026-117",
            "--basis",
            "형사소송법",
            "--until",
            "2027-06-30",
            "--key",
            self.folder / "officer.key",
        ]
        self.run(hold, "wrap", call_dir, "--identity", identity, "--to", to, *named, "-o", output, *words, at=at)
        return output

    def rewrap(self, call_dir: Path, identity: Path, to: str) -> Path:
        output = self.holds / call_dir.name
        words = ["--identity", identity, "--to", to, "--list", self.key_list, "--key", self.folder / "officer.key"]
        self.run(overflow, "rewrap", call_dir, *words, "-o", output)
        return output

    def destroy(
        self, name: str, *words: object, media: list[Path] | None = None, at: str = "2026-12-02T09:00:00Z"
    ) -> int:
        files = self.keys_of(name) if media is None else media
        named = ["--medium", *files] if files else []
        named += ["--vault", self.rig.vault, "--holds", self.holds, "--list", self.key_list]
        named += ["--key", self.folder / "officer.key", "--certificates", self.certificates]
        seoul = from_utc_ns(parse_rfc3339(at)).astimezone(ZoneInfo("Asia/Seoul"))
        named += ["--today", seoul.date().isoformat()]
        return self.run(epoch, "destroy", name, *named, *words, at=at)

    def overdue(self, *words: object, at: str) -> int:
        named = ["--list", self.key_list, "--certificates", self.certificates]
        return self.run(epoch, "overdue", *named, *words, at=at)

    def with_roles(self, role: str, others: Mapping[str, Path] = MappingProxyType({})) -> tuple[Path, Roles]:
        """A folder with roles in force, and the roles: the officer has `role`, and `others` have theirs, by name and
        key.
        """
        authority, officer = keys.new_unit_key(), keys.load_unit_key((self.folder / "officer.key").read_bytes())
        named = {"the officer": officer}
        named |= {name: keys.load_unit_key(path.read_bytes()) for name, path in others.items()}
        people = [Person(name, role, keys.public_line(key.public_key())) for name, key in named.items()]
        roles = Roles(1, people, [])
        folder, text = self.folder / "desk", document.encode(roles)
        made = deskfolder.make(folder, authority.public_key(), ManualClock(parse_rfc3339(MADE)))
        (folder / deskfolder.ROLES).write_bytes(text)
        (folder / f"{deskfolder.ROLES}.sig").write_text(sshsig.sign(text, authority, "linetap-roles"))
        assert made.roles([]) == roles
        return folder, roles

    def opens(self, call_dir: Path, identity: Path) -> bool:
        """Whether stock age opens the whole call, with a custodian."""
        recipe = f"age -d -i {identity} {call_dir}/key.age | age -d -i {self.rig.custodian_files[0]} > {self.folder}/k"
        recipe += f" && age -d -i {self.folder}/k {self.rig.vault / sealed.call_path(call_dir.name)}/audio.001.age"
        return sealing_rig.run(["bash", "-o", "pipefail", "-c", recipe]).returncode == 0

    def signature_is_good(self, paper: Path, namespace: str) -> bool:
        command = ["ssh-keygen", "-Y", "verify", "-f", str(self.folder / "officers"), "-I", "officer", "-n", namespace]
        done = sealing_rig.run([*command, "-s", f"{paper}.sig"], stdin=paper.read_bytes())
        return done.returncode == 0
