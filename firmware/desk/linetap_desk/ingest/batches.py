# SPDX-License-Identifier: Apache-2.0
"""Sends signed commands to units and records the result of each. The pages hand over one file for each batch, with one
command for each unit on a line.

```
<outgoing>/batches/2026-12-01.commands        written by the pages: envelopes, as `linetap custody` has signed them
<outgoing>/batches-answers/2026-12-01.1.json  written by the ingest of share 1
```
As for holds (outgoing.py), each folder has one writer, and the ingest verifies every command itself: an attacker who
controls the pages can only send commands that people of the signed roles have signed.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from linetap_core import jsontext, rundir
from linetap_core.clock import NS_PER_S, Clock, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import OF_MANY, VAULT, Command, CommandFault
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.authority import Authority
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import Topics
from linetap_desk.ingest.commandfiles import (
    READ_EVERY_S,
    Delivery,
    HandedFolder,
    RolesSource,
    answer_in,
    correlation_of,
    in_force_now,
    is_answer_to,
    sha256_of,
    units_online,
    unverified,
    write_answers,
)
from linetap_desk.ingest.share import ALL_UNITS, Share

DESTROY = "destroy"
VERBS = (DESTROY, "roles", "key_list", "config", "update", "learn", "confirm", "cancel", "time")
MOST_UNITS, LIMIT_BYTES = 3000, 8 << 20
AT_ONCE = 32  # commands in one turn: each causes an answer and a log leaf of a unit
EXPIRY_S = 120  # how long a broker keeps a command
AGAIN_S = 900  # resend after so long without an answer; a unit answers sooner, and a repeated command alarms
NAME = re.compile(r"[0-9a-z][0-9a-z._-]{0,79}")
_EPOCH = re.compile(r"\d{4}-\d{2}-\d{2}|overflow-\d{1,9}")
# With these codes a unit refuses a command before it counts it, so the same command may be sent again.
NOT_COUNTED = frozenset(
    f"command_{each}" for each in ("signer", "not_here", "no_authority", "counters_lost", "counting")
)
_ANSWERS, _ANSWER_SUFFIX = "batches-answers", ".json"

log = logging.getLogger("linetap.ingest")


class Line(msgspec.Struct, frozen=True):
    """A verified command of a batch file. `batch`: the name for the stored file; `signatures`: how many people
    signed."""

    command: Command
    data: bytes
    batch: str
    signatures: int


class _Certificate(msgspec.Struct, frozen=True):
    epoch: str
    officers: list[int] = []


def checked_command(data: bytes, authority: Authority, roles: Roles) -> Line:
    """The command, if a person whose role may send its verb has signed it; a certificate of destroyed keys must also
    have a vault officer's signature. Otherwise CommandFault or BadInput. Does not check the command's expiry, or
    whether it needs a second signature."""
    signed = envelopes.check_signed(data, unverified(data).unit, authority, roles, Counters(), 0)
    made = signed.command
    if made.verb not in VERBS:
        raise CommandFault("command_verb", f"it is {made.verb}, which is not sent from here")
    name = _certificate(made, roles) if made.verb == DESTROY else f"{made.verb}-{made.counter}"
    return Line(made, data, name, len(signed.by))


def _certificate(command: Command, roles: Roles) -> str:
    """The certificate's name: the epoch, and the officers if the keys of only some were destroyed."""
    document = commandbody.read(command, commandbody.Document)
    envelopes.signed_by(document.data, document.signature, namespaces.CERTIFICATE, roles, VAULT)
    try:
        certificate = jsontext.decode(document.data, type=_Certificate)
    except ValueError as error:
        raise CommandFault("certificate_malformed", f"not a certificate: {error}") from None
    name = certificate.epoch + (f".officer-{'-'.join(map(str, certificate.officers))}" if certificate.officers else "")
    if _EPOCH.fullmatch(certificate.epoch) is None or NAME.fullmatch(name) is None:
        raise CommandFault("certificate_malformed", "not a certificate: its epoch is none")
    return name


def lines_of(data: bytes) -> list[bytes]:
    """The file's commands. BadInput if there are none, or more than a file may have."""
    found = [line for line in data.split(b"\n") if line.strip()]
    if not 0 < len(found) <= MOST_UNITS:
        raise BadInput(f"{len(found)} commands; 1 to {MOST_UNITS} expected, one a line")
    return found


def batches(folder: Path) -> HandedFolder:
    return HandedFolder(folder, "batches", OF_MANY, NAME)


def add_batch(folder: Path, name: str, lines: list[bytes]) -> None:
    """Adds a batch. A batch added again is resent to units that refused its commands without counting them."""
    batches(folder).put(name, b"\n".join(lines) + b"\n")


def waiting_batches(folder: Path) -> dict[str, list[bytes]]:
    """Name of the batch -> its commands as added."""
    handed, found = batches(folder), {}
    for name in handed.names():
        with contextlib.suppress(OSError, BadInput):
            found[name] = lines_of(handed.read_file(name, LIMIT_BYTES))
    return found


def deliveries_of(folder: Path, name: str) -> dict[str, Delivery]:
    """The deliveries by all shares, by unit."""
    found: dict[str, Delivery] = {}
    for file in rundir.names(folder / _ANSWERS, _ANSWER_SUFFIX):
        if file.rpartition(".")[0].rpartition(".")[0] == name:
            found |= _read_answer(folder, file)
    return found


def _read_answer(folder: Path, file: str) -> dict[str, Delivery]:
    try:
        return jsontext.decode(rundir.read(folder / _ANSWERS, file, LIMIT_BYTES), type=dict[str, Delivery])
    except (OSError, ValueError):
        return {}


