# SPDX-License-Identifier: Apache-2.0
"""An office in which a recording is released: a sealed call, signed rules, a supervisor and a data-protection officer
with passkeys, and the program `linetap custody` on the computers of the holders of keys.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser
from program_rig import InThread
from release_house import LEGAL, MANAGER, ReleaseHouse
from role_hand import DESKTOP, Hand, Recording
from ruled_house import OPERATOR, STAFF, give_passkeys, ruled_house

from linetap_core.clock import NS_PER_S, SYSTEM, ManualClock
from linetap_desk.custody.program.settings import Settings
from linetap_desk.serve import commands
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.people import accounts
from release_rig import HAN, YUN
from sealing_rig import CALL_ID, UNIT

PEOPLE = {
    "officer": "김민지", LEGAL: "이서연", MANAGER: "박준호", "vault": "오세훈", "custodian": "최은영",
    "auditor": "한지우",
}  # fmt: skip
TASK = ".cards a"
ZONE = ZoneInfo("Asia/Seoul")


class Office:
    """`home`: the folder of the present computer's user, with the browser's downloads."""

    def __init__(self, house: ReleaseHouse, passkeys: dict[str, Any], browser: Browser, home: Path) -> None:
        self.house, self.passkeys, self.browser, self.home = house, passkeys, browser, home
        self.downloads = home / "다운로드"
        self.request_id = ""

    def sits_down(self, record: Recording, who: str, role: str) -> Hand:
        """A person on the desk's first page, logged in."""
        context = self.house.served.context(self.browser, role)
        hand = record.hand(who, context, DESKTOP, narrow=True)
        hand.open(f"{self.house.served.url}/")
        return hand

    def to_request(self, hand: Hand) -> None:
        """Follows the link of the first page: one request waits for this person."""
        hand.begin("sees the open tasks")
        hand.press(f'{TASK}[href="/release/{self.request_id}"]')

    @contextlib.contextmanager
    def program(self, hand: Hand, name: str, *identities: Path) -> Iterator[None]:
        """`linetap custody`, started by its icon; its window shows the code required by its page."""
        desk, served = self.house.desk, self.house.served
        desk.clock.step_utc(SYSTEM.utc_ns() - desk.clock.utc_ns())
        chosen = Settings(
            name=name, signing=str(desk.root / name), identities=[str(one) for one in identities],
            output=str(self.downloads), desk=served.url, ca=str(served.ca),
        )  # fmt: skip
        with InThread(desk, chosen, enters=False) as run:
            hand.narrow = False
            hand.end()
            hand.open(f"{run.program.url}/")
            hand.begin("starts the program, and types the code from its window")
            hand.type("#code", run.program.admission.code.lower(), secret=True)
            hand.press("button")
            yield


@contextlib.contextmanager
def empty_office(folder: Path, browser: Browser, *, ruled: bool = True) -> Iterator[Office]:
    """An office without a request. Without `ruled`: two approvals for every purpose."""
    home, before = folder / "home", os.environ.get("HOME", "")
    (home / "다운로드").mkdir(parents=True)
    (folder / "desk").mkdir()
    with ruled_house(browser, folder / "desk", ruled=ruled) as (house, passkeys), contextlib.ExitStack() as held:
        os.environ["HOME"] = str(home)  # start of the program's file dialog
        held.callback(os.environ.__setitem__, "HOME", before)
        _month_before(house.served.config)
        with house.served:
            yield Office(house, passkeys, browser, home)


@contextlib.contextmanager
def office(folder: Path, browser: Browser) -> Iterator[Office]:
    """An office in which a person has requested a call of their own line."""
    with empty_office(folder, browser) as made:
        made.request_id = made.house.asked(purpose="dispute/own_line", requester=STAFF, days="3")
        yield made


def _month_before(config: Path) -> None:
    """Accounts, and a past month in which two people worked."""
    now = datetime.fromtimestamp(SYSTEM.utc_ns() / NS_PER_S, ZONE)
    month = (now.replace(day=1) - timedelta(days=1)).replace(day=1, hour=9, minute=30)
    clock = ManualClock(round(month.timestamp()) * NS_PER_S)
    with commands.opened(config, clock) as (table, _):
        for name, shown in PEOPLE.items():
            accounts.add_account(table, "terminal:root", name, f"{shown} 님", [name], None, f"provider {name}")
        for n in range(8):
            clock.step_utc((26 if n != 5 else 11) * 3600 * NS_PER_S)
            case = f"2026-1{n}"
            table.append("officer", "10.20.3.7", "search", Subject(terms=f"unit={UNIT}", case=case))
            table.append("officer", "10.20.3.7", "view", Subject(calls=(CALL_ID,), terms=UNIT, case=case))
        table.append("vault", "10.20.3.9", "release_unwrap", Subject(calls=(CALL_ID,), case="2026-13"))


