# SPDX-License-Identifier: Apache-2.0
"""A unit whose index the desk has, the desk's pages, and a searching custodian with the index key."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from index_rig import IndexDesk
from servesite import ServeSite
from sqlalchemy import select

from keeping_rig import UNIT
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry, read_log
from linetap_desk.custody.search.connection import DeskConnection
from linetap_desk.custody.search.session import SearchSession
from linetap_desk.proofs import callfolder
from linetap_desk.searching.departments import Departments, Row
from linetap_desk.searching.indexsearch import IndexKeys
from linetap_desk.serve.database.tables import access
from release_rig import Desk

TABLES = 'db = "sqlite:///{db}"\nsigners = "{signers}"\n[copy]\nstore = "file://{store}"\n'
SERVE = 'roles = "{root}/roles.json"\nauthority = "{root}/authority.pub"'
FIELDS = {"purpose": "dispute", "case": "2026-117", "from": "2026-11-20", "to": "2026-11-30"}
ZONE = ZoneInfo("Asia/Seoul")


class SearchHouse:
    """`with house.served: house.session()`."""

    def __init__(self, folder: Path, run_dir: Path) -> None:
        for name in ("unit", "people"):
            (folder / name).mkdir()
        self.central = IndexDesk(folder / "unit", run_dir)
        self.unit, self.clock = self.central.unit, self.central.clock
        self.people = Desk.make(folder / "people")
        self.signers_file = self.people.folder / "allowed_signers"
        shutil.copy(folder / "unit" / "allowed_signers", self.signers_file)
        self.key = folder / "unit" / "epoch.txt"
        tables = TABLES.format(
            db=folder / "unit" / "desk.db", signers=folder / "unit" / "allowed_signers", store=self.central.store
        )
        self.served = ServeSite(folder / "server", self.clock, SERVE.format(root=self.people.root), tables)
        self.table: list[Row] = []
        self.connections: list[DeskConnection] = []

    def copied(self, *numbers: str) -> None:
        """Makes calls of these numbers, and lets the desk copy their index."""
        for number in numbers:
            self.unit.call(number)
        for _ in range(10):  # a desk polls every ten minutes
            self.central.turns(70)
            if not self.central.differences():
                return
        raise AssertionError(f"not copied: {self.central.differences()}")

    def reason(self, role: str = "custodian", **more: str) -> httpx.Response:
        client = self.served.client(role)
        client.cookies.set("__Host-linetap-language", "en", domain="127.0.0.1")
        return self.served.post(client, "/find", **(FIELDS | more))

    def ticket(self, **more: str) -> str:
        answer = self.reason(**more)
        assert answer.status_code == 200, answer.text
        found = re.search(r'id="ticket">([\w-]+)<', answer.text)
        assert found is not None
        return found[1]

    def connection(self, **more: str) -> DeskConnection:
        self.connections.append(DeskConnection(self.served.url, self.served.ca, self.ticket(**more)))
        return self.connections[-1]

    def session(self, keys: Path | None = None, load: bool = True, **more: str) -> SearchSession:
        found = SearchSession(
            self.connection(**more), deskfolder.open_desk(self.people.folder, self.clock),
            callfolder.load_signers(self.signers_file), IndexKeys([keys or self.key]), Departments(self.table), ZONE,
            self.clock,
        )  # fmt: skip
        if load:
            found.load()
        return found

    def found(self, session: SearchSession, kind: Any, typed: str) -> list[str]:
        """Numbers of the found calls."""
        answer = session.search(kind, typed, session.begun.first, session.begun.last)
        return [row.entry.number for row in answer.rows]

    # --- the logs ----------------------------------------------------------------------------------------------------

    def rows(self, act: str = "find") -> list[dict[str, Any]]:
        """The rows of the desk's access log."""
        with self.served.site.own.connect() as db:
            found = db.execute(select(access).where(access.c.act == act).order_by(access.c.seq)).mappings()
            return [dict(row) for row in found]

    def own_entries(self) -> list[Entry]:
        """The entries of the custodian's log."""
        return [entry for entry in read_log(self.people.folder / "access")[0] if entry.verb == "find"]

    def server_files(self) -> bytes:
        """The content of all of the server's files."""
        return b"".join(path.read_bytes() for path in self.served.folder.rglob("*") if path.is_file())

    def close(self) -> None:
        for connection in self.connections:
            connection._connection.close()
        self.central.close()


__all__ = ["FIELDS", "UNIT", "SearchHouse"]
