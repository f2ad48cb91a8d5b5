# SPDX-License-Identifier: Apache-2.0
"""A unit's vault with only its upkeep: real folders, outbox and log, a clock controlled by the test, an officer."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap.config.retention import retention_of
from linetap.config.schema import Config, RetentionClass, RetentionPolicy
from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.retention.epochs import Epochs
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.upkeep import Upkeep
from linetap_core import rundir
from linetap_core.clock import NS_PER_MS, NS_PER_S, ManualClock, compact, parse_rfc3339, rfc3339
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import SUFFIX, Answer, Command
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.records import CallEvent, CallRecord, Retention
from linetap_core.rundir import ANSWER, answers_for, commands_of
from unit_rig import make_unit

DAY = 86_400 * NS_PER_S
START = "2026-11-24T03:00:00.000Z"  # noon in Seoul
UNIT = "floor-03"
FREE = 1 << 40
CLASSES = [RetentionClass(name="standard", days=60), RetentionClass(name="marked", days=180)]


@dataclass
class People:
    authority: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    vault: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    second: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)  # also of the vault role
    desk: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    operator: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    stranger: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)

    def of(self, role: str) -> Ed25519PrivateKey:
        key: Ed25519PrivateKey = getattr(self, role)
        return key

    def roles(self, version: int) -> bytes:
        people = [
            Person(name=f"the {who}", role=role, key=keys.public_line(self.of(who).public_key()))
            for who, role in (("vault", "vault"), ("second", "vault"), ("desk", "desk"), ("operator", "operator"))
        ]
        return document.encode(Roles(version=version, people=people, purposes=[]))


class Keeper:
    """`restart` is the start after a kill or a power cut: everything is read from the disk again."""

    def __init__(self, folder: Path, run_dir: Path, at: str = START, room: int = FREE) -> None:
        self.people = People()
        policy = RetentionPolicy(marked="marked", classes=CLASSES)
        config = make_unit(folder, run_dir).config
        line = keys.public_line(self.people.authority.public_key())
        named = msgspec.structs.replace(config.keys, authority=line)
        self.config: Config = msgspec.structs.replace(config, retention=policy, keys=named)
        self.vault = self.config.vault_path
        self.vault.mkdir()
        self.clock = ManualClock(parse_rfc3339(at), 5 * NS_PER_S)
        self.synced, self.boot, self.room, self.counter, self.given = True, 1, room, 0, 0
        self.config_file: Path | None = None
        self.key = UnitKey(Path(self.config.key))
        self.sign = self.key.signer(namespaces.RECORD)
        self.start()

    # --- the unit ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.log = self.key.open_log(self.config, self.clock)
        self.outbox = self.open_outbox()
        self.epochs = Epochs(self.config, lambda _: True)
        self.upkeep = Upkeep(
            self.config,
            self.log,
            self.report,
            self.epochs,
            self.outbox,
            self.clock,
            lambda: f"boot {self.boot}",
            lambda: self.synced,
            self.config_file,
        )

    def open_outbox(self) -> Outbox:
        return self.key.open_outbox(self.config, lambda: self.log.size)

    def _boot(self) -> str:
        return f"boot {self.boot}"

    def report(self, event: CallEvent) -> None:
        if not self.outbox.has(event):
            self.outbox.append(event)

    def restart(self, boot: bool = False, off_ns: int = 0) -> None:
        self.outbox.close()
        self.log._log.close()
        if boot:
            self.boot += 1
            self.clock = ManualClock(self.clock.utc_ns() + off_ns, 5 * NS_PER_S)
        self.start()
        self.upkeep.time.tick()

    def tick(self) -> None:
        self.upkeep.tick(busy=True, room=lambda: (self.room, self.room))

    def ticks(self, most: int = 1000) -> None:
        """Ticks until there is no more work."""
        for _ in range(most):
            before = self.log.size
            self.tick()
            if self.log.size == before and not self.upkeep.expiry.scanning:
                return
        raise AssertionError("it never comes to an end")

    def passes(self, days: float) -> None:
        self.clock.advance(round(days * DAY))
        self.ticks()

    @property
    def now_ns(self) -> int | None:
        return self.upkeep.time.now_ns

    # --- its calls -----------------------------------------------------------------------------------------------

    def call(
        self, marked: bool = False, overflow: bool = False, suffix: str = "", samples: int = 100, **facts: Any
    ) -> CallRecord:
        """A call that ends now, sealed as by a recorder; `facts` are fields of its record."""
        at_ns = self.clock.utc_ns()
        call_id = f"{compact(at_ns)}-L01{suffix}"
        wanted = retention_of(self.config, at_ns, 1, "recorded", marked)
        if overflow:
            wanted = Retention(class_=wanted.class_, epoch="overflow-1", until=None)
        named, own = OfCall(self.config.unit, call_id), self.config.keys
        folder = CallFolder.create(self.vault, named, own.overflow_epoch, own.custodians)
        folder.write(bytes(samples))
        record = CallRecord(
            call_id=call_id, unit=UNIT, line=1, retention=wanted, **({"ended_at": rfc3339(at_ns)} | facts)
        )
        record = folder.seal(self.upkeep.dated(record), self.sign)
        self.log.close_call(call_id)
        self.upkeep.sealed(record)
        return record

    def folder(self, call_id: str) -> Path:
        return self.vault / sealed.call_path(call_id)

    def is_whole(self, record: CallRecord) -> bool:
        folder = self.folder(record.call_id)
        if not (folder / sealed.SIGNATURE).exists():
            return False
        sshsig.check((folder / sealed.RECORD).read_bytes(), (folder / sealed.SIGNATURE).read_bytes(), "linetap-record")
        found = {path.name for path in folder.iterdir()} - {sealed.RECORD, sealed.SIGNATURE}
        return found == record.files.keys() and all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in record.files.items()
        )

    # --- its reports ---------------------------------------------------------------------------------------------

    def leaves(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.vault / "log" / LEAVES).read_bytes().splitlines()
        return [leaf for line in lines if (leaf := json.loads(line))["kind"] == kind]

    def destroyed(self) -> list[str]:
        """The destroyed calls according to the log, in order."""
        return [leaf["call_id"] for leaf in self.leaves("destruction") if "call_id" in leaf]

    def events(self, kind: str) -> list[str]:
        found = OutboxReader(self.vault / "outbox").from_seq(1, 100_000)
        return [event["call_id"] for _, data, _ in found if (event := json.loads(data))["event"] == kind]

    # --- its commands --------------------------------------------------------------------------------------------

    def envelope(self, verb: str, role: str, body: dict[str, str], **other: Any) -> bytes:
        """A command signed by the role's key unless `by` names another, and by those of `cosigned`."""
        by = self.people.of(other.pop("by", role))
        cosigned = [self.people.of(each) for each in other.pop("cosigned", ())]
        self.counter += 1
        fields: dict[str, Any] = {"unit": UNIT, "verb": verb, "role": role, "counter": self.counter, "body": body}
        expires = self.clock.utc_ns() + 7 * DAY
        command = Command(**{**fields, "expires": rfc3339(expires), **other})
        return envelopes.seal(
            command, lambda data: "".join(sshsig.sign(data, key, namespaces.COMMAND) for key in (by, *cosigned))
        )

    def cosigned(self, data: bytes, *by: str) -> bytes:
        for role in by:
            key = self.people.of(role)
            data = envelopes.cosign(data, lambda text, key=key: sshsig.sign(text, key, namespaces.COMMAND))
        return data

    def give(self, data: bytes, name: str = "") -> None:
        """Delivers a command under a separate name, as the reporter does."""
        self.given += not name
        name = name or f"one-{self.given:06d}"
        rundir.make_service_folder(self.config.run_path, "reporter")
        (rundir.make(commands_of(self.config.run_path, "reporter")) / f"{name}{SUFFIX}").write_bytes(data)

    def answer(self, name: str = "") -> Answer:
        """The answer. The sender then removes its command, and the recorder's next tick removes the answer."""
        name = name or f"one-{self.given:06d}"
        path = answers_for(self.config.run_path, "reporter") / f"{name}{ANSWER}"
        found = msgspec.json.decode(path.read_bytes(), type=Answer)
        (commands_of(self.config.run_path, "reporter") / f"{name}{SUFFIX}").unlink(missing_ok=True)
        return found

    def command(self, data: bytes) -> Answer:
        self.give(data)
        self.tick()
        return self.answer()

    def take_roles(self, version: int = 1) -> None:
        assert self.command(self.signed("roles", "authority", self.people.roles(version), "linetap-roles")).done

    def signed(
        self, verb: str, role: str, data: bytes, namespace: str, by: str = "",
        cosigned: tuple[str, ...] = (), **body: str,
    ) -> bytes:  # fmt: skip
        """A command that contains a signed document."""
        signature = sshsig.sign(data, self.people.of(by or role), namespace)
        return self.envelope(verb, role, {"document": data.decode(), "sig": signature, **body}, cosigned=cosigned)

    def hold(self, record: CallRecord, until_ns: int, **other: Any) -> bytes:
        """A hold's command, as made by `linetap hold wrap` and `linetap command sign`."""
        key_age = other.pop("sealed_key", None) or age.encrypt(b"an inner key", [keys.new_identity().recipient])
        fields: dict[str, Any] = {
            "call_id": record.call_id, "unit": UNIT,
            "record_sha256": hashlib.sha256(sealed.public_json(record)).hexdigest(),
            "key_sha256": hashlib.sha256(key_age).hexdigest(),
            "from_epoch": "", "to": "", "made_at": START,
            "case": "2026-117", "basis": "Civil Procedure Act 344", "until": rfc3339(until_ns),
        }  # fmt: skip
        by = other.pop("by", "")
        data = hold.encode(hold.Hold(**{**fields, **other}))
        return self.signed("hold", "vault", data, namespaces.HOLD, by, key_age=base64.b64encode(key_age).decode())

    def tell_time(
        self, role: str, utc_ns: int | None = None, challenge: str | None = None, cosigned: tuple[str, ...] = ()
    ) -> Answer:
        utc = rfc3339(self.clock.utc_ns() if utc_ns is None else utc_ns)
        body = {"challenge": challenge or self.upkeep.time.challenge, "utc": utc}
        return self.command(self.envelope("time", role, body, cosigned=cosigned))

    def confirm_time(self, utc_ns: int | None = None) -> Answer:
        """Confirms the time by two officers of the vault."""
        return self.tell_time("vault", utc_ns, cosigned=("second",))


def midnight(at_ns: int, days: int) -> int:
    """24:00 in Seoul on the day `days` after that of `at_ns`."""
    seoul = 9 * 3600 * NS_PER_S
    return ((at_ns + seoul) // DAY + days + 1) * DAY - seoul


Make = Callable[[], Keeper]
MS = NS_PER_MS
