# SPDX-License-Identifier: Apache-2.0
"""Weakenings in effect or about to be: by two signatures, a file, an update, or the authority.

The former state in force is compared with the present one at a start, and after every change of a file that a service
reads at its start. Each weakening has a leaf in the log, and an alert until a person other than its signers has
confirmed it. An edited unit.toml does not count if weakenings need two signatures (config/unsignededit.py): the edit is
reported in the same way until it is cancelled. Used by the vault's thread; any thread may read `state`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from linetap.config import Config, config_sha256, unsignededit
from linetap.config.change import bounded
from linetap.config.check import load_file
from linetap.config.unsignededit import HeldEdit
from linetap.config.weakening import Weakening
from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.retention.epochs import Epochs
from linetap.recorder.vault.weakening import inforce
from linetap.recorder.vault.weakening.inforce import InForce
from linetap.recorder.vault.weakening.memory import By, Standing, WeakenedMemory
from linetap_core import __version__
from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_core.durable import copies, files
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.command import AUTHORITY, CommandFault, Holder
from linetap_core.records import WeakeningState

LOOK_EVERY_NS = 10 * NS_PER_S
SAVE_EVERY_NS = 60 * NS_PER_S  # a power cut lengthens a delay by at most this, and never shortens it
MOST_STANDING = 64
MOST_SETTLED = 64
_LEAF_BYTES = 1500  # for the changes; codes, keys and hashes are additional
_HOUR_NS = 3600 * NS_PER_S

log = logging.getLogger("linetap.recorder.vault")


class Weakened:
    """The weakenings. Every method that writes may raise OSError: it is retried, or the command is sent again."""

    def __init__(
        self,
        config: Config,
        file: Path | None,
        epochs: Epochs,
        unit_log: UnitLog,
        clock: Clock,
    ) -> None:
        """`file`: the file of `config`, which the next service will read by the same name: for a link, paths are
        relative to the link's folder.
        """
        self._config, self._file, self._epochs, self._clock = config, file, epochs, clock
        self._memory = WeakenedMemory(config.vault_path, unit_log, clock)
        self._stamp: object = None
        self._look_ns = self._save_ns = 0
        self._counted_ns = clock.monotonic_ns()
        self.two_may = False  # the roles can sign and cosign a weakening, so both signatures are required
        self.state: list[WeakeningState] = []
        self._publish()

    # --- Comparing----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        self._count_down()
        mono_ns = self._clock.monotonic_ns()
        if mono_ns < self._look_ns:
            return
        stamp = (
            inforce.stamp_of(self._config, self._file), self._epochs.custodians, self._epochs.version, self.two_may
        )  # fmt: skip
        if stamp != self._stamp:
            self._compare()
            self._stamp = stamp
        self._memory.repeat_leaf()
        self._look_ns = mono_ns + LOOK_EVERY_NS

    def compare(self, signed: Sequence[Holder] = ()) -> None:
        """Compares now, after a change. `signed`: the signers of the key list that was just accepted."""
        self._compare([_signer(each) for each in signed])

    def _compare(self, signers: Sequence[str] = ()) -> None:
        config, file_sha256, edited = self._read()
        saved, sha256 = self._memory.saved, config_sha256(config)
        key_list = self._epochs.key_list
        now, old = inforce.current(config, self._epochs.custodians, key_list), saved.in_force
        if self._memory.lost:
            self._register_weakenings("file", [Weakening("memory", self._memory.lost)], "", sha256)
        if old is not None:
            updated = saved.version != __version__ and saved.file_sha256 == file_sha256
            before, found = self._of_config(old, config, sha256)
            self._register_weakenings("update" if updated else "file", found, before, sha256)
            of_files: By = "update" if saved.version != __version__ else "file"  # an update brings notices too
            self._register_weakenings(of_files, inforce.other_weakenings(old, now), before, sha256)
            of_list = _sha256(old.custodians, old.list_end), _sha256(now.custodians, now.list_end)
            self._register_weakenings("authority", inforce.by_authority(old, now, key_list), *of_list, signers)
            now = inforce.with_known(old, now)
        granted = "" if saved.granted == sha256 else saved.granted
        current = (now, __version__, file_sha256, granted)
        if current != (old, saved.version, saved.file_sha256, saved.granted):
            self._memory.write(in_force=now, version=__version__, file_sha256=file_sha256, granted=granted)
        self._memory.lost = ""
        if edited is not None:
            found = [Weakening(*each) for each in edited.found]
            self._register("file", found, sha256, edited.sha256, in_effect=False)
        elif self._file is not None and file_sha256:
            with contextlib.suppress(OSError):  # without write access no edit is held
                copies.keep(self._file, self.two_may, file_sha256)
        for each in self.waiting():
            if each.after == sha256:
                self._change(each, "in_effect", msgspec.structs.replace(each, in_effect=True, waits_ns=0))

    def _of_config(self, old: InForce, config: Config, sha256: str) -> tuple[str, list[Weakening]]:
        """Returns the hash of the configuration in force before, and the weakenings by the present one; none if a
        command has installed it.
        """
        try:
            before = config_sha256(inforce.config_of(old))
            return before, [] if sha256 == self._memory.saved.granted else inforce.of_config(old, config)
        except ValueError as error:
            return "", [Weakening("memory", f"the configuration in force cannot be read: {error}")]

    def _read(self) -> tuple[Config, str, HeldEdit | None]:
        """Returns the configuration that the next service will read, the file's SHA-256, and an edited file that does
        not count.

        A file with which no service could start is ignored.
        """
        saved = self._memory.saved.file_sha256
        if self._file is None:
            return self._config, saved, None
        if (edited := unsignededit.weakening_edit(self._file)) is not None:
            return edited.config, saved, edited
        if self._file.is_file():  # a FIFO would block the thread
            try:
                file_sha256 = files.sha256(self._file)
                return load_file(self._file, raw=copies.damaged(self._file)), file_sha256, None
            except (OSError, BadInput):
                pass
        return self._config, saved, None

    # --- Found and requested weakenings-----------------------------------------------------------------

    def _register_weakenings(
        self, by: By, found: list[Weakening], before: str, after: str, signers: Sequence[str] = ()
    ) -> None:
        if found:
            self._register(by, found, before, after, signers=[*signers])

    def roles_changed(
        self, found: list[Weakening], before: str, after: str, by: Sequence[Holder], known: list[str]
    ) -> None:
        """Registers a change of roles by the authority. `known`: fingerprints of the people who may confirm it and had
        a role before."""
        self._register("authority", found, before, after, signers=[_signer(each) for each in by], confirmers=known)

    def register(self, found: list[Weakening], before: str, after: str, by: Sequence[Holder]) -> Standing:
        """Returns the entry of a weakening that two people have signed and that will take effect. A repeated request
        does not wait again.
        """
        for each in self.waiting():
            if (each.before, each.after) == (before, after):
                return each
        signers, waits_ns = [_signer(each) for each in by], self._config.policy.weakening_delay_h * _HOUR_NS
        self.withdraw("")
        if len(self._memory.saved.standing) >= MOST_STANDING:
            raise CommandFault("weakening_many", f"{MOST_STANDING} weakenings are not confirmed yet: these come first")
        return self._register("command", found, before, after, signers=signers, waits_ns=waits_ns, in_effect=False)

    def waiting(self) -> list[Standing]:
        return [each for each in self._memory.saved.standing if not each.in_effect and each.by == "command"]

    def withdraw(self, but: str) -> None:
        """Withdraws the waiting configurations except `but`: another one was requested."""
        for each in self.waiting():
            if each.after != but:
                self._change(each, "withdrawn", None)

    def is_signed(self, before: str, after: str) -> bool:
        return any((each.before, each.after) == (before, after) for each in self.waiting())

    def is_due(self, after: str) -> bool:
        """Whether no delay remains."""
        return not any(each.after == after and each.waits_ns > 0 for each in self.waiting())

    def granting(self, sha256: str, file: Path, data: bytes) -> None:
        """Records that a command will put this configuration in force. `data`: its file."""
        if self._memory.saved.granted != sha256:
            self._memory.write(granted=sha256)
        copies.grant(file, data)

    def _register(self, by: By, found: list[Weakening], before: str, after: str, **more: Any) -> Standing:
        codes = sorted({each.code for each in found})
        what = bounded([each.what for each in found], _LEAF_BYTES)
        standing, at = self._memory.saved.standing, rfc3339(self._clock.utc_ns())
        for each in standing:
            if (each.by, each.before, each.after, each.what, each.in_effect) == (
                by,
                before,
                after,
                what,
                more.get("in_effect", True),
            ):
                return each
        # With the log's size: a signed confirmation is not valid for a later weakening of the same kind.
        name = hashlib.sha256(msgspec.json.encode((self._memory.log_size, at, by, before, after, what))).hexdigest()[
            :16
        ]
        made = Standing(
            id=name, at=at, by=by, codes=codes, what=what, before=before, after=after, **more
        )  # fmt: skip
        log.warning("weakened: %s by %s: %s", made.id, by, "; ".join(what))
        self._leaf(made, "asked" if by == "command" else "found" if made.in_effect else "held", made.signers)
        if len(standing) < MOST_STANDING:  # more than anybody reads; each still has its leaf
            self._memory.write(standing=[*standing, made])
            self._publish()
        return made

    # --- Confirming and cancelling----------------------------------------------------------------------------

    def confirm(self, name: str, by: Holder, present: set[str], again: bool) -> str:
        """Confirms a weakening. `present`: fingerprints of all people who have a role now."""
        found = self._find(name, "confirmed", again)
        if found is None:
            return f"{name} is confirmed"
        if not found.in_effect:
            text = "nor will it be: `cancel` ends its alert" if found.by == "file" else "`cancel` takes it back"
            raise CommandFault("weakening_waits", f"{name} is not in effect yet, {text}")
        its_own = found.by == AUTHORITY == by.role  # also for a key list signed by the authority
        if its_own or any(each.endswith(f" {by.key}") for each in found.signers):
            raise CommandFault("weakening_signer", f"{name} was signed with this key: another person has to confirm it")
        if (known := present & {*found.confirmers}) and by.key not in known:
            raise CommandFault("weakening_signer", f"{name} has to be confirmed by a person who had a role before it")
        self._settle(found, "confirmed", by)
        return f"{name} is confirmed: {', '.join(found.codes)}"

    def cancel(self, name: str, by: Holder, again: bool) -> tuple[str, str]:
        """Cancels a weakening; returns the answer, and the configuration that must not take effect."""
        found = self._find(name, "cancelled", again)
        if found is None:
            return f"{name} is cancelled", ""
        if found.in_effect:
            raise CommandFault("weakening_in_effect", f"{name} is in effect: another configuration takes it back")
        self._settle(found, "cancelled", by)
        return f"{name} is cancelled: {', '.join(found.codes)}", found.after

    def _find(self, name: str, how: str, again: bool) -> Standing | None:
        """The named weakening; None: the command has settled it already and was interrupted."""
        for each in self._memory.saved.standing:
            if each.id == name:
                return each
        if again and (name, how) in self._memory.saved.settled:
            return None
        raise CommandFault("weakening_unknown", f"there is no weakening {name!r}: `linetap command state` names them")

    def _settle(self, found: Standing, how: str, by: Holder) -> None:
        settled = [*self._memory.saved.settled, (found.id, how)][-MOST_SETTLED:]
        self._change(found, how, None, signers=[_signer(by)], settled=settled)

    # --- Entries------------------------------------------------------------------------------------------

    def _change(self, old: Standing, step: str, new: Standing | None, signers: Sequence[str] = (), **more: Any) -> None:
        self._leaf(old, step, [*signers])
        log.warning("weakened: %s %s", old.id, step)
        kept = [new if each.id == old.id else each for each in self._memory.saved.standing]
        self._memory.write(standing=[each for each in kept if each is not None], **more)
        self._publish()

    def _leaf(self, of: Standing, step: str, signers: list[str]) -> None:
        self._memory.leaf(
            "weakening", id=of.id, step=step, by=of.by, codes=of.codes, what=of.what, signers=signers,
            sha256=of.after, replaces=of.before,
        )  # fmt: skip

    def _count_down(self) -> None:
        """Counts delays down by the monotonic clock while a recorder runs. A set clock or a power cut shortens none."""
        mono_ns = self._clock.monotonic_ns()
        passed_ns, self._counted_ns = mono_ns - self._counted_ns, mono_ns
        standing = [
            msgspec.structs.replace(each, waits_ns=max(0, each.waits_ns - passed_ns)) if each.waits_ns else each
            for each in self._memory.saved.standing
        ]
        if standing == self._memory.saved.standing:
            return
        self._memory.saved = msgspec.structs.replace(self._memory.saved, standing=standing)
        self._publish()
        if mono_ns >= self._save_ns:
            self._save_ns = mono_ns + SAVE_EVERY_NS
            self._memory.write()

    def _publish(self) -> None:
        self.state = [
            WeakeningState(
                id=each.id, at=each.at, by=each.by, codes=each.codes, in_effect=each.in_effect,
                waits_s=-(-each.waits_ns // NS_PER_S),
            )
            for each in self._memory.saved.standing
        ]  # fmt: skip


def _signer(holder: Holder) -> str:
    """Role and key, without the person's name: the log is permanent, and roles.json names the key's owner."""
    return f"{holder.role} {holder.key}"


def _sha256(*facts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()
