# SPDX-License-Identifier: Apache-2.0
"""The desk's pages with people with keys, two sealed calls in the second copy, and the people's actions."""

from __future__ import annotations

import contextlib
import hashlib
import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from servesite import ServeSite
from sqlalchemy import insert, select

import sealing_rig
from linetap_core.clock import SYSTEM, Clock, parse_rfc3339, rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import closing_path
from linetap_desk.ingest import database, tables
from linetap_desk.serve.database.tables import access
from linetap_desk.serve.people import sessions
from linetap_desk.web import secure
from release_rig import KIM, NOW, PARK, Desk
from sealing_rig import CALL_ID, UNIT

NOW_NS = parse_rfc3339("2026-11-27T01:00:00Z")
TABLES = """db = "sqlite:///desk.db"
signers = "{signers}"
[copy]
store = "file://{copies}"
holds = "{holds}"
"""
SERVE = 'roles = "{root}/roles.json"\nauthority = "{root}/authority.pub"'
LEGAL, MANAGER = "approver-legal", "approver-manager"
SIGNS = {LEGAL: PARK, MANAGER: KIM}  # the account's role -> owner of the key at that desk


class ReleaseHouse:
    """`with house.served: house.ask()`; each person of a role is one account of that name.

    `more`: lines of desk.toml's [serve] table; `top`: those before the first table.
    """

    def __init__(self, desk: Desk, clock: Clock = SYSTEM, copied: bool = True, more: str = "", top: str = "") -> None:
        self.desk, self.clock, self.folder = desk, clock, desk.root / "server"
        self.copies = desk.root / "copies"
        self.copies.mkdir()
        self.folder.mkdir()
        self.engine = database.open_writer(f"sqlite:///{self.folder / 'desk.db'}")
        for call in (desk.call, desk.other):
            self.know(call, copied)
        self.holds = desk.root / "holds"
        text = top + TABLES.format(signers=desk.rig.signers_file, copies=self.copies, holds=self.holds)
        self.served = ServeSite(self.folder, clock, f"{SERVE.format(root=desk.root)}\n{more}", text)
        self.clients: dict[str, httpx.Client] = {}

    def know(self, call: Path, copied: bool) -> None:
        """Stores the call like the ingest, from the unit's signed events."""
        digest = hashlib.sha256((call / sealed.RECORD).read_bytes()).hexdigest()
        at = rfc3339(sealed.call_ns(call.name))
        row: dict[str, Any] = {
            "unit": UNIT, "call_id": call.name, "line": 3, "direction": "in", "disposition": "recorded",
            "began_at": at, "sealed_at": at, "record_sha256": digest, "late": False,
        }  # fmt: skip
        with self.engine.begin() as db:
            db.execute(insert(tables.calls).values(**row))
        if copied:
            self.copy(call)
            self.close_in_log(call)

    def copy(self, call: Path) -> Path:
        place = self.copies / UNIT / sealed.call_path(call.name)
        shutil.copytree(call, place)
        return place

    def close_in_log(self, call: Path) -> Path:
        """Puts the call into its unit's log, and the closing beside the copy, like the ingest; returns its file."""
        log = self.desk.rig.log()
        log.publish()
        found = log.closing(call.name)
        log.close()
        assert found is not None
        path = self.copies / UNIT / closing_path(call.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(closing.encode(found))
        return path

    def client(self, role: str, name: str = "") -> httpx.Client:
        name = name or role
        if name not in self.clients:
            self.clients[name] = self.served.client(*role.split(","), name=name)
            self.clients[name].cookies.set("__Host-linetap-language", "en", domain="127.0.0.1")
        return self.clients[name]

    # --- the steps ------------------------------------------------------------------------------------------------

    def ask(self, **more: str) -> httpx.Response:
        fields = {
            "unit": UNIT, "call_id": CALL_ID, "purpose": "dispute", "case": "2026-117", "requester": "Jung",
            "recipient": self.desk.requester.recipient, "days": "7",
        } | more  # fmt: skip
        return self.served.post(self.client("officer"), "/release/ask", **fields)

    def asked(self, **more: str) -> str:
        answer = self.ask(**more)
        assert answer.status_code == 303, refusal(answer)
        return answer.headers["location"].rpartition("/")[2]

    def key(self, request_id: str, one_time: str = "", role: str = "custodian", name: str = "") -> httpx.Response:
        one_time = one_time or self.new_key(request_id)
        return self.served.post(self.client(role, name), f"/release/{request_id}/key", one_time=one_time)

    def new_key(self, request_id: str) -> str:
        identity = keys.new_identity()
        self.desk.one_time_file(request_id).write_text(keys.identity_file(identity, NOW))
        return identity.recipient

    def keyed(self, **more: str) -> str:
        request_id = self.asked(**more)
        assert self.key(request_id).status_code == 303
        return request_id

    def request(self, request_id: str) -> Path:
        """request.json as downloaded."""
        path = self.desk.root / f"{request_id}.json"
        path.write_bytes(self.client("vault").get(f"/release/{request_id}/request.json").content)
        return path

    def signature(self, request_id: str, who: str, namespace: str = "linetap-release") -> bytes:
        sig = self.desk.root / f"{request_id}.{len(who)}.sig"
        self.desk.stock_sign(self.request(request_id), who, sig, namespace)
        return sig.read_bytes()

    def approve(self, request_id: str, role: str, sig: bytes | None = None, name: str = "") -> httpx.Response:
        sig = self.signature(request_id, SIGNS[role]) if sig is None else sig
        return self.bring(f"/release/{request_id}/approve", sig, role, name)

    def approved(self, **more: str) -> str:
        request_id = self.keyed(**more)
        for role in (LEGAL, MANAGER):
            answer = self.approve(request_id, role)
            assert answer.status_code == 303, refusal(answer)
        return request_id

    def half(self, request_id: str) -> bytes:
        """The output of a vault officer's unwrap."""
        script = (
            f"age -d -i {self.desk.rig.epoch_file} {self.desk.call}/key.age"
            f" | age -r $(age-keygen -y {self.desk.one_time_file(request_id)})"
        )
        return sealing_rig.run(["sh", "-c", script]).stdout

    def unwrapped(self, **more: str) -> str:
        request_id = self.approved(**more)
        answer = self.bring(f"/release/{request_id}/unwrap", self.half(request_id), "vault")
        assert answer.status_code == 303, refusal(answer)
        return request_id

    def bring(self, path: str, data: bytes, role: str, name: str = "", **fields: str) -> httpx.Response:
        client = self.client(role, name)
        token = secure.token_of(str(client.cookies.get(sessions.COOKIE)))
        files = {"file": ("file", data)}
        return client.post(path, data={secure.FIELD: token, **fields}, files=files, headers={"origin": self.served.url})

    def close(self, request_id: str, role: str = "custodian", **fields: str) -> httpx.Response:
        return self.served.post(self.client(role), f"/release/{request_id}/close", **fields)

    def ticket(self, request_id: str) -> str:
        answer = self.served.post(self.client("custodian"), f"/release/{request_id}/ticket")
        found = re.search(r'id="ticket">([^<]+)<', answer.text)
        assert found, refusal(answer)
        return found[1]

    def fetch(self, ticket: str) -> httpx.Response:
        return self.served.client().get("/package", headers={"authorization": f"Bearer {ticket}"})

    def log(self) -> list[tuple[str, str, str, str]]:
        """Person, act and outcome of each row, and the code of a refusal."""
        with self.served.site.own.connect() as db:
            rows = db.execute(select(access).order_by(access.c.seq)).all()
        return [(row.person, row.act, row.outcome, row.remark) for row in rows]


@contextlib.contextmanager
def served_at(desk: Desk, clock: Clock, top: str = "") -> Iterator[ReleaseHouse]:
    """The served pages; the people's tools use the same clock."""
    desk.clock.step_utc(NOW_NS - desk.clock.utc_ns())
    house = ReleaseHouse(desk, clock, top=top)
    with house.served:
        yield house
    house.engine.dispose()


def refusal(answer: httpx.Response) -> str:
    """The code shown on the page; otherwise the status."""
    found = re.search(r'role="alert".*?<code>(\w+)</code>', answer.text, re.DOTALL)
    return html.unescape(found[1]) if found else str(answer.status_code)
