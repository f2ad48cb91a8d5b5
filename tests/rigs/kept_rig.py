# SPDX-License-Identifier: Apache-2.0
"""A Floor with the recorder's real half of the commands: roles, counters, outbox; and a desk that it knows."""

from __future__ import annotations

import hashlib
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import msgspec

from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.incarnation import Incarnation
from linetap.recorder.vault.retention.epochs import Epochs
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.upkeep import Upkeep
from linetap_core import rundir
from linetap_core.clock import NS_PER_S, SYSTEM, compact, rfc3339
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import SUFFIX, Command
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.records import Caller, CallEvent, CallRecord, EventKind, RecorderState, Retention
from reporter_rig import Floor

ROOM = 1 << 40
_FIVE_MIN_NS = 300 * NS_PER_S


class Kept(Floor):
    """`desk_key` is the file for `linetap desk ingest --key`."""

    def __init__(self, folder: Path, run_dir: Path, port: int, named: bool = True) -> None:
        super().__init__(folder, run_dir, port)
        self._lock = threading.RLock()
        self._counter = self._calls = 0
        self.authority, self.desk = keys.new_unit_key(), keys.new_unit_key()
        self.desk_key = folder / "desk.key"
        self.desk_key.write_bytes(keys.unit_key_file(self.desk))
        self.config = msgspec.structs.replace(
            self.config,
            keys=msgspec.structs.replace(self.config.keys, authority=keys.public_line(self.authority.public_key())),
        )
        self.unit_key = UnitKey(Path(self.config.key))
        self._open(None)
        if named:
            self.name_desk()

    def _open(self, incarnation: Incarnation | None) -> None:
        self.unit_log = self.unit_key.open_log(self.config, SYSTEM, incarnation.name if incarnation else "")
        epochs = Epochs(self.config, lambda _: True)
        self.upkeep = Upkeep(
            self.config, self.unit_log, self._report, epochs, self.outbox, SYSTEM, lambda: "one boot", lambda: True,
            incarnation=incarnation,
        )  # fmt: skip

    def start_again(self) -> None:
        """Starts the recorder over the present vault, which may be empty."""
        with self._lock:
            self.outbox.close()
            self.unit_log.close()
            self.incarnation = which = self.unit_key.incarnation(self.config, SYSTEM)
            log = self.unit_key.open_log(self.config, SYSTEM, which.name)
            self.outbox = self.unit_key.open_outbox(self.config, lambda: log.size, which.name, log.newest_event)
            log.close()
            self._open(which)
            if which.name and not self.unit_log.size:
                self.unit_log.append("vault", at=which.made_at, vault=which.name)
                self._report(CallEvent(seq=0, event="vault", at=which.made_at, unit=""))
            if not self.upkeep.delivery.state.desk:
                self.name_desk()

    def lose_disk(self) -> None:
        """Replaces the data partition; configuration and key stay the same."""
        with self._lock:
            shutil.rmtree(self.config.vault_path)
            self.start_again()

    def envelope(self, verb: str, body: dict[str, str], role: str = "desk", **other: Any) -> bytes:
        key = self.desk if role == "desk" else self.authority
        self._counter = max(self._counter + 1, SYSTEM.utc_ns() // 1_000_000)
        fields: dict[str, Any] = {"unit": self.config.unit, "verb": verb, "role": role, "counter": self._counter}
        command = Command(**{**fields, "expires": rfc3339(SYSTEM.utc_ns() + _FIVE_MIN_NS), "body": body} | other)
        return envelopes.seal(command, lambda data: sshsig.sign(data, key, namespaces.COMMAND))

    def name_desk(self) -> None:
        person = Person(name="the desk", role="desk", key=keys.public_line(self.desk.public_key()))
        text = document.encode(Roles(version=1, people=[person], purposes=[]))
        body = {"document": text.decode(), "sig": sshsig.sign(text, self.authority, namespaces.ROLES)}
        spool = rundir.make(rundir.make_service_folder(self.config.run_path, "reporter") / "commands")
        name = f"roles-{self._counter}{SUFFIX}"  # a new name each time: an answered command is not executed again
        (spool / name).write_bytes(self.envelope("roles", body, "authority"))
        self._keep()
        (spool / name).unlink()
        assert self.upkeep.delivery.state.desk

    def _report(self, event: CallEvent) -> None:
        self.outbox.append(event)

    def events(self, count: int) -> None:
        with self._lock:
            super().events(count)

    @property
    def confirmed(self) -> int:
        return self.upkeep.delivery.state.confirmed

    def _keep(self) -> None:
        with self._lock:
            self.upkeep.tick(busy=True, room=lambda: (ROOM, ROOM))
        state = self.states.states.get("recorder")
        if isinstance(state, RecorderState):
            state.delivery = self.upkeep.delivery.state

    def _write(self) -> None:
        while not self._ended.wait(0.1):  # a tick computes for 3 ms
            self._keep()
            self.states.write()

    def call(self, samples: int = 8000, days: float = 60, parts: int = 1, caller: Caller | None = None) -> CallRecord:
        """A recording, sealed as by a recorder, ended now and kept for this many days; its `sealed` is reported."""
        now_ns = SYSTEM.utc_ns()
        with self._lock:
            self._calls += 1
            call_id = f"{compact(now_ns)}-L01-{self._calls}"
            vault, keys_ = self.config.vault_path, self.config.keys
            folder = CallFolder.create(vault, OfCall(self.config.unit, call_id), keys_.overflow_epoch, keys_.custodians)
            for part in range(parts):
                folder.write(random.Random(self._calls).randbytes(samples // parts))
                if part < parts - 1:
                    folder = CallFolder.resume(vault, call_id, folder.recipient, folder.inner)
            until = rfc3339(now_ns + round(days * 86_400) * NS_PER_S)
            record = CallRecord(
                call_id=call_id, unit=self.config.unit, line=1, ended_at=rfc3339(now_ns), caller=caller,
                retention=Retention(class_="standard", epoch=until[:10], until=until),
            )  # fmt: skip
            record = folder.seal(record, self.unit_key.signer(namespaces.RECORD))
            self.unit_log.close_call(call_id)
            self.tell("ended", record, direction="in", duration_s=samples / 8000)
            self.tell("sealed", record, record_sha256=hashlib.sha256(sealed.public_json(record)).hexdigest())
        return record

    def tell(self, event: EventKind, record: CallRecord, **more: Any) -> None:
        at = rfc3339(SYSTEM.utc_ns())
        told = CallEvent(seq=0, event=event, at=at, unit="", call_id=record.call_id, line=record.line, **more)
        told.disposition = record.disposition
        with self._lock:
            self._report(told)

    def folder(self, record: CallRecord) -> Path:
        return self.config.vault_path / sealed.call_path(record.call_id)
