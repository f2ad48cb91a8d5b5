# SPDX-License-Identifier: Apache-2.0
"""Sends to their units the signed holds that the pages hand over, and records the result of each.

```
<outgoing>/commands/H2026-0001.command   written by the pages: the bytes that a vault officer has signed
<outgoing>/answers/H2026-0001.json       written by the ingest: when it was sent, and the unit's answer
```
Each folder has one writer, and its reader treats its files as untrusted. The ingest verifies every hold itself: an
attacker who controls the pages can only send holds that a vault officer of the signed roles has signed.
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
from linetap_core.clock import NS_PER_S, S_PER_DAY, Clock, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import LIMIT_BYTES, SUFFIX, Command, CommandFault
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import hold
from linetap_core.evidence.signing.authority import Authority
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import Topics
from linetap_desk.ingest import callrow
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
from linetap_desk.ingest.tables import events

VERB = "hold"  # others: batches.py
KEPT_S = 30 * S_PER_DAY  # a command that was answered
AGAIN_S = 120  # resend after so long without an answer; by then a unit has reported a hold by itself
_ANSWERS = "answers"
_NAME = re.compile(r"[A-Z][0-9]{4}-[0-9]{4,8}")
_ANSWER_LIMIT_BYTES = 16 << 10

log = logging.getLogger("linetap.ingest")


def commands(folder: Path) -> HandedFolder:
    return HandedFolder(folder, "commands", SUFFIX, _NAME)


def withdraw_old(folder: Path, now_ns: int) -> None:
    """Removes commands that were answered long ago, for the pages: the ingest reads a bounded number of files."""
    handed = commands(folder)
    for name in handed.all_names():
        found, put = _read_answer(folder, name), rundir.stamp(handed.path(name))
        if found is not None and found.code and put is not None and put[1] < now_ns - KEPT_S * NS_PER_S:
            handed.withdraw(name)


def delivery_of(folder: Path, name: str, data: bytes) -> Delivery | None:
    """The delivery of exactly these bytes since they were added; None if the ingest has not read them yet."""
    found = _read_answer(folder, name)
    its = found is not None and found.sha256 == sha256_of(data)
    put = rundir.stamp(commands(folder).path(name))
    answered = rundir.stamp(_answer_path(folder, name))
    return found if its and put and answered and put[1] <= answered[1] else None


def _answer_path(folder: Path, name: str) -> Path:
    return folder / _ANSWERS / f"{name}.json"


def _read_answer(folder: Path, name: str) -> Delivery | None:
    path = _answer_path(folder, name)
    try:
        return jsontext.decode(rundir.read(path.parent, path.name, _ANSWER_LIMIT_BYTES), type=Delivery)
    except (OSError, ValueError):
        return None


@dataclass(slots=True)
class _Waiting:
    command: Command | None
    data: bytes
    call_id: str
    delivery: Delivery
    again_ns: int = 0  # monotonic


@dataclass(slots=True)
class HoldSender:
    folder: Path
    in_force: RolesSource
    engine: Engine
    clock: Clock
    share: Share = ALL_UNITS
    verbs: tuple[str, ...] = (VERB,)
    _commands: HandedFolder = field(init=False)
    _waiting: dict[str, _Waiting] = field(default_factory=dict)
    _due_ns: int = 0

    def __post_init__(self) -> None:
        self._commands = commands(self.folder)

    def turn(self) -> Iterator[Message]:
        """The commands to publish now. SQLAlchemyError: the database is unavailable."""
        now_ns = self.clock.monotonic_ns()
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + READ_EVERY_S * NS_PER_S
        self._reread_folder()
        online = units_online(self.engine) if any(waiting.command for waiting in self._waiting.values()) else set()
        for name, waiting in self._waiting.items():
            if waiting.command is None or waiting.delivery.code or now_ns < waiting.again_ns:
                continue
            if waiting.delivery.sent_at and self._is_held(waiting):
                done = msgspec.structs.replace(waiting.delivery, code="done", text="the unit has reported the hold")
                self._record(name, waiting, done)
            elif parse_rfc3339(waiting.command.expires) <= self.clock.utc_ns():
                self._record(name, waiting, waiting.delivery.expired(waiting.command))
            elif waiting.command.unit in online:
                waiting.again_ns = now_ns + AGAIN_S * NS_PER_S
                at = rfc3339(self.clock.utc_ns())
                self._record(name, waiting, msgspec.structs.replace(waiting.delivery, sent_at=at))
                log.info("command_sent: %s to %s", name, waiting.command.unit)
                yield Message(
                    Topics(waiting.command.unit).command(VERB), waiting.data, expiry_s=AGAIN_S,
                    correlation=correlation_of(waiting.data),
                )  # fmt: skip

    def record_answer(self, unit: str, payload: bytes, correlation: bytes | None = None) -> None:
        """Records an answer of `reply/hold`. It is unsigned and only shown on the page, beside the unit's signed
        report."""
        if (answer := answer_in(payload, _ANSWER_LIMIT_BYTES)) is None:
            return
        for name, waiting in self._waiting.items():
            if waiting.command is None or waiting.command.unit != unit or not waiting.delivery.waits_for_answer:
                continue
            if is_answer_to(waiting.command, waiting.data, answer, correlation):
                self._record(name, waiting, waiting.delivery.answered(answer, rfc3339(self.clock.utc_ns())))

    def _reread_folder(self) -> None:
        for removed in self._commands.removed():
            del self._waiting[removed]
            with contextlib.suppress(OSError):
                _answer_path(self.folder, removed).unlink(missing_ok=True)
        changed = self._commands.changed()
        in_force = in_force_now(self.in_force) if changed else None
        if in_force is None:
            return
        for name, stamp in changed.items():
            with contextlib.suppress(OSError):
                self._waiting[name] = self._judged(name, self._commands.read_file(name, LIMIT_BYTES), *in_force)
                self._commands.mark_read(name, stamp)
                self._finish(name)

    def _judged(self, name: str, data: bytes, authority: Authority, roles: Roles) -> _Waiting:
        delivery = delivery_of(self.folder, name, data) or Delivery(sha256_of(data))
        if not self._is_ours(data):
            return _Waiting(None, data, "", delivery)
        try:
            command = envelopes.check(data, unverified(data).unit, authority, roles, Counters(), self.clock.utc_ns())
            if command.verb != VERB:
                raise CommandFault("command_verb", f"it is {command.verb}, which the pages do not send")
            held = hold.decode(commandbody.read(command, commandbody.Hold).data)
        except (Refusal, BadInput) as error:
            waiting = _Waiting(None, data, "", delivery)
            if not delivery.code:
                self._record(name, waiting, delivery.refused(error))
            return waiting
        return _Waiting(command, data, held.call_id, delivery)

    def _is_ours(self, data: bytes) -> bool:
        """Whether the unit is in this share. The first share refuses a command that names no unit."""
        try:
            return self.share.has(unverified(data).unit)
        except BadInput:
            return self.share.is_first

    def _record(self, name: str, waiting: _Waiting, delivery: Delivery) -> None:
        waiting.delivery = delivery
        write_answers(_answer_path(self.folder, name), delivery)
        self._finish(name)

    def _finish(self, name: str) -> None:
        """A command that was answered, or is not sent, keeps no later one waiting."""
        one = self._waiting.get(name)
        if one is not None and (one.command is None or one.delivery.code):
            one.command, one.data = None, b""
            self._commands.mark_finished(name)

    def _is_held(self, waiting: _Waiting) -> bool:
        """Whether the signed report of the hold has arrived although the answer was lost. A command sent again would
        then be a repeated one and alarm."""
        assert waiting.command is not None
        since = events.c.received_at >= waiting.delivery.sent_at
        with self.engine.connect() as db:
            return bool(
                callrow.is_held(db, events.c.unit == waiting.command.unit, events.c.call_id == waiting.call_id, since)
            )