# --- the runs --------------------------------------------------------------------------------------------------------


def custodian_key(office: Office, _browser: Browser, record: Recording) -> None:
    hand = office.sits_down(record, "custodian", "custodian")
    office.to_request(hand)
    hand.begin("reads the request", "main .facts", ".steps")
    desk = hand.page
    with office.program(hand, YUN, office.house.desk.rig.custodian_files[0]):
        hand.begin("makes the one-time key of this request, which stays on this computer")
        hand.type("#id", office.request_id)
        hand.press('form[action$="/one-time"] button')
        hand.begin("copies its public half")
        public = hand.copy("#said li:last-child code")
        hand.switch(desk)
        hand.paste("#one_time", public)
        hand.press('role=button[name="신청 파일 만들기"]')
        hand.begin("sees who has the next step", ".steps [aria-current]")
    hand.end()


def supervisor(office: Office, _browser: Browser, record: Recording) -> None:
    approve(office, record, "supervisor", LEGAL)


def approve(office: Office, record: Recording, who: str, role: str) -> None:
    hand = office.sits_down(record, who, role)
    office.to_request(hand)
    hand.begin("reads the request, and goes to the signing page", "main .facts", ".steps")
    desk = hand.page
    hand.press_for_window("#signing")
    hand.narrow = True
    give_passkeys(hand.page, office.passkeys[role])
    hand.begin("reads the text to sign, and signs with the passkey", "#fields", "#lead")
    hand.act("#act")
    hand.beside("the finger on the passkey")
    hand.page.locator("#file").wait_for()
    hand.begin("downloads the signature")
    signature = hand.download("#file", office.downloads)
    hand.switch(desk)
    hand.begin("uploads it to the request")
    hand.file("#file", signature)
    hand.press('role=button[name="승인 서명 제출"]')
    hand.begin("sees the approval, and who has the next step", ".steps [aria-current]")
    hand.end()


def vault_officer(office: Office, _browser: Browser, record: Recording) -> None:
    hand = office.sits_down(record, "vault officer", "vault")
    office.to_request(hand)
    hand.begin("reads the request, and downloads its file", "main .facts", ".steps")
    desk = hand.page
    archive = hand.download(f'role=link[name="{office.request_id}-vault.tar"]', office.downloads)
    with office.program(hand, HAN, office.house.desk.rig.epoch_file):
        hand.begin("chooses the file from the desk")
        hand.press("#archive")
        hand.begin("chooses the first of the downloads")
        hand.press(f'role=button[name="{archive.name}"]')
        hand.begin("reads the request again on their own computer, and removes the day's layer", ".facts")
        hand.press('form[action$="/unwrap"] button')
        hand.begin("sees that the request is verified and where the new file is", "#said")
        hand.switch(desk)
        hand.begin("uploads the new file to the request")
        hand.file("#file", office.downloads / f"{office.request_id}-vault.age")
        hand.press('role=button[name="1차 개봉 파일 제출"]')
        hand.begin("sees who has the next step", ".steps [aria-current]")
    hand.end()


def custodian(office: Office, _browser: Browser, record: Recording) -> None:
    hand_out(office, record)


def hand_out(office: Office, record: Recording, *, gives: bool = True) -> None:
    """A release; without `gives` it is only listened to."""
    hand = office.sits_down(record, "custodian", "custodian")
    office.to_request(hand)
    hand.begin("requests a ticket")
    hand.press('role=button[name="티켓 만들기"]')
    hand.begin("copies the ticket")
    ticket = hand.copy("#ticket")
    desk = hand.page
    own = office.house.desk.rig.custodian_files[0]
    with office.program(hand, YUN, own, office.downloads / f"one-time-{office.request_id}.txt"):
        hand.begin("fetches the package with the ticket")
        hand.paste("#fetch", ticket)
        hand.press('form[action$="/fetch"] button')
        hand.begin("reads the request, and continues with both keys", ".facts")
        hand.press('form[action$="/open"] button')
        hand.begin("opens the call's page")
        hand.press(f'role=link[name="{CALL_ID}"]')
        hand.begin("has the call verified and opened, in memory only")
        hand.press("#listen")
        hand.begin("listens", ".facts")
        hand.act("#toggle")
        if gives:
            hand.begin("encrypts the call to the requester's key")
            hand.press('form[action$="/give"] button')
        hand.begin("returns to the request, and writes the evidence bundle" if gives else "returns to the request")
        hand.press(f"role=link[name=/{office.request_id}/]")
        if gives:
            hand.press('form[action$="/bundle"] button')
        hand.begin("destroys the one-time key")
        hand.press('input[name="sure"]', stays=True)
        hand.press('form[action$="/close"] button')
        hand.begin("sees that the key is destroyed", "main")
        hand.switch(desk)
        hand.press(f'main a[href="/release/{office.request_id}"]')
        hand.begin("closes the request as given out")
        hand.press('summary:has-text("종결하기")', stays=True)
        hand.press('role=button[name="종결하기"]')
        hand.begin("sees the request closed", ".note.success")
    hand.end()


