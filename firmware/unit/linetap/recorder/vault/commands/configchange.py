# SPDX-License-Identifier: Apache-2.0
"""`config`: a new configuration, checked as at a start, accepted or refused as a whole, in effect between two calls.

`unit.toml.next` beside unit.toml waits for a moment without a call; `unit.toml.previous` is the configuration that was
in effect before. The services concerned then restart with the new configuration. If unit.toml is a symbolic link, all
three files are beside its target: the folder of the keys need not be writable.

A configuration that weakens (config/weakening.py) needs two signatures of different roles and waits for the delay of
the policy in force. A `unit.toml.next` that weakens without them was written by others, and is discarded.
"""

from __future__ import annotations

import logging
from pathlib import Path

from linetap.config import Config, change, config_sha256, load_config
from linetap.config.weakening import Weakening, weakenings
from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.weakening.weakened import Weakened
from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_core.durable import copies, files
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import OPERATOR, VAULT, CommandFault, Holder, Outcome, Signed
from linetap_core.evidence.authorization.roles import OFFICES, Roles
from linetap_core.service import ask_to_start_again, remove_quietly

CANDIDATE, NEXT, PREVIOUS = ".candidate", ".next", ".previous"
MOST_CHARACTERS = 256 << 10  # 128 lines with a profile each need a quarter
_HOUR_NS = 3600 * NS_PER_S

log = logging.getLogger("linetap.recorder.vault")

# The second signer, of another role, of a configuration that weakens.
COUNTERPARTS = "a person of role vault or of an approver's role"


def counterparts(signed: Signed) -> list[Holder]:
    """Returns the cosigners that count: those of another role, without the desk's key, which is online, and the
    authority's, which appoints the others.
    """
    others = [each for each in signed.cosigners if each.role != signed.command.role]
    return [each for each in others if each.role == VAULT or each.role not in OFFICES]


def could_cosign(roles: Roles) -> bool:
    """Whether the roles include a person who may request a weakening, and another who may cosign it."""
    names = {person.role for person in roles.people}
    return OPERATOR in names and any(name == VAULT or name not in OFFICES for name in names)


