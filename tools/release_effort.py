#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a release costs the people who take part: clicks, keys and files counted in a browser, and the table in
docs/desk-release.md. Run it as `.venv/bin/python tools/release_effort.py` when a page of releases changes.

Each person starts on the list /release, or the officer on the page of the call, already logged in. Every page is
Chromium's, the approvers sign with passkeys, the custodian's program is the real one. Clicks and keys are counted by
the pages themselves as trusted events, not by this script; what happens outside of a page (a file dialog, a command)
is counted where it is done. Minutes are those of the keystroke-level model (Card, Moran and Newell 1980).
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/desk")]

from custody_rig import Helper  # noqa: E402
from klm import HANDS_S, KEY_S, POINT_S, PRESS_S, THINK_S  # noqa: E402
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect  # noqa: E402
from release_house import LEGAL, MANAGER, ReleaseHouse  # noqa: E402
from ruled_house import give_passkeys, ruled_house  # noqa: E402
from servesite import chromium  # noqa: E402

from linetap_core.clock import SYSTEM  # noqa: E402
from linetap_core.evidence.keys import keys  # noqa: E402
from linetap_desk.release import requestfile  # noqa: E402
from sealing_rig import CALL_ID, UNIT  # noqa: E402

PAGE = ROOT / "docs/desk-release.md"
BEGIN, END = "<!-- tools/release_effort.py -->\n", "<!-- end -->\n"
LIMIT_MS = 15_000
READ_S = 15.0  # ours: to read a page of a request before one's step
COUNT = """
for (const kind of ["click", "keydown"])
  addEventListener(kind, (event) => { if (event.isTrusted && !event.repeat) window.counted(kind); }, true);
"""


@dataclass
class Effort:
    """Of one case. `files`: chosen in a dialog; `commands`: pasted into a terminal of one's own."""

    clicks: int = 0
    keys: int = 0
    files: int = 0
    commands: int = 0
    reads: int = 0
    people: set[str] = field(default_factory=set)
    steps: int = 0

    @property
    def seconds(self) -> float:
        clicks = self.clicks + 2 * self.files + 2 * self.commands  # a dialog: the file, Open; a terminal: copy, paste
        pointed = clicks * (POINT_S + PRESS_S)
        units = self.steps + self.files + self.commands
        return pointed + self.keys * KEY_S + units * (THINK_S + 2 * HANDS_S) + self.reads * READ_S


class Hand:
    """One person at their own browser."""

    def __init__(self, effort: Effort, context: BrowserContext, name: str) -> None:
        self.effort, self.context, self.name = effort, context, name

    def step(self, url: str) -> Page:
        self.effort.people.add(self.name)
        self.effort.steps += 1
        self.effort.reads += 1
        page = self.context.new_page()
        page.goto(url)
        return page

    def file(self, where: Locator, path: Path) -> None:
        self.effort.files += 1
        where.set_input_files(path)

    def type(self, page: Page, selector: str, text: str) -> None:
        page.locator(selector).click()
        page.keyboard.type(text)

    def paste(self, page: Page, selector: str, text: str) -> None:
        page.locator(selector).click()
        page.keyboard.press("Control+v")  # counted as two keys; a page without a clipboard gets the text after it
        page.keyboard.insert_text(text)

    def day(self, page: Page, selector: str, day: str) -> None:
        """A date field, which is typed without its hyphens; Playwright fills it in one event."""
        page.locator(selector).click()
        page.locator(selector).fill(day)
        self.effort.keys += len(day.replace("-", ""))

    def command(self) -> None:
        self.effort.commands += 1