@dataclass(slots=True)
class _File:
    lines: dict[str, Line]
    deliveries: dict[str, Delivery]
    changed: bool = False

    def record(self, unit: str, delivery: Delivery) -> None:
        self.deliveries[unit], self.changed = delivery, True


@dataclass(slots=True)
class BatchSender:
    folder: Path
    in_force: RolesSource
    engine: Engine
    clock: Clock
    share: Share = ALL_UNITS
    verbs: tuple[str, ...] = VERBS
    _handed: HandedFolder = field(init=False)
    _files: dict[str, _File] = field(default_factory=dict)
    _due_ns: int = 0

    def __post_init__(self) -> None:
        self._handed = batches(self.folder)

    def turn(self) -> Iterator[Message]:
        """The commands to publish now. SQLAlchemyError: the database is unavailable."""
        self._write()
        if self.clock.monotonic_ns() < self._due_ns:
            return
        self._due_ns = self.clock.monotonic_ns() + READ_EVERY_S * NS_PER_S
        self._reread_folder()
        remaining, online = AT_ONCE, units_online(self.engine) if self._files else set()
        is_any_due = any(self._is_due(sent) for batch in self._files.values() for sent in batch.deliveries.values())
        in_force = in_force_now(self.in_force) if is_any_due else None
        for batch in self._files.values():
            for unit, line in batch.lines.items():
                if not self._is_due(batch.deliveries[unit]):
                    continue
                sent = batch.deliveries[unit]
                if parse_rfc3339(line.command.expires) <= self.clock.utc_ns():
                    batch.record(unit, sent.expired(line.command))
                elif remaining and unit in online and in_force and self._is_still_good(batch, unit, line, *in_force):
                    remaining -= 1
                    batch.record(unit, msgspec.structs.replace(sent, sent_at=rfc3339(self.clock.utc_ns())))
                    yield Message(
                        Topics(unit).command(line.command.verb), line.data, expiry_s=EXPIRY_S,
                        correlation=correlation_of(line.data),
                    )  # fmt: skip
        self._write()

    def _is_still_good(self, batch: _File, unit: str, line: Line, authority: Authority, roles: Roles) -> bool:
        """Whether the command is valid by the present roles: its signer may have lost a role since the file was
        read."""
        try:
            checked_command(line.data, authority, roles)
        except (Refusal, BadInput) as error:
            batch.record(unit, batch.deliveries[unit].refused(error))
            return False
        return True

    def record_answer(self, unit: str, payload: bytes, correlation: bytes | None = None) -> None:
        """Records an answer of `reply/VERB`; the proof is the unit's log."""
        if (answer := answer_in(payload, LIMIT_BYTES)) is None:
            return
        for batch in self._files.values():
            line, sent = batch.lines.get(unit), batch.deliveries.get(unit)
            if line is None or sent is None or not sent.waits_for_answer:
                continue
            if is_answer_to(line.command, line.data, answer, correlation):
                batch.record(unit, sent.answered(answer, rfc3339(self.clock.utc_ns())))

    def _is_due(self, sent: Delivery) -> bool:
        if sent.code:
            return False
        return not sent.sent_at or parse_rfc3339(sent.sent_at) + AGAIN_S * NS_PER_S <= self.clock.utc_ns()

    def _reread_folder(self) -> None:
        for removed in self._handed.removed():
            del self._files[removed]
            with contextlib.suppress(OSError):
                self._answers_of(removed).unlink(missing_ok=True)
        changed = self._handed.changed()
        in_force = in_force_now(self.in_force) if changed else None
        if in_force is None:
            return
        for name, stamp in changed.items():
            self._files[name] = self._judged(name, *in_force)
            self._handed.mark_read(name, stamp)

    def _judged(self, name: str, authority: Authority, roles: Roles) -> _File:
        """The verified file. Added again, it is resent to units that refused without counting; commands already sent
        keep their waiting time. After a restart of the ingest the known deliveries stay."""
        deliveries = _read_answer(self.folder, self._answers_of(name).name)
        if name in self._files:
            deliveries = {unit: sent for unit, sent in deliveries.items() if sent.code not in NOT_COUNTED}
        batch = _File({}, {})
        try:
            lines = lines_of(self._handed.read_file(name, LIMIT_BYTES))
        except (OSError, BadInput) as error:
            log.error("batch_unread: %s: %s", name, error)
            return batch
        for data in lines:
            try:
                line = checked_command(data, authority, roles)
            except (Refusal, BadInput) as error:
                log.error("batch_refused: %s: %s", name, error)
                self._refuse(batch, data, error)
                continue
            unit = line.command.unit
            if self.share.has(unit):
                batch.lines[unit], before = line, deliveries.get(unit)
                sha256 = sha256_of(data)
                batch.deliveries[unit] = before if before and before.sha256 == sha256 else Delivery(sha256)
        batch.changed = True
        return batch

    def _refuse(self, batch: _File, data: bytes, error: Exception) -> None:
        with contextlib.suppress(BadInput):
            if self.share.has(unit := unverified(data).unit):
                batch.deliveries[unit] = Delivery(sha256_of(data)).refused(error)

    def _write(self) -> None:
        for name, one in self._files.items():
            if one.changed:
                one.changed = not write_answers(self._answers_of(name), one.deliveries)

    def _answers_of(self, name: str) -> Path:
        return self.folder / _ANSWERS / f"{name}.{self.share.number}{_ANSWER_SUFFIX}"
