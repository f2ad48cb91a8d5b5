# SPDX-License-Identifier: Apache-2.0
"""Units with a real outbox, as received by an ingest; and an ingest as a separate process."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
import sqlalchemy

from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.records import CallEvent, EventKind
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.judge import Report

UNIT = "floor-03"
START_NS = parse_rfc3339("2026-11-24T22:56:00Z")
END_S = 120.0
COMMAND = (sys.executable, "-m", "linetap", "desk", "ingest")


@dataclass
class Teller:
    """A unit with its own key and outbox."""

    folder: Path
    unit: str = UNIT
    max_bytes: int = 1 << 24
    key: SigningKey = dataclasses.field(default_factory=keys.new_unit_key)
    vault: str = ""

    def __post_init__(self) -> None:
        origin = keys.fingerprint(self.key.public_key())
        self.outbox = Outbox(self.folder / "outbox", self.unit, self.sign, origin, self.max_bytes, vault=self.vault)
        self._first = self.outbox.first_seq

    def sign(self, data: bytes) -> str:
        return sshsig.sign(data, self.key, namespaces.EVENT)

    @property
    def origin(self) -> str:
        return keys.fingerprint(self.key.public_key())

    @property
    def signer(self) -> str:
        return f"{self.unit} {keys.public_line(self.key.public_key())}\n"

    def tell(self, event: EventKind = "started", call: int = 0, **more: Any) -> int:
        """Reports an event, one second after the last; returns its seq."""
        at = rfc3339(START_NS + (self.outbox.last_seq + 2 - self._first) * NS_PER_S)
        fields: dict[str, Any] = {"at": at, "call_id": f"20261124T2256{call:02d}.000Z-L01", "line": 1} | more
        return self.outbox.append(CallEvent(seq=0, event=event, unit="", **fields))

    def call(self, call: int, **sealed: str) -> None:
        """Reports a whole call: five events. `sealed`: additional fields of the last one."""
        for event in ("started", "notice", "answered"):
            self.tell(event, call, direction="in")
        self.tell("ended", call, direction="in", disposition="recorded", duration_s=12.5)
        self.tell("sealed", call, disposition="recorded", gaps_ms=0.0, record_sha256="ab" * 32, **sealed)

    def reports(self, first: int = 1, most: int = 100_000, late_s: int = 0) -> list[Report]:
        """The reports, received a second after their events, or later."""
        found = OutboxReader(self.folder / "outbox").from_seq(first, most)
        return [self.report(payload, unarmored(sig), late_s) for _, payload, sig in found]

    def report(self, payload: bytes, sig: str | None = None, late_s: int = 0) -> Report:
        """A report; with `sig` None it is signed here."""
        at_ns = parse_rfc3339(msgspec.json.decode(payload)["at"]) if payload.startswith(b"{") else START_NS
        sig = unarmored(self.sign(payload)) if sig is None else sig
        return Report(self.unit, payload, sig, at_ns + (1 + late_s) * NS_PER_S)


def trusted(*tellers: Teller) -> list[Signer]:
    return signers.parse("".join(teller.signer for teller in tellers))


def rows(engine: sqlalchemy.Engine, table: sqlalchemy.Table) -> list[dict[str, Any]]:
    """Every row, ordered by its key."""
    with engine.connect() as db:
        found = db.execute(sqlalchemy.select(table).order_by(*table.primary_key))
        return [dict(row) for row in found.mappings()]


class Ingesting:
    """`linetap desk ingest` on a broker of the loopback; it can be killed and restarted."""

    def __init__(self, folder: Path, port: int, signers_file: Path, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self.db = f"sqlite:///{folder / 'desk.db'}"
        self.log = folder / "ingest.log"
        self.words = ["--broker", f"mqtt://127.0.0.1:{port}", "--signers", str(signers_file), "--db", self.db]
        self._process: subprocess.Popen[bytes] | None = None
        self._engine: sqlalchemy.Engine | None = None

    def start(self, *more: str) -> Self:
        command = [*self._command, *self.words, *more]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(END_S)

    def end(self) -> int:
        """Sends SIGTERM; returns its exit status. TimeoutExpired if it hangs."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(END_S)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(END_S)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def engine(self) -> sqlalchemy.Engine:
        if self._engine is None:
            self._engine = database.open_writer(self.db)
        return self._engine

    def count(self, table: sqlalchemy.Table = tables.events) -> int:
        with self.engine.connect() as db:
            return db.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)).scalar_one()

    def seqs(self) -> list[int]:
        """The numbers of all events of all units, in the table's own order, including any duplicates."""
        with self.engine.connect() as db:
            return list(db.execute(sqlalchemy.select(tables.events.c.seq)).scalars())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(END_S)
        if self._engine is not None:
            self._engine.dispose()
