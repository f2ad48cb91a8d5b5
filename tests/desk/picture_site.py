# SPDX-License-Identifier: Apache-2.0
"""A desk in the middle of a working day, always the same: the site of the pages' pictures."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import picture_release
from calls_house import LINES, NOW_NS, OTHER, UNIT, CallsHouse
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from fleet_rig import END_S, Speaking
from picture_list import Shot
from playwright.sync_api import Browser, Page
from servesite import ServeSite
from sqlalchemy import insert, select, update
from watch_rig import ALERT, LINE, OFFLINE, ONLINE

from broker import HOST, Broker, until
from epoch_rig import Authority
from linetap_core.clock import NS_PER_DAY, NS_PER_S, SYSTEM, ManualClock, parse_rfc3339, rfc3339
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import Begin, Opening
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import closing, merkle, unitlog
from linetap_core.evidence.merklelog.closing import Closing, closing_path
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.ingest.destroyedcalls import clear_destroyed
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.serve import commands
from linetap_desk.serve.database.accesslog import AccessTable, Subject
from linetap_desk.serve.database.tables import adoptions, invitations, people, sessions, shift_log
from linetap_desk.serve.database.transactions import writing
from linetap_desk.serve.live.hub import ShiftNote
from linetap_desk.serve.live.journal import Acknowledged, Reader
from linetap_desk.serve.orders.routes import keep_template
from linetap_desk.serve.orders.template import Template
from linetap_desk.serve.people import accounts, passkeys
from linetap_desk.serve.people.passkeys import Ceremony

ADDRESS = "https://desk.city.example"  # in the code on the printed page
MONTH_NS = parse_rfc3339("2026-10-06T00:30:00Z")
PLACES = f"""["*"]
"*" = {{ contact = "당직실 2000", power = "시설팀 2119", network = "정보통신과 2345", lines = "교환실 2400" }}
["본관"]
{UNIT} = 3
{OTHER} = 4
main-b1 = "B1"
["별관"]
annex-01 = 1
annex-02 = 2
"""
STANDINGS = {UNIT: "warning", OTHER: "warning", "main-b1": "fault", "annex-01": "offline", "annex-02": "unheard"}
SHOWN = {
    "officer": "김민지", "watch": "종합상황실", "auditor": "한지우", "custodian": "최은영", "vault": "오세훈",
    "approver-legal": "이서연", "approver-manager": "박준호",
}  # fmt: skip


EXTENSIONS = """extension,kind,department
2001,analog,민원실
2002,analog,세무과
2003,analog,여권팀
2004,analog,여권팀
2005,ip_phone,정보통신과
2006,digital_set,총무과
2007,fax,총무과
3001,analog,세무과
"""
ENDED_S = -2 * 86400 + 600  # two days before


class Noon(ManualClock):
    """A clock with a constant time of day; only the monotonic time runs."""

    def monotonic_ns(self) -> int:
        return SYSTEM.monotonic_ns()


class House(CallsHouse):
    def key_of(self, unit: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(unit.encode()).digest())

    def fill(self) -> None:
        rows = [line for line in LINES.splitlines(keepends=True) if "2003" not in line]
        (self.folder / "lines.csv").write_text("".join(rows) + f"{UNIT},2,2003,여권팀,2026-01-01\n")
        (self.folder / "places.toml").write_text(PLACES)
        (self.folder / "extensions.csv").write_text(EXTENSIONS)
        self.recorded("plain", UNIT, 1, 0)
        self.recorded("marked", UNIT, 1, 600, mark="abuse", gaps_ms=40.0)
        self.recorded("out", UNIT, 2, 900, direction="out")
        self.passed("internal", UNIT, 2, 1200, "skipped", why="internal")
        self.passed("discarded", UNIT, 2, 1300, "discarded", why="notice_failed")
        self.passed("missed", UNIT, 3, 1500, "missed")
        self.recorded("taxes", UNIT, 1, 7200)
        self.recorded("gone", UNIT, 2, 100)
        self.tell("destroyed", UNIT, self.names["gone"], 2, 9000, why="retention")
        for number, situation in enumerate(("abuse", "overlong", "abuse")):
            at_s = ENDED_S + 3600 * number
            steps = ["warned"] if situation == "overlong" else []
            self.recorded(f"ended-{number}", UNIT, number % 2 + 1, at_s, situation=situation, steps=steps)
        walked: dict[str, Any] = {"green": [1, 2, 4], "yellow": [3], "document_sha256": "5f" * 32}
        self.tellers[UNIT].tell("walked", at=rfc3339(MONTH_NS), call_id=None, line=None, **walked)
        self._store()
        with self.engine.begin() as db:
            clear_destroyed(db)
        self._copy("marked")
        self._copy("ended-0", 1, ENDED_S)
        self._close("marked")
        self._head()
        self.offline(OTHER, 3000, 4000)
        self._write(
            UnitMessage(
                "annex-01", "status", json.dumps({**OFFLINE, "session": "a"}).encode(), NOW_NS - 3000 * NS_PER_S
            )
        )
        self._hear(NOW_NS - NS_PER_S, UNIT, OTHER)

    def _close(self, name: str) -> None:
        """Writes the proof from a log of one leaf."""
        call_id, teller = self.names[name], self.tellers[UNIT]
        digest = hashlib.sha256(
            (self.copies / UNIT / sealed.call_path(call_id) / sealed.RECORD).read_bytes()
        ).hexdigest()
        leaf = msgspec.json.encode(
            {"kind": "close", "at": rfc3339(NOW_NS), "call_id": call_id, "record_sha256": digest}
        )
        root = merkle.leaf_hash(leaf).hex()
        head = unitlog.encode_head(unitlog.Head(unit=UNIT, size=1, root=root, at=rfc3339(NOW_NS), origin=teller.origin))
        sig = sshsig.sign(head, teller.key, namespaces.HEAD)
        path = self.copies / UNIT / closing_path(call_id)
        path.parent.mkdir(parents=True)
        path.write_bytes(closing.encode(Closing(leaf=leaf.decode(), path="leaf 0 of 1\n", head=head.decode(), sig=sig)))


@dataclass
class PictureSite:
    served: ServeSite
    calls: dict[str, str]

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator[PictureSite]:
        """A site in `folder`, which is created and whose name is on the page of a call."""
        with contextlib.ExitStack() as held:
            broker = held.enter_context(Broker(folder / "broker", saves=False))
            floor = Speaking(broker.port)
            held.callback(floor.close)
            _speak(floor)
            (folder / "desk").mkdir()
            house = House(folder / "desk")
            held.callback(house.engine.dispose)
            house.fill()
            picture_release.write_roles(folder / "desk")
            served = house.serve(Noon(NOW_NS), f'extensions = "extensions.csv"\n{picture_release.SERVE}')
            text = served.config.read_text()
            served.config.write_text(f'outgoing = "outgoing"\n{text}[broker]\nhost = "{HOST}"\nport = {broker.port}\n')
            _work(served.config)
            held.enter_context(served)
            picture_release.register(served.site, NOW_NS)
            picture_release.ask(served.site, UNIT, house.names["marked"], NOW_NS)
            picture_release.command(folder / "desk" / "outgoing", sorted(STANDINGS), NOW_NS)
            _adopt(served)
            _lose(served)
            until(lambda: _standings(served) == STANDINGS, END_S)
            _keep_watch(served)
            yield cls(served, house.names)

    def address(self, shot: Shot) -> str:
        return shot.address.format(call=self.calls["marked"], ended=self.calls["ended-0"])

    def open(self, browser: Browser, shot: Shot) -> Page:
        """Opens the page and waits until it no longer changes."""
        roles = (shot.role,) if shot.role else ()
        context = self.served.context(
            browser, *roles, name=f"{shot.role}-locked" if shot.locked else "", scheme=shot.scheme
        )
        if shot.locked:
            self._lock(f"{shot.role}-locked")
        if shot.waits:
            waiting = Ceremony(1, "choi", "login", NOW_NS, invitation="-" if shot.waits == "new" else "")
            token = self.served.site.ceremonies.begin(waiting)
            context.add_cookies([{"name": passkeys.COOKIE, "value": token, "url": self.served.url, "secure": True}])
        page = context.new_page()
        page.clock.set_fixed_time(NOW_NS / 1e9)
        page.set_viewport_size({"width": shot.wide, "height": 640})
        address = self.served.url + self.address(shot)
        if shot.live:
            with page.expect_response(lambda answer: "/fleet/events" in answer.url):
                page.goto(address)
        else:
            page.goto(address)
        return page

    def _lock(self, name: str) -> None:
        with writing(self.served.site.own) as db:
            person = select(people.c.id).where(people.c.name == name).scalar_subquery()
            db.execute(update(sessions).where(sessions.c.person == person).values(locked=True))


def _adopt(served: ServeSite) -> None:
    """One unit requests adoption, one configuration waits for it; another unit has its own, and needs a certificate."""
    own = X25519PrivateKey.from_private_bytes(bytes(32))
    opening = Opening(key=adoption.public_of(own), nonce="00" * 32)
    said = Begin(
        commitment=adoption.commitment(opening), serial="10000000e1a2b3c4", mac="dc:a6:32:0a:0b:0c", firmware="0.1.0"
    )
    runs = served.site.adoption
    run = runs.begin(said, "10.20.6.31").run
    runs.choose(run)
    runs.open(run, opening)
    at = rfc3339(NOW_NS - 600 * NS_PER_S)
    row = {"prepared_by": "officer", "prepared_at": at, "count": 0, "order": b"-", "signature": b"-"}
    other = {
        **row, "serial": "10000000f0e1d2c3", "confirmed_by": "officer", "confirmed_at": at, "pressed_at": at,
        "taken_at": at, "request": b"-",
    }  # fmt: skip
    with writing(served.site.own) as db:
        db.execute(insert(adoptions).values(id="A2026-0002", unit="annex-03", **row))
        db.execute(insert(adoptions).values(id="A2026-0001", unit="annex-02", **other))
        draft = {"prepared_by": "officer", "prepared_at": at, "count": 0, "draft": b"-"}
        db.execute(insert(adoptions).values(id="A2026-0003", unit="annex-04", place="별관 4층 통신실", **draft))
        keep_template(db, _template(served.folder), "officer", at)
    served.site.settings = msgspec.structs.replace(served.site.settings, url=ADDRESS)


def _template(folder: Path) -> Template:
    """A template whose keys are not shown on the page."""
    authority = Authority(folder)
    listed = msgspec.structs.replace(authority.make("2026-11-20", 3), custodians=[authority.new("custodian")])
    return Template(
        broker_host="mqtt.city.example", broker_port=8883, ca="-", networks=[], ntp=["ntp.city.example"], days=60,
        key_list=keylist.encode(listed).decode(), key_list_sig="-", custodians=listed.custodians, custodians_needed=1,
        overflow_epoch=listed.overflow[0].recipient, overflow_number=2,
    )  # fmt: skip


def _lose(served: ServeSite) -> None:
    """Somebody has lost a passkey, and one of the two has requested a new one."""
    at = rfc3339(NOW_NS - 1200 * NS_PER_S)
    with writing(served.site.own) as db:
        person = db.execute(select(people.c.id).where(people.c.name == "custodian")).scalar()
        row = {"asked_by": "vault", "reason": "휴대전화 교체", "asked_at": at, "ends_at": rfc3339(NOW_NS + NS_PER_DAY)}
        db.execute(insert(invitations).values(person=person, first_sha256="-", **row))


def _keep_watch(served: ServeSite) -> None:
    """One fault is acknowledged, and a note is left for the night."""
    _, _, (unit,) = served.site.fleet.state(Reader(False, "ko", OTHER))
    at, shown = rfc3339(NOW_NS - 900 * NS_PER_S), f"{SHOWN['watch']} 님"
    row = {"at": at, "person": "watch", "shown": shown}
    note = "별관 1층 정전 예정(20시까지): 시설팀 확인함"
    with writing(served.site.own) as db:
        seen = {"kind": "seen", "unit": OTHER, "faults": unit["faults"], "text": "5번 회선에 험이 큽니다."}
        db.execute(insert(shift_log).values(**row, **seen))
        db.execute(insert(shift_log).values(**row, kind="note", unit="", faults="", text=note))
    served.site.fleet.acknowledge({OTHER: Acknowledged(unit["faults"], shown, at)})
    served.site.fleet.set_note(ShiftNote(note, shown, at))
    until(lambda: served.site.fleet.state(Reader(False, "ko", OTHER))[2][0]["seen"], END_S)
    until(lambda: served.site.fleet.state(Reader(False, "ko"))[1].note, END_S)


def _standings(served: ServeSite) -> dict[str, str]:
    """The standings after all messages of the broker."""
    _, desk, units = served.site.fleet.state(Reader(True, "ko"))
    return {one["unit"]: one["standing"] for one in units} if desk.link == "live" else {}


BY_STAFF = {(UNIT, 5): "exchange", (UNIT, 8): "staff", (OTHER, 3): "no_contact"}


def _speak(floor: Speaking) -> None:
    """Publishes all retained messages before the desk subscribes, so that no page shows a time of reception."""
    at = {"since": rfc3339(NOW_NS - 3600 * NS_PER_S)}
    for unit in (UNIT, OTHER, "main-b1", "annex-01"):
        floor.is_well(unit, 8, storage_days_left=312.4)
        floor.say(unit, "status", {**ONLINE, **at})
        for n in range(1, 9):
            floor.say(unit, f"line/{n}", {**LINE, **at, "release": BY_STAFF.get((unit, n), "contact")})
    now = {"since": rfc3339(NOW_NS - 40 * NS_PER_S)}
    for n, state in ((1, "recording"), (2, "notice"), (4, "ringing"), (6, "dialling")):
        call = {"call_id": f"20261124T085920.{n}00Z-L0{n}"} if state != "ringing" else {}
        floor.say(UNIT, f"line/{n}", {**LINE, **now, **call, "state": state, "release": "contact"})
    texts = {
        "severity": "critical", "line": 8, "text_ko": "8번 회선에 전압이 없습니다.", "text_en": "Line 8: no voltage.",
        "action_ko": "단자반의 8번 쌍을 확인하십시오.", "action_en": "Look at pair 8 on the block.",
    }  # fmt: skip
    floor.say("main-b1", "alert/no_line", {**ALERT, **at, **texts})
    floor.say("main-b1", "line/8", {**LINE, **at, "state": "fault"})
    texts = {
        "severity": "warning", "line": 5, "text_ko": "5번 회선에 험이 큽니다.", "text_en": "Line 5 hums.",
        "action_ko": "접지와 차폐를 확인하십시오.", "action_en": "Look at earth and screen.",
    }  # fmt: skip
    for unit in (UNIT, OTHER):
        floor.say(unit, "alert/hum", {**ALERT, **at, **texts})
    floor.say("annex-01", "status", {**OFFLINE, **at})


def _work(config: Path) -> None:
    """Accounts, and a month in which two people worked; the month before it was signed."""
    clock = ManualClock(MONTH_NS - 30 * 86_400 * NS_PER_S)
    with commands.opened(config, clock) as (table, _):
        for name, shown in SHOWN.items():
            accounts.add_account(table, "terminal:root", name, f"{shown} 님", [name], None, f"provider {name}")
        table.append("kim", "10.20.3.7", "login", Subject())
        clock.step_utc(MONTH_NS - clock.utc_ns())
        for n in range(6):
            clock.step_utc((2 if n < 5 else 9) * 3600 * NS_PER_S)
            _one_day(table, n)


def _one_day(table: AccessTable, n: int) -> None:
    call = f"20261006T0{n}1500.000Z-L02"
    table.append("kim", "10.20.3.7", "search", Subject(terms=f"unit={UNIT} from=2026-10-06", case=f"2026-11{n}"))
    table.append("kim", "10.20.3.7", "view", Subject(calls=(call,), terms=UNIT, case=f"2026-11{n}"))
    if n % 3 == 0:
        table.append("choi", "10.20.3.9", "view", Subject(calls=(call,), terms=UNIT))
