#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the effort of a release for its participants, clicks, keys and files in a browser, and writes the table in
docs/desk-release.md.

Run it as `.venv/bin/python tools/release_effort.py` when a page of releases changes. Each person starts at the desk's
first page, already logged in. The steps are those of tests/desk/runs_office.py, which tools/role_runs.py records with
pictures: Chromium's pages, approvers with passkeys, the real program for holders of keys.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/rigs"), str(ROOT / "tests/desk")]

import runs_office as runs  # noqa: E402
from playwright.sync_api import Browser  # noqa: E402
from release_house import LEGAL, MANAGER  # noqa: E402
from role_hand import Hand, Recording, Run  # noqa: E402
from servesite import chromium  # noqa: E402

from linetap_core.clock import NS_PER_S, SYSTEM  # noqa: E402
from linetap_core.evidence.keys import keys  # noqa: E402
from sealing_rig import CALL_ID, UNIT  # noqa: E402

PAGE = ROOT / "docs/desk-release.md"
BEGIN, END = "<!-- tools/release_effort.py -->\n", "<!-- end -->\n"


def ask_own_line(office: runs.Office, record: Recording) -> None:
    """Requests one's own line: the form already has that person's name and key."""
    hand = _at_call(office, record)
    hand.type("form.note input[name=case]", "2026-117")
    hand.press("form.note button")
    office.request_id = hand.page.url.rpartition("/")[2]


def asked(purpose: str, requester: str) -> Callable[[runs.Office, Recording], None]:
    def ask(office: runs.Office, record: Recording) -> None:
        hand = _at_call(office, record)
        hand.press(f"input[value='{purpose}']", stays=True)
        hand.type("#case", "2026-117")
        hand.type("#requester", requester)
        hand.paste("#recipient", keys.new_identity().recipient)
        hand.press("form:has(#recipient) button")
        office.request_id = hand.page.url.rpartition("/")[2]

    return ask


def _at_call(office: runs.Office, record: Recording) -> Hand:
    hand = office.sits_down(record, "clerk", "officer")
    hand.open(f"{office.house.served.url}/calls/{UNIT}/{CALL_ID}")  # found earlier: the run "clerk"
    hand.begin("reads the call", "main .facts")
    hand.press('role=link[name="열람·제공 신청"]')
    hand.begin("asks for its release")
    return hand


def register(office: runs.Office, record: Recording) -> None:
    """A citizen with an identity card requests to listen; it is granted, and a call is named."""
    today = datetime.fromtimestamp(SYSTEM.utc_ns() / NS_PER_S, runs.ZONE)
    clerk = runs.registering(office, record, "Hong", "2026-11-25", today)
    decides = office.sits_down(record, "data-protection officer", MANAGER)
    decides.begin("sees what waits")
    decides.press(f'{runs.TASK}[href^="/citizen/"]')
    decides.begin("reads it, and grants it", "main .facts")
    decides.press("input[name=decision][value=granted]", stays=True)
    decides.press("form:has(#ground) button")
    clerk.page.reload()
    clerk.begin("names the call")
    clerk.paste("#unit", UNIT)
    clerk.paste("#call_id", CALL_ID)
    clerk.press("form:has(#call_id) button")
    office.request_id = clerk.page.url.rpartition("/")[2]


def close_register(office: runs.Office, record: Recording) -> None:
    hand = office.sits_down(record, "clerk", "officer")
    hand.begin("sees that the citizen has listened")
    hand.press('nav a[href="/citizen"]')
    hand.begin("finds the request")
    hand.press('main a[href^="/citizen/C"]')
    hand.begin("closes it")
    hand.press("input[name=outcome][value=listened]", stays=True)
    hand.press("form:has(input[name=outcome]) button")


@dataclass(frozen=True, slots=True)
class Case:
    """A case; `ruled`: the release rules are in force. Without them every purpose requires two approvals."""

    ask: Callable[[runs.Office, Recording], None]
    approvers: tuple[str, ...]
    ruled: bool = True
    listens: bool = False


CASES = {
    "own call this morning, without rules": Case(asked("dispute", "Jung Ho"), (LEGAL, MANAGER), ruled=False),
    "own call this morning, by its rule": Case(ask_own_line, (LEGAL,)),
    "a court's order": Case(asked("investigation/court", "Seoul Central District Court"), (LEGAL, MANAGER)),
    "a citizen registers and listens": Case(register, (MANAGER,), listens=True),
}


def run(browser: Browser, name: str, case: Case) -> Run:
    record = Recording(Run(name, "", "", ""))
    with (
        tempfile.TemporaryDirectory(prefix="linetap-effort-") as folder,
        runs.empty_office(Path(folder), browser, ruled=case.ruled) as office,
    ):
        case.ask(office, record)
        runs.custodian_key(office, browser, record)
        for role in case.approvers:
            runs.approve(office, record, role, role)
        runs.vault_officer(office, browser, record)
        runs.hand_out(office, record, gives=not case.listens)
        if case.listens:
            close_register(office, record)
        return record.settle()


def row(run: Run) -> str:
    counted = run.count()
    people = {step.who for step in run.steps}
    minutes = sum(step.person_s for step in run.steps) / 60
    numbers = [len(people), counted["presses"], counted["keys"], counted["files"], counted["commands"]]
    return f"| {run.name} | {' | '.join(map(str, numbers))} | {minutes:.1f} |"


def table(found: list[Run]) -> str:
    return "\n".join(
        [
            "| | people | clicks | keys | files chosen | commands | person-minutes |",
            "|---|---|---|---|---|---|---|",
            *map(row, found),
            "",
        ]
    )


def main() -> int:
    with chromium() as browser:
        found = [run(browser, name, case) for name, case in CASES.items()]
    text = PAGE.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    PAGE.write_text(text[:start] + "\n" + table(found) + "\n" + text[end:], encoding="utf-8")
    sys.stdout.write(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
