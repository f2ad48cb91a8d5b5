# SPDX-License-Identifier: Apache-2.0
"""A clerk whose computer has the index keys finds a call by its number, which stays there, and requests its release.

The index is a real unit's, copied by the desk; the call is sealed and in the unit's log.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser
from program_rig import InThread
from role_hand import DESKTOP, Recording
from search_house import UNIT, SearchHouse
from sqlalchemy import insert

from linetap_core.clock import rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_desk.custody.program.settings import Settings
from linetap_desk.ingest import tables
from linetap_desk.serve.people import accounts

NUMBERS = ("01012345678", "0212340000", "01098765432")


@contextlib.contextmanager
def search(folder: Path, _browser: Browser) -> Iterator[SearchHouse]:
    for name in ("house", "run"):
        (folder / name).mkdir()
    house = SearchHouse(folder / "house", folder / "run")
    with house.served:
        accounts.add_account(
            house.served.site.access, "test", "kim", "김민지 님", ["custodian", "officer"], None, "provider kim"
        )
        house.copied(*NUMBERS)
        _know(house)
        yield house
        house.close()


def _know(house: SearchHouse) -> None:
    """Stores the units' signed events of these calls, like the ingest."""
    with house.central.engine.begin() as db:
        for record in house.unit.keeper.vault.glob("2026/*/*/*/record.json"):
            call_id = record.parent.name
            at = rfc3339(sealed.call_ns(call_id))
            digest = hashlib.sha256(record.read_bytes()).hexdigest()
            db.execute(insert(tables.calls).values(
                unit=UNIT, call_id=call_id, line=1, direction="in", disposition="recorded", began_at=at, sealed_at=at,
                record_sha256=digest, late=False,
            ))  # fmt: skip


def clerk(house: SearchHouse, browser: Browser, record: Recording) -> None:
    context = house.served.context(browser, "custodian", "officer", name="kim")
    hand = record.hand("clerk", context, DESKTOP, narrow=True)
    hand.open(f"{house.served.url}/")
    hand.begin("has a complaint about a call of last Tuesday from a known number")
    hand.press('nav a[href="/find"]')
    hand.begin("enters the reason and the days")
    hand.press("#purpose-dispute", stays=True)
    hand.type("#case", "2026-117")
    hand.day("#from", "2026-11-23")
    hand.day("#to", "2026-11-25")
    hand.press('form[action="/find"] button')
    hand.begin("copies the ticket")
    ticket = hand.copy("#ticket")
    out = house.people.root / "out"
    chosen = Settings(desk=house.served.url, ca=str(house.served.ca), output=str(out), index=[str(house.key)])
    with InThread(house.people, chosen, enters=False) as run:
        hand.end()
        hand.narrow = False
        hand.open(f"{run.program.url}/")
        hand.begin("starts the program, and types the code from its window")
        hand.type("#code", run.program.admission.code.lower(), secret=True)
        hand.press("button")
        hand.begin("fetches the indexes of all units with the ticket")
        hand.paste("#find", ticket)
        hand.press('form[action$="/find"] button')
        hand.begin("types the number, which stays on this computer")
        hand.type("#text", NUMBERS[0])
        hand.press("form.narrow button")
        hand.begin("sees the call, and requests its release", "tbody")
        hand.press_for_window("td a")
        hand.narrow = True
        hand.page.locator("#recipient").wait_for()
        hand.begin("enters the requester, with that person's key")
        hand.press("#purpose-dispute", stays=True)
        hand.type("#case", "2026-117")
        hand.type("#requester", "정호")
        hand.paste("#recipient", keys.new_identity().recipient)
        hand.press("form:has(#recipient) button")
        hand.begin("sees the request, and who has the next step", ".steps [aria-current]")
        hand.end()