class ConfigChange:
    """A change of the configuration, for the vault's thread; any thread may read `pending`."""

    def __init__(self, config: Config, file: Path | None, unit_log: UnitLog, weakened: Weakened, clock: Clock) -> None:
        self._config, self._sha256, self._log, self._clock = config, config_sha256(config), unit_log, clock
        self._weakened = weakened
        self._file = file.resolve() if file is not None else None
        self._folder = file.parent if file is not None else None
        self._at: str | None = None  # time of the leaf
        self.quiet = False  # no line is in use; set by the thread that follows the lines
        self.pending: str | None = None
        if self._file is not None and (waiting := _beside(self._file, NEXT)).exists():
            self._recheck_waiting(waiting)

    def require_signed(self, signed: Signed) -> None:
        """CommandFault if the configuration weakens and has too few signatures. Called before the command's counter is
        used, so that the same command may be sent again with another signature. `apply` reports other errors.
        """
        try:
            body = commandbody.read(signed.command, commandbody.Config)
        except CommandFault:
            return
        if self._file is None or body.replaces != self._sha256:
            return
        candidate = _beside(self._file, CANDIDATE)
        try:
            _require_small(body.document)
            replace_durably(candidate, body.document.encode("utf-8"), like=self._file)
            new = self._loaded(candidate)
        except (OSError, CommandFault):
            return
        finally:
            remove_quietly(candidate)
        if not change.fixed(self._config, new) and (found := weakenings(self._config, new)):
            self._require_two(signed, found)

    def apply(self, signed: Signed) -> Outcome:
        body = commandbody.read(signed.command, commandbody.Config)
        if self._file is None:
            raise CommandFault("config_unwritable", "the recorder was started without a configuration file to replace")
        if body.replaces != self._sha256:
            raise CommandFault("config_other", f"in effect is {self._sha256}, and this one replaces another")
        try:
            return self._apply_document(self._file, body.document, signed)
        except OSError as error:
            text = f"{self._file.parent}: {error.strerror}: the recorder has to be able to write there"
            raise CommandFault("config_unwritable", text) from None

    def tick(self, busy: bool) -> None:
        """Puts a waiting configuration in effect. `busy`: a call is being written. OSError: retried next tick."""
        if self.pending is None:
            self._weakened.withdraw("")  # its configuration was dropped
        if self._file is None or self.pending is None or busy or not self.quiet:
            return
        if not self._weakened.is_due(self.pending):
            return
        waiting = _beside(self._file, NEXT)
        new = self._recheck_waiting(waiting)
        if new is None:
            return
        names = change.all_services(new)
        if self.pending != self._sha256:  # else a recorder was killed after replacing the file
            names = change.services(self._config, new)
            data = waiting.read_bytes()
            before = copies.binding(self._file) or self._file.read_bytes()  # the copy, not a later edit
            self._weakened.granting(self.pending, self._file, data)
            self._log_change(new, self.pending)
            replace_durably(_beside(self._file, PREVIOUS), before, like=self._file)
            replace_durably(self._file, data, like=self._file)
            self._weakened.compare()
        ask_to_start_again(self._config.run_path, self._clock, names)
        waiting.unlink()
        self.pending = None

    def cancel(self, sha256: str) -> None:
        """Cancels a waiting configuration."""
        if self._file is not None and self.pending == sha256:
            remove_quietly(_beside(self._file, NEXT))
            self.pending = None

    def _require_two(self, signed: Signed, found: list[Weakening]) -> None:
        if signed.command.role != OPERATOR or not counterparts(signed):
            what = "; ".join(change.bounded([f"{each.code}: {each.what}" for each in found]))
            text = f"it weakens ({what}): {COUNTERPARTS} has to cosign it"
            raise CommandFault("config_weakens", f"{text}, `linetap command cosign`", signed.command)

    def _apply_document(self, file: Path, document: str, signed: Signed) -> Outcome:
        _require_small(document)
        candidate = _beside(file, CANDIDATE)
        try:
            replace_durably(candidate, document.encode("utf-8"), like=file)
            new = self._loaded(candidate)
            if held := change.fixed(self._config, new):
                raise CommandFault("config_fixed", f"no command changes {', '.join(held)}")
            sha256 = config_sha256(new)
            if sha256 == self._sha256:
                self._weakened.withdraw("")
                remove_quietly(_beside(file, NEXT))
                self.pending = None
                return Outcome("it is in effect already", config_sha256=sha256)
            waits = self._signed(signed, new, sha256)
            files.move_durably(candidate, _beside(file, NEXT))
        finally:
            remove_quietly(candidate)
        self.pending, self._at = sha256, None
        answer = f"in effect when no call is in progress{waits}: {'; '.join(change.changes(self._config, new))}"
        return Outcome(answer, config_sha256=sha256)

    def _signed(self, signed: Signed, new: Config, sha256: str) -> str:
        """Returns the answer's text on a weakening, which is logged and reported before it can take effect."""
        found = weakenings(self._config, new)
        if not found:
            self._weakened.withdraw(sha256)
            return ""
        self._require_two(signed, found)
        standing = self._weakened.register(found, self._sha256, sha256, signed.by)
        codes = ", ".join(standing.codes)
        hours = -(-standing.waits_ns // _HOUR_NS)
        delay = f" and {hours} h have passed" if hours else ""
        return f"{delay} (weakening {standing.id}, to be confirmed by a person who has not signed it: {codes})"

    def _recheck_waiting(self, waiting: Path) -> Config | None:
        """Checks the waiting configuration again: a file that it names may be gone. An unusable one is dropped."""
        try:
            new = self._loaded(waiting)
        except CommandFault as fault:
            log.error("config_dropped: the waiting configuration cannot be used: %s", fault)
            remove_quietly(waiting)
            self.pending = None
            return None
        sha256 = config_sha256(new)
        if (
            sha256 != self._sha256
            and weakenings(self._config, new)
            and not self._weakened.is_signed(self._sha256, sha256)
        ):
            log.error("config_dropped: the waiting configuration weakens and lacks two signatures")
            remove_quietly(waiting)
            self.pending = None
            return None
        self.pending = sha256
        return new

    def _loaded(self, path: Path) -> Config:
        """Loads a configuration as a service does. CommandFault lists all errors, under the file's final name."""
        try:
            return load_config(path, self._folder)
        except BadInput as error:
            errors = str(error).replace(str(path), "unit.toml").replace("\n", "; ")
            raise CommandFault("config_invalid", errors) from None

    def _log_change(self, new: Config, sha256: str) -> None:
        """Writes the log's leaf before the change, once."""
        changes = change.changes(self._config, new)
        self._at = self._at or rfc3339(self._clock.utc_ns())
        self._log.append("config", at=self._at, sha256=sha256, replaces=self._sha256, changes=changes)
        log.warning("config_changed: %s: %s", sha256[:12], "; ".join(changes))


def _require_small(document: str) -> None:
    """CommandFault for a large document: it is parsed twice in one turn of the thread, which must be short."""
    if len(document) > MOST_CHARACTERS:
        raise CommandFault("config_invalid", f"unit.toml: more than {MOST_CHARACTERS} characters")


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(f"{file.name}{suffix}")
