# SPDX-License-Identifier: Apache-2.0
"""Files of signed commands that the pages hand to the ingest, in a folder that only the pages write. The ingest treats
them as untrusted, and answers in its own folder (outgoing.py, batches.py)."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import Engine, select

from linetap_core import rundir
from linetap_core.durable.files import DIRECTORY_MODE, replace_durably
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.command import Answer, Command, Envelope
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.signing.authority import Authority
from linetap_desk.ingest.tables import units
from linetap_desk.inputs import strict

MOST_FILES = 64  # unfinished files in a folder; later ones wait
READ_EVERY_S = 5
TEXT_LIMIT = 2000  # of an answer shown on the page, such as a walk test's measurements of each line
Stamp = tuple[int, int]
# The present authority and roles. A Refusal or BadInput if there are none.
RolesSource = Callable[[], tuple[Authority, Roles]]

log = logging.getLogger("linetap.ingest")


class Delivery(msgspec.Struct, frozen=True):
    """The state of the command with this hash. `code`: "done", the unit's refusal, or the reason why the command was
    not sent; empty without an answer yet."""

    sha256: str
    sent_at: str = ""
    answered_at: str = ""
    code: str = ""
    text: str = ""

    @property
    def waits_for_answer(self) -> bool:
        return bool(self.sent_at) and not self.code

    def answered(self, answer: Answer, answered_at: str) -> Delivery:
        code, text = answer.code[:40], answer.text[:TEXT_LIMIT]
        return msgspec.structs.replace(self, answered_at=answered_at, code=code, text=text)

    def refused(self, error: Exception) -> Delivery:
        """Not sent, because of a Refusal or BadInput."""
        return msgspec.structs.replace(self, code=getattr(error, "code", "bad_input"), text=str(error)[:TEXT_LIMIT])

    def expired(self, command: Command) -> Delivery:
        return msgspec.structs.replace(self, code="command_expired", text=f"it was good until {command.expires}")


@dataclass(slots=True)
class HandedFolder:
    """The folder of `<folder>/<kind>/<name><suffix>`."""

    folder: Path
    kind: str
    suffix: str
    name: re.Pattern[str]
    _read_stamps: dict[str, Stamp] = field(default_factory=dict)
    _finished: set[str] = field(default_factory=set)

    @property
    def place(self) -> Path:
        return self.folder / self.kind

    def path(self, name: str) -> Path:
        return self.place / f"{name}{self.suffix}"

    # --- The pages' side ---

    def put(self, name: str, data: bytes) -> None:
        """Writes a file durably. BadInput if it cannot be written, or if the listing would leave it out."""
        if self.name.fullmatch(name) is None:
            raise BadInput(f"outgoing: {name!r} is not a name of a file here")
        try:
            self.place.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            replace_durably(self.path(name), data)
        except OSError as error:
            raise BadInput(f"outgoing {self.folder}: {error.strerror}") from None

    def withdraw(self, name: str) -> None:
        """Stops sending a command; it may have been sent already."""
        with contextlib.suppress(OSError):
            self.path(name).unlink(missing_ok=True)

    # --- The ingest's side ---

    def names(self) -> list[str]:
        """The files in the order of their names: the finished ones, and at most MOST others."""
        found = self.all_names()
        others = [name for name in found if name not in self._finished][:MOST_FILES]
        return sorted({*others, *self._finished.intersection(found)})

    def all_names(self) -> list[str]:
        found = (file.removesuffix(self.suffix) for file in rundir.names(self.place, self.suffix))
        return [name for name in found if self.name.fullmatch(name)]

    def removed(self) -> set[str]:
        """The marked files that no longer exist. Each is returned once."""
        found = self._read_stamps.keys() - set(self.all_names())
        for name in found:
            del self._read_stamps[name]
            self._finished.discard(name)
        return found

    def changed(self) -> dict[str, Stamp]:
        """New files, and marked files that have changed since. The stamp is taken before the file is read."""
        stamps = {name: rundir.stamp(self.path(name)) for name in self.names()}
        return {name: stamp for name, stamp in stamps.items() if stamp and self._read_stamps.get(name) != stamp}

    def read_file(self, name: str, limit_bytes: int) -> bytes:
        """The file's content. OSError if it cannot be read."""
        return rundir.read(self.place, f"{name}{self.suffix}", limit_bytes)

    def mark_read(self, name: str, stamp: Stamp) -> None:
        self._read_stamps[name] = stamp
        self._finished.discard(name)

    def mark_finished(self, name: str) -> None:
        """The file keeps no other one waiting until it changes."""
        self._finished.add(name)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def correlation_of(data: bytes) -> bytes:
    """The correlation data that the unit repeats in its answer, even if it does not know the signer."""
    return hashlib.sha256(data).digest()[:16]


def is_answer_to(command: Command, data: bytes, answer: Answer, correlation: bytes | None) -> bool:
    """Whether the answer is to this command: by correlation, otherwise by verb and counter, which a unit repeats if it
    knows the signer."""
    if correlation:
        return correlation == correlation_of(data)
    return answer.counter == command.counter and answer.verb in (None, command.verb)


def in_force_now(in_force: RolesSource) -> tuple[Authority, Roles] | None:
    """The present authority and roles. Without them None and a log entry: they may be in the middle of a replacement,
    and are read again at the next call."""
    try:
        return in_force()
    except (Refusal, BadInput) as error:
        log.error("outgoing_unchecked: %s; nothing is sent for the pages", error)
        return None


def unverified(data: bytes) -> Command:
    """The command before its signature is checked, for the name of its unit. BadInput if it is no command."""
    return strict.decode(strict.decode(data, Envelope).command, Command)


def answer_in(payload: bytes, limit_bytes: int) -> Answer | None:
    """A unit's answer in `reply/VERB`; None if it is none. It is unsigned and only shown on the page."""
    try:
        return strict.decode(payload[:limit_bytes], Answer)
    except (ValueError, RecursionError):
        return None


def write_answers(path: Path, answers: Delivery | dict[str, Delivery]) -> bool:
    """Writes a file of answers durably; False with a log entry if it cannot be written."""
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        replace_durably(path, msgspec.json.encode(answers) + b"\n")
    except OSError as error:
        log.error("outgoing_unwritten: %s: %s", path.parent.parent, error.strerror)
        return False
    return True


def units_online(engine: Engine) -> set[str]:
    """The units that are online now."""
    with engine.connect() as db:
        return set(db.execute(select(units.c.unit).where(units.c.state == "online")).scalars())
