# SPDX-License-Identifier: Apache-2.0
"""A house with two units whose events are signed, a second copy, a hold and a table of seats; its pages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from calls_rig import EVIL
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from servesite import ServeSite
from sqlalchemy import insert

from ingest_rig import Teller, trusted
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339, rfc3339
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import Audio, CallRecord, EndRecord, Gap, Mark, NoticeRecord, Part, Retention
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.destroyedcalls import clear_destroyed
from linetap_desk.ingest.heads import HeadReport
from linetap_desk.ingest.outages import Outages
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store

UNIT, OTHER = "main-03", "main-04"
NOON_NS = parse_rfc3339("2026-11-24T03:00:00Z")  # 12:00 in Seoul
NOW_NS = parse_rfc3339("2026-11-24T09:00:00Z")
LINES = f"""unit,line,extension,department,from
{UNIT},1,2001,민원실,2026-01-01
{UNIT},1,2002,세무과,2026-11-24 13:00
{UNIT},2,2003,"{EVIL.replace('"', '""')}",2026-01-01
{OTHER},,3001,세무과,2026-01-01
"""
PLACES = f'["본관"]\n{UNIT} = 3\n{OTHER} = "4층"\n'
DESK = """db = "sqlite:///desk.db"
signers = "allowed_signers"
[copy]
store = "file://{copies}"
holds = "holds"
[watch]
places = "places.toml"
"""


def name_of(at_ns: int, line: int) -> str:
    return f"{rfc3339(at_ns).replace('-', '').replace(':', '')}-L{line:02d}"


class CallsHouse:
    """`names`: the tests' names of its calls -> call_id."""

    def __init__(self, folder: Path, url: str = "") -> None:
        """`url`: of a database other than SQLite."""
        self.folder, self.copies = folder, folder / "copies"
        self.names: dict[str, str] = {}
        self.ends: dict[str, str] = {}  # call_id -> reason of its end
        self.engine = database.open_writer(url or f"sqlite:///{folder / 'desk.db'}")
        self.tellers = {unit: Teller(folder / unit, unit=unit, key=self.key_of(unit)) for unit in (UNIT, OTHER)}
        self.told: dict[str, int] = dict.fromkeys(self.tellers, 0)
        (folder / "allowed_signers").write_text("".join(teller.signer for teller in self.tellers.values()))
        (folder / "lines.csv").write_text(LINES)
        (folder / "places.toml").write_text(PLACES)
        self._hear(NOON_NS - 7200 * NS_PER_S, OTHER, UNIT)

    def key_of(self, _unit: str) -> Ed25519PrivateKey:
        return keys.new_unit_key()

    def fill(self) -> None:
        self.recorded("plain", UNIT, 1, 0)
        self.recorded("marked", UNIT, 1, 600, mark="abuse", gaps_ms=40.0)
        self.recorded("taxes", UNIT, 1, 7200)
        self.recorded("held", UNIT, 2, 900, direction="out")
        self.tell("held", UNIT, self.names["held"], 2, 1000)
        self.passed("internal", UNIT, 2, 1200, "skipped", why="internal")
        self.passed("discarded", UNIT, 2, 1300, "discarded", why="notice_failed")
        self.passed("evil", UNIT, 3, 1400, "discarded", why=EVIL, direction=EVIL, notice=EVIL)
        self.passed("missed", OTHER, 1, 1500, "missed")
        self.recorded("gone", OTHER, 2, 100)
        self.tell("destroyed", OTHER, self.names["gone"], 2, 9000, why="retention")
        self._store()
        with self.engine.begin() as db:
            clear_destroyed(db)
        self._copy("marked")
        self._hold("held")
        self._head()
        self.offline(OTHER, 3000, 4000)
        self._hear(NOW_NS - NS_PER_S, UNIT, OTHER)

    def tell(self, event: Any, unit: str, call_id: str, line: int, seconds: float, **more: Any) -> None:
        at = rfc3339(NOON_NS + round(seconds * NS_PER_S))
        self.tellers[unit].tell(event, at=at, call_id=call_id, line=line, **more)

    def recorded(self, name: str, unit: str, line: int, seconds: int, **more: Any) -> None:
        call_id = self.names[name] = name_of(NOON_NS + seconds * NS_PER_S, line)
        said: dict[str, Any] = {"direction": "in"} | {key: value for key, value in more.items() if key == "direction"}
        self.tell("started", unit, call_id, line, seconds, **said)
        self.tell("answered", unit, call_id, line, seconds + 5, **said)
        if "mark" in more:
            self.tell("marked", unit, call_id, line, seconds + 20, mark=more["mark"])
        end: dict[str, Any] = {}
        if situation := more.get("situation"):
            self.ends[call_id] = situation
            end = {"situation": situation, "seen_by": more.get("seen_by", "dial_tone")}
            self.tell("ending", unit, call_id, line, seconds + 40, situation=situation)
        said |= {"disposition": "recorded", "duration_s": more.get("duration_s", 55.0), "notice": "ko-1"}
        self.tell("ended", unit, call_id, line, seconds + 60, **said, **end)
        digest = hashlib.sha256(self._record(name, unit, line, seconds)).hexdigest()
        self.tell("sealed", unit, call_id, line, seconds + 61, disposition="recorded", record_sha256=digest,
                  gaps_ms=more.get("gaps_ms", 0.0), proof=more.get("proof", "full"), steps=more.get("steps", []),
                  **end)  # fmt: skip

    def passed(self, name: str, unit: str, line: int, seconds: int, disposition: str, **more: Any) -> None:
        call_id = self.names[name] = name_of(NOON_NS + seconds * NS_PER_S, line)
        fields = {"direction": "in", "disposition": disposition} | more
        self.tell("missed" if disposition == "missed" else "ended", unit, call_id, line, seconds, **fields)

    def offline(self, unit: str, since_s: int, until_s: int) -> None:
        for state, seconds in (("offline", since_s), ("online", until_s)):
            said = {"state": state, "session": "a", "version": "1", "since": "x"}
            self._write(UnitMessage(unit, "status", json.dumps(said).encode(), NOON_NS + seconds * NS_PER_S))

    def serve(self, clock: ManualClock | None = None, more: str = "") -> ServeSite:
        tables_of = DESK.format(copies=self.copies)
        return ServeSite(self.folder, clock or ManualClock(NOW_NS), f'lines = "lines.csv"\n{more}', tables_of)

    def outages(self, now_ns: int) -> Outages:
        return Outages(self.engine, ManualClock(now_ns, NS_PER_S))

    def _hear(self, at_ns: int, *units: str) -> None:
        for unit in units:
            said = {"at": rfc3339(at_ns), "outbox_seq": 0}
            self._write(UnitMessage(unit, "health", json.dumps(said).encode(), at_ns))

    def _write(self, notice: UnitMessage) -> None:
        Store(self.engine).write([notice], trusted(*self.tellers.values()))

    def _store(self) -> None:
        for teller in self.tellers.values():
            Store(self.engine).write(teller.reports(), trusted(*self.tellers.values()))

    def _record(self, name: str, unit: str, line: int, seconds: int) -> bytes:
        begin = NOON_NS + seconds * NS_PER_S
        audio = Audio(samples=400_000, gaps=[Gap(12.5, 40.0, "xrun")], parts=[Part("audio.001.age", 0, 400_000)])
        record = CallRecord(
            call_id=self.names[name], unit=unit, line=line, direction="in", ring_at=rfc3339(begin),
            off_hook_at=rfc3339(begin + 5 * NS_PER_S), answered_by="hook", ended_by="on_hook", duration_s=55.0,
            notice=NoticeRecord(id="ko-1", started_at=rfc3339(begin + 6 * NS_PER_S), proof="full", level_db=-6.2),
            audio=audio, marks=[Mark(20.0, "abuse")], dialled="01012345678",
            retention=Retention(class_="standard", epoch="2027-11-24", until="2027-11-24T15:00:00.000Z"),
        )  # fmt: skip
        if situation := self.ends.get(record.call_id):
            heard = NoticeRecord(id="end-abuse", started_at=rfc3339(begin + 41 * NS_PER_S), proof="full")
            record.end = EndRecord(
                situation=situation, by="code", code_at=rfc3339(begin + 40 * NS_PER_S), notice=heard,
                released_at=rfc3339(begin + 52 * NS_PER_S), seen_by="dial_tone",
            )  # fmt: skip
        return sealed.public_json(record)

    def _copy(self, name: str, line: int = 1, seconds: int = 600) -> None:
        folder = self.copies / UNIT / sealed.call_path(self.names[name])
        folder.mkdir(parents=True)
        data = self._record(name, UNIT, line, seconds)
        (folder / sealed.RECORD).write_bytes(data)
        with self.engine.begin() as db:
            db.execute(insert(tables.copies).values(
                unit=UNIT, call_id=self.names[name], record_sha256=hashlib.sha256(data).hexdigest(),
                until="2027-11-24T15:00:00.000Z", stored_at=rfc3339(NOW_NS - 3600 * NS_PER_S),
            ))  # fmt: skip

    def _hold(self, name: str) -> None:
        folder = self.folder / "holds" / self.names[name]
        folder.mkdir(parents=True)
        (folder / hold.HOLD).write_bytes(hold.encode(hold.Hold(
            call_id=self.names[name], unit=UNIT, record_sha256="ab" * 32, key_sha256="cd" * 32, from_epoch="2027-11-24",
            to="age1x", made_at=rfc3339(NOW_NS), case="2026-117", basis=EVIL, until="2028-01-31T15:00:00.000Z",
        )))  # fmt: skip

    def _head(self) -> None:
        teller = self.tellers[UNIT]
        at_ns = NOW_NS - 60 * NS_PER_S
        head = unitlog.encode_head(
            unitlog.Head(unit=UNIT, size=77, root="ef" * 32, at=rfc3339(at_ns), origin=teller.origin)
        )
        sig = sshsig.sign(head, teller.key, namespaces.HEAD)
        report = HeadReport(UNIT, head, "".join(sig.splitlines()[1:-1]), at_ns)
        Store(self.engine).write([report], trusted(*self.tellers.values()))
