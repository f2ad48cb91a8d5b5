# SPDX-License-Identifier: Apache-2.0
"""A person at the desk who adopts new units, using only the forms of the page."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from servesite import ServeSite
from sqlalchemy import select

from adoption_rig import LIMIT_S, NewUnit
from broker import until
from linetap_core.enrolment.adoption import DIGITS
from linetap_core.enrolment.checkdigit import with_check
from linetap_desk.serve.database.tables import access
from linetap_desk.serve.people import sessions
from linetap_desk.web import secure

ROLE = "officer"


class Officer:
    """A person at the desk, using only the forms of the page."""

    def __init__(self, served: ServeSite) -> None:
        self.served, self.client = served, served.client(ROLE)

    def page(self) -> str:
        answer = self.client.get("/adoption")
        assert answer.status_code == 200
        return answer.text

    def post(self, path: str, files: dict[str, bytes] | None = None, **fields: str) -> httpx.Response:
        token = secure.token_of(str(self.client.cookies.get(sessions.COOKIE)))
        return self.client.post(
            path, data={secure.FIELD: token, **fields}, headers={"origin": self.served.url},
            files=None if files is None else {name: (name, data) for name, data in files.items()},
        )  # fmt: skip

    def prepare(self, unit: NewUnit) -> httpx.Response:
        desk = unit.card.desk
        order, signature = (desk / "linetap.toml").read_bytes(), (desk / "linetap.toml.sig").read_bytes()
        return self.post("/adoption/prepare", {"file": order, "signature": signature})

    def runs(self) -> list[str]:
        return re.findall(r'action="/adoption/run/([0-9a-f]{64})"', self.page())

    def asking(self) -> list[str]:
        return re.findall(r'action="/adoption/run/([0-9a-f]{64})/choose"', self.page())

    def chooses(self) -> str:
        """Chooses the last requesting unit, which then counts its digits."""
        until(lambda: len(self.asking()) > 0, LIMIT_S)
        run = self.asking()[-1]
        assert self.post(f"/adoption/run/{run}/choose").status_code == 303
        return run

    def waits(self) -> str:
        """The state of the chosen exchange."""
        until(lambda: len(self.runs()) > 0, LIMIT_S)
        return self.runs()[0]

    def compare(self, digits: str, run: str = "", adoption: str = "") -> httpx.Response:
        """Types the digits; six get their check digit."""
        chosen = adoption or self.free()
        typed = with_check(digits) if len(digits) == DIGITS and digits.isascii() else digits
        return self.post(f"/adoption/run/{run or self.waits()}", digits=typed, id=chosen)

    def free(self) -> str:
        """A configuration that waits for its unit."""
        return str(re.findall(r'<option value="([^"]+)"', self.page())[0])

    def state(self) -> list[str]:
        return re.findall(r'data-state="(\w+)"', self.page())

    def certify(self, unit: NewUnit, folder: Path) -> None:
        until(lambda: "requested" in self.state(), LIMIT_S)
        (name,) = set(re.findall(r'href="(/adoption/[^"]+/request)"', self.page()))
        asked = self.client.get(name)
        assert asked.status_code == 200
        (folder / "got.request").write_bytes(asked.content)
        assert unit.pki.run("unit", str(folder / "got.request"), "-o", str(folder / "got.pem")) == 0
        pem = (folder / "got.pem").read_bytes()
        assert self.post(name.replace("/request", "/certificate"), {"file": pem}).status_code == 303

    def log(self) -> list[tuple[str, str]]:
        with self.served.site.own.connect() as db:
            rows = db.execute(select(access.c.act, access.c.outcome).order_by(access.c.seq)).all()
        return [(row.act, row.outcome) for row in rows if row.act.startswith("adopt_")]