class Case:
    def __init__(self, house: ReleaseHouse, browser: Browser) -> None:
        self.house, self.browser, self.desk = house, browser, house.desk
        self.effort = Effort()
        self.hands: dict[str, Hand] = {}
        self.registered = ""  # the address of the citizen's request

    def hand(self, role: str) -> Hand:
        if role not in self.hands:
            context = self.house.served.context(self.browser, role)
            context.set_default_timeout(LIMIT_MS)
            context.expose_binding("counted", lambda _source, kind: self._count(kind))
            context.add_init_script(COUNT)
            self.hands[role] = Hand(self.effort, context, role)
        return self.hands[role]

    def _count(self, kind: str) -> None:
        if kind == "click":
            self.effort.clicks += 1
        else:
            self.effort.keys += 1

    def to_request(self, role: str, request_id: str) -> tuple[Hand, Page]:
        """From the list of what waits for this person."""
        hand = self.hand(role)
        page = hand.step(f"{self.house.served.url}/release")
        with page.expect_navigation():
            page.get_by_role("link", name=request_id, exact=True).click()
        return hand, page

    # --- the steps -------------------------------------------------------------------------------------------------

    def ask(self, value: str, requester: str = "", recipient: str = "") -> str:
        hand = self.hand("officer")
        page = hand.step(f"{self.house.served.url}/calls/{UNIT}/{CALL_ID}")
        with page.expect_navigation():
            page.get_by_role("link", name="열람·제공 신청").click()
        if not requester:  # a call on somebody's own line: the form has name and key
            form = page.locator("form.note")
            form.locator("input[name=case]").click()
            page.keyboard.type("2026-117")
            with page.expect_navigation():
                form.get_by_role("button").click()
            return page.url.rpartition("/")[2]
        page.locator(f"input[value='{value}']").click()
        hand.type(page, "#case", "2026-117")
        hand.type(page, "#requester", requester)
        hand.paste(page, "#recipient", recipient)
        with page.expect_navigation():
            page.locator("form:has(#recipient) button").click()
        return page.url.rpartition("/")[2]

    def register(self) -> str:
        """A citizen comes with an identity card, asks to listen, and the data protection officer grants it."""
        hand = self.hand("officer")
        page = hand.step(f"{self.house.served.url}/citizen")
        hand.type(page, "#alias", "Hong")
        page.locator("input[name=verified][value=id_card]").click()
        hand.type(page, "#digits", "5678")
        hand.day(page, "#called_on", "2026-11-25")
        page.locator("input[name=asked][value=listen]").click()
        hand.day(page, "#received_on", f"{self.house.served.site.pages.local(SYSTEM.utc_ns()):%Y-%m-%d}")
        with page.expect_navigation():
            page.locator("form:has(#alias) button").click()
        registered = page.url
        decides = self.hand(MANAGER).step(registered)
        decides.locator("input[name=decision][value=granted]").click()
        with decides.expect_navigation():
            decides.locator("form:has(#ground) button").click()
        page = hand.step(registered)
        hand.paste(page, "#unit", UNIT)
        hand.paste(page, "#call_id", CALL_ID)
        with page.expect_navigation():
            page.locator("form:has(#call_id) button").click()
        self.registered = registered
        return page.url.rpartition("/")[2]

    def close_register(self) -> None:
        page = self.hand("custodian").step(self.registered)
        page.locator("input[name=outcome][value=listened]").click()
        with page.expect_navigation():
            page.locator("form:has(input[name=outcome]) button").click()

    def key(self, request_id: str) -> None:
        hand, page = self.to_request("custodian", request_id)
        hand.command()
        hand.paste(page, "#one_time", requestfile.write_key(self.desk.one_time_file(request_id), request_id))
        with page.expect_navigation():
            page.get_by_role("button", name="신청 파일 만들기").click()

    def approve(self, request_id: str, role: str) -> None:
        hand, page = self.to_request(role, request_id)
        with hand.context.expect_page() as opened:
            page.locator("#signing").click()
        signing = opened.value
        give_passkeys(signing, self.passkeys[role])
        hand.effort.reads += 1
        signing.get_by_role("button", name="패스키로 승인 서명하기").click()
        with signing.expect_download() as fetched:
            signing.get_by_role("link", name="서명 파일 내려받기").click()
        path = self.desk.root / fetched.value.suggested_filename
        fetched.value.save_as(path)
        hand.file(page.locator("#file"), path)
        with page.expect_navigation():
            page.get_by_role("button", name="승인 서명 제출").click()

    def unwrap(self, request_id: str) -> None:
        hand, page = self.to_request("vault", request_id)
        with page.expect_download():
            page.get_by_role("link", name=f"{request_id}-vault.tar").click()
        hand.command()
        half = self.desk.root / "INNER.age"
        half.write_bytes(self.house.half(request_id))
        hand.file(page.locator("#file"), half)
        with page.expect_navigation():
            page.get_by_role("button", name="1차 개봉 파일 제출").click()

    def give(self, request_id: str, *, copy: bool) -> None:
        hand, page = self.to_request("custodian", request_id)
        with page.expect_navigation():
            page.get_by_role("button", name="티켓 만들기").click()
        ticket = page.locator("#ticket").inner_text()
        hand.command()  # linetap custody; it asks for the ticket, which is pasted
        hand.effort.clicks += 2
        members = _members(self.house.fetch(ticket).content)
        identities = [self.desk.rig.custodian_files[0], self.desk.one_time_file(request_id)]
        with Helper(self.desk, members, identities, logs=False) as helper:
            local = hand.context.new_page()
            local.goto(f"{helper.site.url}/")
            expect(local.locator("#code")).to_be_focused()
            local.keyboard.type(helper.site.admission.code)
            local.keyboard.press("Enter")
            local.get_by_role("link", name=CALL_ID).click()
            local.locator("#listen").click()
            local.locator("#toggle").click()
            if copy:
                local.get_by_role("button", name="신청인").click()
            local.get_by_role("link", name=re.compile(request_id)).click()
            local.get_by_role("checkbox").click()
            local.locator("form[action$='/close'] button").click()
            local.wait_for_load_state()
        page.goto(f"{self.house.served.url}/release/{request_id}")
        page.locator("summary").filter(has_text="종결하기").click()
        with page.expect_navigation():
            page.get_by_role("button", name="종결하기", exact=True).click()

    passkeys: dict[str, list[Any]]


