# SPDX-License-Identifier: Apache-2.0
"""A new unit in a closet, and an administrator at the desk: common settings, the unit's own configuration, the
authority's signature, six digits by telephone, the certificate.

The unit is a separate process; order and certificate are signed by buttons in `linetap custody` on the authority's
computer.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from order_forms import SITE
from playwright.sync_api import Browser
from program_rig import InThread
from role_hand import DESKTOP, Hand, Recording
from servesite import ServeSite

from adoption_rig import LIMIT_S, NewUnit
from card_rig import PINS, PRIVATE
from linetap_core.clock import SYSTEM
from linetap_core.enrolment.checkdigit import with_check
from linetap_core.evidence.keys import keys
from linetap_desk.custody.program.settings import Settings
from linetap_desk.serve.people import accounts
from release_rig import Desk

LINES = {1: ("station", "2101"), 2: ("station", "2102"), 3: ("trunk", "01"), 4: ("exempt", "2104")}


class NewHouse:
    """`people`: the computer of the authority; `folder`: the downloads of its browser and the administrator's."""

    def __init__(self, served: ServeSite, unit: NewUnit, folder: Path, people: Desk) -> None:
        self.served, self.unit, self.folder, self.people = served, unit, folder, people

    @contextlib.contextmanager
    def program(self, hand: Hand, chosen: Settings) -> Iterator[None]:
        """`linetap custody`, started by its icon; its window shows the code required by its page."""
        clock, chosen.output = self.people.clock, str(self.folder)
        clock.step_utc(SYSTEM.utc_ns() - clock.utc_ns())
        with InThread(self.people, chosen, enters=False) as run:
            hand.open(f"{run.program.url}/")
            hand.begin("starts the program, and types the code from its window")
            hand.type("#code", run.program.admission.code.lower(), secret=True)
            hand.press("button")
            yield
            hand.end()


@contextlib.contextmanager
def new_house(folder: Path, _browser: Browser) -> Iterator[NewHouse]:
    home, before = folder / "home", os.environ.get("HOME", "")
    for name in ("unit", "home/다운로드", "people"):
        (folder / name).mkdir(parents=True)
    with NewUnit.of(folder / "unit") as unit, contextlib.ExitStack() as held:
        os.environ["HOME"] = str(home)  # start of the program's file dialog
        held.callback(os.environ.__setitem__, "HOME", before)
        unit.card.home.mkdir()
        shutil.copy(PINS, unit.card.home / "pins.toml")  # as the image has it
        key = keys.load_unit_key((unit.card.desk / PRIVATE).read_bytes())
        public = unit.card.desk / "authority.pub"
        public.write_text(keys.public_line(key.public_key()) + " authority\n")
        with ServeSite(folder / "serve", more=f'authority = "{public}"') as served:
            accounts.add_account(served.site.access, "test", "kang", "강수빈 님", ["officer"], None, "provider kang")
            yield NewHouse(served, unit, home / "다운로드", Desk.make(folder / "people"))


def administrator(house: NewHouse, browser: Browser, record: Recording) -> None:
    hand = record.hand("administrator", house.served.context(browser, "officer", name="kang"), DESKTOP, narrow=True)
    authority = record.hand("authority", house.served.context(browser), DESKTOP)
    hand.open(f"{house.served.url}/")
    hand.begin("opens the page of new units")
    hand.press('nav a[href="/adoption"]')
    hand.begin("opens the settings of all units, once for a city")
    hand.press('main a[href="/adoption/site"]')
    _site(house, hand)
    hand.begin("fills in the next page, the configuration of a unit: its name, its place and its lines")
    hand.type("#unit", "floor-03")
    hand.type("#place", "본관 3층 통신실")
    for number, (kind, name) in LINES.items():
        hand.select(f"#kind{number}", kind)
        hand.type(f"#number{number}", name)
    hand.press('form[method="post"]:has(#unit) button[type="submit"]')
    _sign(house, hand, authority)
    process = house.unit.start(house.served.url)
    hand.end()
    _shows(hand, 'form[action$="/choose"]')
    hand.begin("telephones with the closet, and sees which unit requests adoption", 'form[action$="/choose"] p')
    hand.begin("has the unit blink its digits")
    hand.press('form[action$="/choose"] button')
    hand.begin("types the seven digits that are read out at the unit")
    hand.type("input[name=digits]", with_check(house.unit.digits()), secret=True)
    hand.press("form:has(input[name=digits]) button")
    hand.begin("asks on the telephone to hold the button for three seconds", ".note p")
    hand.end()
    house.unit.press()
    _shows(hand, 'a[href$="/request"]')
    hand.begin("downloads the unit's request for the certification authority")
    asked = hand.download('a[href$="/request"]', house.folder)
    hand.end()
    with house.program(authority, Settings(pki=str(house.unit.pki.folder))):
        authority.begin("opens the page of certificates")
        authority.press('a[href$="/certificate"]')
        _takes(authority, "request", asked.name)
        authority.begin("compares unit and key, and makes the certificate", ".facts")
        authority.press('form[action$="/certificate"] button')
    hand.begin("uploads the certificate to the unit's request")
    hand.file("input[id^=pem-]", house.folder / "floor-03.pem")
    hand.press('form[action$="/certificate"] button')
    assert process.wait(LIMIT_S) == 0
    hand.begin("sees that the unit installs its certificate", ".note p")
    hand.end()
    _shows(hand, '[data-state="adopted"]')
    hand.begin("sees that the unit is adopted, and the remaining tasks", ".note.success > p")
    hand.end()


def _site(house: NewHouse, hand: Hand) -> None:
    desk = house.unit.card.desk
    hand.begin("fills in the settings")
    hand.type("#broker_host", SITE["broker_host"])
    hand.file("#ca", house.unit.pki.ca)
    hand.type("#ntp", SITE["ntp"])
    hand.type("#days", SITE["days"])
    hand.file("#key_list", desk / "keylist.json")
    hand.file("#key_list_sig", desk / "keylist.json.sig")
    hand.paste("#custodians", SITE["custodians"])
    hand.type("#custodians_needed", SITE["custodians_needed"])
    hand.press('form[action="/adoption/site"] button')


def _sign(house: NewHouse, hand: Hand, authority: Hand) -> None:
    hand.begin("downloads the order for the authority")
    order = hand.download('a[href$="/order"]:has-text("linetap.toml")', house.folder)
    hand.end()
    with house.program(authority, Settings(signing=str(house.unit.card.desk / PRIVATE))):
        authority.begin("opens the page for signing")
        authority.press('a[href$="/sign"]')
        _takes(authority, "paper", order.name)
        authority.begin("reads the order, and signs it", "main pre")
        authority.press('form[action$="/sign"] button')
    hand.begin("uploads the signature to the order")
    hand.file("input[id^=sig-]", house.folder / f"{order.name}.sig")
    hand.press('form[action$="/signature"] button')


def _takes(authority: Hand, what: str, name: str) -> None:
    authority.begin("chooses the file")
    authority.press(f'a[href$="choose?what={what}"]')
    authority.begin("chooses the first of the downloads")
    authority.press(f'role=button[name="{name}"]')


def _shows(hand: Hand, selector: str) -> None:
    """Waits: the page advances by itself when the unit has."""
    hand.page.locator(selector).first.wait_for(timeout=LIMIT_S * 1000)