def registering(office: Office, record: Recording, alias: str, called_on: str, today: datetime) -> Hand:
    """A clerk who has registered a citizen's request to listen to a call of that day."""
    hand = office.sits_down(record, "clerk", "officer")
    hand.begin("receives a citizen with an identity card")
    hand.press('nav a[href="/citizen"]')
    hand.begin("registers the citizen's request")
    hand.type("#alias", alias)
    hand.press("input[name=verified][value=id_card]", stays=True)
    hand.type("#digits", "5678")
    hand.day("#called_on", called_on)
    hand.press("input[name=asked][value=listen]", stays=True)
    hand.day("#received_on", f"{today:%Y-%m-%d}")
    hand.press("form:has(#alias) button")
    return hand


def protection(office: Office, _browser: Browser, record: Recording) -> None:
    today = datetime.fromtimestamp(SYSTEM.utc_ns() / NS_PER_S, ZONE)
    hand = registering(office, record, "홍길동", f"{today - timedelta(days=2):%Y-%m-%d}", today)
    hand.begin("opens the receipt for the citizen", "main .facts")
    hand.press('a[href$="/receipt"]')
    hand.end()
    hand = office.sits_down(record, "data-protection officer", MANAGER)
    hand.begin("sees the open tasks")
    hand.press(f'{TASK}[href^="/citizen/"]')
    hand.begin("reads the request, grants it in part and enters the reason", "main .facts")
    hand.press("input[name=decision][value=partial]", stays=True)
    hand.select("#ground", str(hand.page.locator("#ground option").nth(1).get_attribute("value")))
    hand.type("#reason", "다른 사람의 발언은 가리고 들려 드립니다.")
    hand.press("form:has(#ground) button")
    hand.begin("opens the notice for printing", "#decision")
    hand.press('a[href$="/notice"]')
    hand.begin("reads the notice as the citizen gets it", "main")
    hand.end()


def auditor(office: Office, _browser: Browser, record: Recording) -> None:
    hand = office.sits_down(record, "auditor", "auditor")
    hand.begin("sees that a month is not signed")
    hand.press(TASK)
    hand.begin("reads each person's figures, and opens those of a person who worked out of hours", "main")
    hand.press('tbody a[href*="person=officer"]')
    hand.begin("reads the rows behind the number", "tbody")
    hand.press("main p a")
    hand.begin("writes the findings, and signs the month")
    hand.type("#remark", "시간 외 열람 1건은 당직 근무표와 일치함. 이상 없음.")
    hand.press("form:has(#remark) button")
    hand.begin("sees the month signed", ".note.success")
    hand.end()


def operator(office: Office, _browser: Browser, record: Recording) -> None:
    version = office.downloads / "linetap-0.2.0.raucb"
    version.write_bytes(b"hsqs" * 1000)
    hand = office.sits_down(record, "operator", "officer")
    hand.begin("opens the page of files that the desk sends to units")
    hand.press('nav a[href="/release"]')
    hand.begin("opens the page of commands")
    hand.press('main a[href="/commands"]')
    desk = hand.page
    with office.program(hand, OPERATOR):
        hand.begin("opens the commands")
        hand.press('a[href$="/commands"]')
        hand.begin("chooses the file of the version")
        hand.press("#document")
        hand.begin("chooses the first of the downloads")
        hand.press(f'role=button[name="{version.name}"]')
        hand.begin("signs the update for all units")
        hand.press('form:has(input[value="update"]) button')
        hand.begin("sees where the file is", "#said")
        hand.switch(desk)
        hand.begin("uploads the file to the desk")
        hand.file("#file", next((office.downloads / "commands").glob("update-*.commands")))
        hand.press('form[action="/commands"] button')
        hand.begin("sees how many units have accepted it, and which have not answered yet", ".note")
    hand.end()