def _members(package: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:") as archive:
        return {one.name: found.read() for one in archive if (found := archive.extractfile(one)) is not None}


@contextlib.contextmanager
def case(browser: Browser, *, ruled: bool) -> Iterator[Case]:
    """A desk of its own, with the rules in force or without."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ruled_house(browser, Path(folder), ruled=ruled) as (house, passkeys),
        house.served,
    ):
        made = Case(house, browser)
        made.passkeys = passkeys
        yield made


def run(browser: Browser, value: str, approvers: tuple[str, ...], *, requester: str = "", to_listen: bool = False,
        ruled: bool = True) -> Effort:  # fmt: skip
    with case(browser, ruled=ruled) as one:
        request_id = one.register() if to_listen else one.ask(value, requester, keys.new_identity().recipient)
        one.key(request_id)
        for role in approvers:
            one.approve(request_id, role)
        one.unwrap(request_id)
        one.desk.clock.step_utc(SYSTEM.utc_ns() - one.desk.clock.utc_ns())
        one.give(request_id, copy=not to_listen)
        if to_listen:
            one.close_register()
        return one.effort


CASES: dict[str, dict[str, Any]] = {
    "own call this morning, as before": {
        "value": "dispute", "approvers": (LEGAL, MANAGER), "requester": "Jung Ho", "ruled": False,
    },
    "own call this morning, by its rule": {"value": "dispute/own_line", "approvers": (LEGAL,)},
    "a court's order": {
        "value": "investigation/court", "approvers": (LEGAL, MANAGER), "requester": "Seoul Central District Court",
    },
    "a citizen registers and listens": {"value": "", "approvers": (MANAGER,), "to_listen": True},
}  # fmt: skip


def table(found: dict[str, Effort]) -> str:
    lines = [
        "| | people | steps | clicks | keys | files chosen | commands | person-minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        counted = f"{len(one.people)} | {one.steps} | {one.clicks} | {one.keys} | {one.files} | {one.commands}"
        lines.append(f"| {name} | {counted} | {one.seconds / 60:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    with chromium() as browser:
        found = {name: run(browser, **settings) for name, settings in CASES.items()}
    text = PAGE.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    PAGE.write_text(text[:start] + "\n" + table(found) + "\n" + text[end:], encoding="utf-8")
    sys.stdout.write(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
