# SPDX-License-Identifier: Apache-2.0
"""Executes signed commands: reads them from the folders of their givers and writes the answers into the recorder's.

Write access to a giver's folder gives no right: only the signature counts. A command is done once, and its file stays
until the giver has the answer. The counter and the command are in the vault before the effect begins: after a power cut
the command is done again, so each effect may be done twice. Only the verbs sent every second (LIGHT) have neither leaf
nor file, and their counters are in RAM alone.

Each accepted command has a leaf in the log. At a start the counters are completed by these (`count`), so that a lost or
older commands.json lets no command be repeated; until all leaves are read, commands wait.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from linetap.recorder.vault.commands.effects import Effects
from linetap.recorder.vault.log.log import UnitLog
from linetap_core import rundir
from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_core.durable import broken
from linetap_core.durable.files import replace_in_ram
from linetap_core.durable.smallfile import Broken, SmallFile
from linetap_core.errors import LinetapError
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.authorization.command import SUFFIX, Answer, Command, CommandFault, Holder, Outcome, Signed
from linetap_core.evidence.authorization.counters import Counters, Window
from linetap_core.records import RefusedState
from linetap_core.rundir import ANSWER, GIVERS, answers_for, commands_of
from linetap_core.service import remove_quietly

NAME = "commands.json"  # in the vault
MOST_A_TICK = 4  # of each giver
MOST_ANSWERS = 64  # unfetched answers of each giver
MOST_LOGGED = 1024  # refused commands in the log, each once
# Refusals of LIGHT commands, signed by the desk, that came after their repetition, their expiry, or the end of a call
# or a vault.
_LATE = frozenset({"command_repeated", "command_expired", "fetch_no_call", "ack_origin", "ack_vault"})
PATIENCE_NS = 5 * NS_PER_S  # then a waiting command is refused: its sender repeats it
LONGEST_TEXT = 3000  # characters of an answer, which may have 16 KiB

log = logging.getLogger("linetap.recorder.vault")


class _Begun(msgspec.Struct):
    """A command with a possibly incomplete effect. `name`: its file's name; `giver`: the file's owner."""

    name: str
    envelope: str
    command: Command
    at: str
    giver: str = "reporter"
    by: tuple[Holder, ...] = ()  # its signers

    @property
    def signed(self) -> Signed:
        return Signed(self.command, self.by)


class _Saved(msgspec.Struct):
    """The stored counters, by fingerprint of the signing key."""

    begun: _Begun | None = None
    keys: dict[str, Window] = {}

    @classmethod
    def of(cls, counters: Counters, begun: _Begun | None = None) -> Self:
        return cls(begun, counters.keys)


_FILE = SmallFile("commands", _Saved)


class Commands:
    def __init__(
        self, vault: Path, run_dir: Path, unit: str, unit_log: UnitLog, effects: Effects, clock: Clock
    ) -> None:
        self._path, self._run_dir, self._unit = vault / NAME, run_dir, unit
        self._log, self._effects, self._clock = unit_log, effects, clock
        rundir.make_service_folder(run_dir, "recorder")
        self._answered: dict[str, set[str]] = {}  # by giver, the names of answered commands with existing files
        for giver in GIVERS:
            answers = rundir.make(rundir.make(answers_for(run_dir, giver).parent) / giver)
            self._answered[giver] = {Path(name).stem for name in rundir.names(answers, ANSWER)}
        self._logged_refusals: dict[bytes, None] = {}
        self._had_file = False  # there was a file at this start
        self._saved = self._load()
        self._counters = Counters(self._saved.keys) if self._saved is not None else Counters()
        self._is_counted, self._started_ns = False, clock.monotonic_ns()
        self.refused = RefusedState()  # readable by any thread

    def count(self, past: Counters) -> None:
        """Adds the counters of the log's leaves, and completes the command that was begun before the restart. OSError:
        not completed; it may be repeated.
        """
        self._is_counted = True
        if self._saved is None:
            return
        counters, begun = self._counters.joined(past), self._saved.begun
        if begun is not None and begun.signed.is_used(past):
            begun = None  # its leaf is written after its effect
        if self._had_file and counters != self._counters:
            broken.report(self._path, "an older copy: the log has later commands, and none of them is repeated")
        self._counters = counters
        if counters.keys != self._saved.keys or begun is not self._saved.begun:
            self._save(_Saved.of(counters, begun))
        if begun is not None:
            self._carry_out(begun, again=True)

    def tick(self) -> None:
        """Handles a few commands. OSError: nothing is lost, and the next tick continues."""
        if self._is_counted and self._saved is not None and self._saved.begun is not None:
            self._carry_out(self._saved.begun, again=True)
        if not self._is_counted and self._clock.monotonic_ns() - self._started_ns < PATIENCE_NS:
            return
        for giver in GIVERS:
            there = [Path(name).stem for name in rundir.names(commands_of(self._run_dir, giver), SUFFIX)]
            for gone in self._answered[giver].difference(there):
                remove_quietly(answers_for(self._run_dir, giver) / f"{gone}{ANSWER}")
                self._answered[giver].discard(gone)
            for name in [name for name in there if name not in self._answered[giver]][:MOST_A_TICK]:
                self._handle(giver, name)

    def _handle(self, giver: str, name: str) -> None:
        try:
            data = rundir.read(commands_of(self._run_dir, giver), f"{name}{SUFFIX}", envelopes.LIMIT_BYTES + 1)
        except FileNotFoundError:  # withdrawn
            return
        except OSError as error:
            log.warning("command_unreadable: from %s: %s", giver, error.strerror)
            self._answered[giver].add(name)  # reading it again would not help
            return
        try:
            if self._saved is None:
                raise CommandFault("command_counters_lost", f"{self._path} cannot be read")
            if not self._is_counted:
                raise CommandFault(
                    "command_counting", "it reads its log for earlier commands; send it again in a minute"
                )
            signed = self._checked(data)
        except CommandFault as fault:
            self._refuse(giver, name, data, fault)
        else:
            command = signed.command
            begun = _Begun(name, data.decode("utf-8"), command, rfc3339(self._clock.utc_ns()), giver, signed.by)
            counters = signed.using(self._counters)
            if command.verb in envelopes.LIGHT:
                self._carry_out_lightly(begun)
            else:
                self._save(_Saved.of(counters, begun))
            self._counters = counters
            if command.verb not in envelopes.LIGHT:
                self._carry_out(begun, again=False)

    def _checked(self, data: bytes) -> Signed:
        try:
            return self._effects.checked(data, self._counters)
        except (LinetapError, OSError):
            raise
        except Exception as error:
            raise _unforeseen(error) from error

    def _carry_out_lightly(self, begun: _Begun) -> None:
        """Executes a light command. On an unwritable disk it is retried at the next tick; after a power cut its sender
        repeats it."""
        code, outcome = self._apply(begun, again=False)
        self._answer(begun.giver, begun.name, code, outcome, begun.command, begun.at)

    def _carry_out(self, begun: _Begun, again: bool) -> None:
        command = begun.command
        code, outcome = self._apply(begun, again)
        if code == "done":
            log.info("command_done: %s by %s: %s", command.verb, command.role, outcome.text)
        self._log_command(begun.envelope.encode("utf-8"), command, code, begun.at, [each.key for each in begun.by])
        self._answer(begun.giver, begun.name, code, outcome, command, begun.at)
        self._save(_Saved.of(self._counters))

    def _apply(self, begun: _Begun, again: bool) -> tuple[str, Outcome]:
        """Returns code and outcome. OSError: the disk cannot be written."""
        command = begun.command
        try:
            answer = self._effect(begun, again)
        except LinetapError as error:
            text = _one_line(str(error))
            log.warning("%s: %s by %s refused: %s", error.code, command.verb, command.role, text)
            self._count_refusal(error.code, command)
            return error.code, Outcome(text)
        outcome = Outcome(answer) if isinstance(answer, str) else answer
        return "done", msgspec.structs.replace(outcome, text=_one_line(outcome.text))

    def _effect(self, begun: _Begun, again: bool) -> str | Outcome:
        try:
            return self._effects.do(begun.signed, begun.at, again)
        except (LinetapError, OSError):
            raise
        except Exception as error:
            raise _unforeseen(error) from error

    def _refuse(self, giver: str, name: str, data: bytes, fault: CommandFault) -> None:
        """Refuses a command, and logs it once if a known key has signed it: others cannot lengthen the log."""
        at = rfc3339(self._clock.utc_ns())
        text = _one_line(str(fault))
        log.warning("%s: a command was refused: %s", fault.code, text)
        if fault.command is not None and fault.command.verb not in envelopes.LIGHT and self._is_new(fault):
            self._log_command(data, fault.command, fault.code, at)
        self._count_refusal(fault.code, fault.command)
        self._answer(giver, name, fault.code, Outcome(text), fault.command, at)

    def _is_new(self, fault: CommandFault) -> bool:
        """Whether this signed content was not refused before: anybody can reformat its envelope, or add a signature."""
        digest = hashlib.sha256(msgspec.json.encode((fault.code, fault.command), order="sorted")).digest()
        if digest in self._logged_refusals:
            return False
        self._logged_refusals[digest] = None
        if len(self._logged_refusals) > MOST_LOGGED:
            del self._logged_refusals[next(iter(self._logged_refusals))]
        return True

    def _count_refusal(self, code: str, command: Command | None) -> None:
        """Counts a refusal for the alert `command_refused`: a sender lacked the right. A late LIGHT command does not
        count: a broker may deliver twice, or days late after a site was cut off."""
        if code == "command_counting" or (command is not None and command.verb in envelopes.LIGHT and code in _LATE):
            return
        role = command.role if command is not None else ""
        self.refused = RefusedState(self.refused.count + 1, code, role, self._clock.monotonic_ns())

    def _log_command(self, data: bytes, command: Command, code: str, at: str, used: Sequence[str] = ()) -> None:
        """Logs a command. `used`: the keys with a used-up counter."""
        keys = {"keys": [*used]} if used else {}
        self._log.append(
            "command", at=at, verb=command.verb, role=command.role, counter=command.counter, code=code,
            sha256=hashlib.sha256(data).hexdigest(), **keys,
        )  # fmt: skip

    def _answer(self, giver: str, name: str, code: str, outcome: Outcome, command: Command | None, at: str) -> None:
        answer = Answer(
            unit=self._unit, at=at, done=code == "done", code=code, text=outcome.text,
            verb=command.verb if command else None,
            role=command.role if command else None,
            counter=command.counter if command else None,
            findings=outcome.findings, config_sha256=outcome.config_sha256, closing=outcome.closing,
            listed=outcome.listed,
            granted=command.body if command and code == "done" and command.verb == fetch.VERB else None,
        )  # fmt: skip
        self._answered[giver].add(name)
        folder = answers_for(self._run_dir, giver)
        answers = sorted(folder.glob(f"*{ANSWER}"), key=_age)
        for old in answers[: max(0, len(answers) - MOST_ANSWERS + 1)]:
            remove_quietly(old)
        with contextlib.suppress(OSError):  # RAM is full: the giver times out
            replace_in_ram(folder / f"{name}{ANSWER}", msgspec.json.encode(answer) + b"\n")

    def _save(self, saved: _Saved) -> None:
        _FILE.replace(self._path, saved)
        self._saved = saved

    def _load(self) -> _Saved | None:
        """Loads the counters; without a whole file the log's leaves alone count. None: it cannot be read now, and no
        command is accepted.
        """
        try:
            found = _FILE.read(self._path)
        except FileNotFoundError:
            return _Saved()
        except Broken as error:
            broken.set_aside(self._path, f"{error}; the counters are taken from the log")
            return _Saved()
        except OSError as error:
            broken.report(self._path, f"{error}; no command is accepted until it can be read or is removed")
            return None
        self._had_file = True
        return found


def _unforeseen(error: Exception) -> CommandFault:
    """The fault for an unexpected error, which must not end the thread: the command would end the next thread too."""
    log.error("command_failed: %s: %s", type(error).__name__, _one_line(str(error)))
    return CommandFault("command_failed", f"unexpected error: {type(error).__name__}; the unit's journal has details")


def _one_line(text: str) -> str:
    """One short line of a stranger's text, which must neither begin a line of the journal nor fill it."""
    line = "".join(each if each.isprintable() else " " for each in text[: LONGEST_TEXT + 1])
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}... of {len(text)} characters"


def _age(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
