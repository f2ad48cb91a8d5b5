# SPDX-License-Identifier: Apache-2.0
"""An ingest's copying without a network: a real vault answers the requests, and the test controls the clock."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, insert, select

from broker import until
from ingest_rig import Teller, rows
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.broker.connection import Arrived
from linetap_core.clock import ManualClock, rfc3339
from linetap_core.evidence.authorization import fetch
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.fetch import Close, Copied, Window
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog.closing import Closing, closing_path
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import Audio, CallRecord, Part, Retention
from linetap_core.wire.mqtt import Message
from linetap_desk.config.desk import CopyConfig
from linetap_desk.copy.service import Copying, start_copies
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.store import Store

UNIT = "floor-03"
DAY_NS = 86_400 * 10**9
Asked = tuple[Window | Copied | Close, bytes | None]


class Units:
    """`sealed_call` makes a call at the unit; `serve` delivers the desk's requests, and the unit's answers."""

    def __init__(self, folder: Path, clock: ManualClock, engine: Engine | None = None, **config: Any) -> None:
        self.folder, self.clock = folder, clock
        self.vault, self.store, self.holds = folder / "vault", folder / "store", folder / "holds"
        for path in (self.vault, self.store, self.holds):
            path.mkdir(exist_ok=True)
        self.teller = Teller(folder)
        (folder / "allowed_signers").write_text(self.teller.signer)
        self.signers = SignersFile(folder / "allowed_signers")
        self.engine: Engine = engine or database.open_writer(f"sqlite:///{folder / 'desk.db'}")
        self.config = msgspec.convert(
            {"store": f"file://{self.store}", "holds": str(self.holds), "day_kbit_s": None, "index_minutes": 0}
            | config,
            CopyConfig,
        )
        self.changed: dict[str, bytes] = {}  # file -> the broker's change of each of its blocks
        self.asked: list[Window | Copied] = []
        self.closes_asked: list[str] = []
        self.closings: dict[str, Closing] = {}  # call -> the unit's answer
        self.asked_ns: list[int] = []  # monotonic time of each request
        with self.engine.begin() as db:
            db.execute(insert(tables.units).values(unit=UNIT, named=True, state="online", set_aside=0))
        self.copying = self.start()

    def start(self) -> Copying:
        self.copying = start_copies(self.config, self.engine, self.signers, self._say, self.clock)
        return self.copying

    def restart(self) -> None:
        self.copying.end()
        self.start()

    # --- the unit --------------------------------------------------------------------------------------------------

    def sealed_call(self, minute: int, samples: int = 1000, days: float = 60, **more: Any) -> CallRecord:
        """A sealed call whose event is stored at the desk."""
        call_id = f"20261124T22{minute:02d}00.000Z-L01"
        folder = self.folder_of(call_id)
        folder.mkdir(parents=True)
        content = {"key.age": b"key", "meta.age": b"meta", "audio.001.age": bytes(samples)}
        for name, data in content.items():
            (folder / name).write_bytes(data)
        until_ns = sealed.call_ns(call_id) + round(days * DAY_NS)
        record = CallRecord(
            call_id=call_id, unit=UNIT, line=1, files={n: hashlib.sha256(d).hexdigest() for n, d in content.items()},
            audio=Audio(samples=samples, parts=[Part("audio.001.age", 0, samples)]),
            retention=Retention(class_="standard", epoch="", until=rfc3339(until_ns)),
        )  # fmt: skip
        record = msgspec.structs.replace(record, **more)
        self.seal(folder, sealed.public_json(record))
        self.tell("started", call_id)
        self.tell("ended", call_id, direction="in", disposition="recorded", duration_s=12.5)
        digest = hashlib.sha256((folder / "record.json").read_bytes()).hexdigest()
        self.tell("sealed", call_id, disposition="recorded", record_sha256=digest)
        return record

    def log(self, record: CallRecord) -> Closing:
        """Puts the call into the unit's log; the unit answers with its closing."""
        log = UnitLog(self.vault, UNIT, self.teller.key, self.clock)
        log.close_call(record.call_id)
        found = log.closing(record.call_id)
        log.close()
        assert found is not None
        self.closings[record.call_id] = found
        return found

    def seal(self, folder: Path, record: bytes) -> None:
        (folder / "record.json").write_bytes(record)
        signature = sshsig.sign(record, self.teller.key, namespaces.RECORD)
        (folder / "record.json.sig").write_text(signature)

    def tell(self, event: Any, call_id: str, at_ns: int | None = None, **more: Any) -> None:
        at_ns = sealed.call_ns(call_id) + self.teller.outbox.last_seq if at_ns is None else at_ns
        self.teller.tell(event, at=rfc3339(at_ns), call_id=call_id, **more)
        Store(self.engine).write(self.teller.reports(self.teller.outbox.last_seq), self.signers.now())

    def folder_of(self, call_id: str) -> Path:
        return self.vault / sealed.call_path(call_id)

    # --- transport -------------------------------------------------------------------------------------------------

    def serve(self, most_blocks: int = 1000) -> int:
        """Runs the desk until it requests nothing more, or this many blocks have arrived; returns their number."""
        blocks = idle = 0
        while idle < 3:
            asked = [self._read(saying) for saying in self.copying.turn()]
            idle = 0 if asked else idle + 1
            for wanted, correlation in asked:
                if isinstance(wanted, Close):
                    self.closes_asked.append(wanted.call_id)
                    self.copying.arrived(UNIT, self._closing(wanted, correlation))
                    continue
                self.asked.append(wanted)
                self.asked_ns.append(self.clock.monotonic_ns())
                if isinstance(wanted, Copied):
                    self.tell("copied", wanted.call_id, record_sha256=wanted.record_sha256)
                    continue
                for message in self._blocks(wanted, correlation):
                    if blocks == most_blocks:
                        return blocks
                    blocks += 1
                    self.copying.arrived(UNIT, message)
            until(lambda: self.copying._worker.busy <= self.copying._worker._finished.qsize())
            self.clock.advance(1_100_000_000)
        return blocks

    def _closing(self, wanted: Close, correlation: bytes | None) -> Arrived:
        """The closing; a unit without one answers like an earlier version."""
        found = self.closings.get(wanted.call_id)
        code = "command_malformed" if found is None else "done"
        answer = Answer(unit=UNIT, at="", done=found is not None, code=code, text="", closing=found)
        return arrived(msgspec.json.encode(answer), {}, correlation)

    def _blocks(self, wanted: Window, correlation: bytes | None) -> list[Arrived]:
        folder, left, found = self.folder_of(wanted.call_id), wanted.most, list[Arrived]()
        if not (folder / wanted.file).exists():
            answer = Answer(unit=UNIT, at="", done=False, code="fetch_no_call", text="not here")
            return [arrived(msgspec.json.encode(answer), {}, correlation)]
        names = fetch.ordered(path.name for path in folder.iterdir())
        for name in names[names.index(wanted.file) :]:
            offset = wanted.first if name == wanted.file else 0
            data = (folder / name).read_bytes()
            while offset < len(data) and left:
                block = data[offset : offset + min(fetch.BLOCK_BYTES, left)]
                header = {"call": wanted.call_id, "file": name, "offset": str(offset), "total": str(len(data))}
                found.append(arrived(self.changed.get(name, block), header, correlation))
                offset, left = offset + len(block), left - len(block)
        return found

    def _say(self, unit: str, verb: str, body: dict[str, str]) -> Message:
        return Message(f"{unit}/{verb}", msgspec.json.encode(body))

    def _read(self, saying: Message) -> Asked:
        found = fetch.parse(msgspec.json.decode(saying.payload, type=dict[str, str]))
        assert isinstance(found, Window | Copied | Close)
        return found, saying.correlation

    # --- results ---------------------------------------------------------------------------------------------------

    def copy_of(self, record: CallRecord) -> Path:
        return self.store / UNIT / sealed.call_path(record.call_id)

    def closing_of(self, record: CallRecord) -> Path:
        return self.store / UNIT / closing_path(record.call_id)

    def is_copied(self, record: CallRecord) -> bool:
        """Whether the copy is complete, byte for byte."""
        copy, own = self.copy_of(record), self.folder_of(record.call_id)
        return copy.is_dir() and contents(copy) == contents(own)

    def row(self, record: CallRecord, table: Any = tables.calls) -> dict[str, Any]:
        return next(row for row in rows(self.engine, table) if row["call_id"] == record.call_id)

    def events_of(self, record: CallRecord) -> list[dict[str, Any]]:
        with self.engine.connect() as db:
            wanted = select(tables.events).where(tables.events.c.call_id == record.call_id)
            return [dict(row) for row in db.execute(wanted.order_by(tables.events.c.seq)).mappings()]

    def close(self) -> None:
        self.copying.end()
        self.engine.dispose()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class _NoConnection:
    def acknowledge(self, mid: int) -> None:
        pass


def arrived(payload: bytes, header: dict[str, str], correlation: bytes | None) -> Arrived:
    nobody: Any = _NoConnection()
    return Arrived(nobody, 0, f"linetap/v1/{UNIT}/reply/fetch", payload, header, correlation or b"", False, None)
