# SPDX-License-Identifier: Apache-2.0
"""A new unit in a closet, and an administrator at the desk: what all units share, the unit's own configuration, the
authority's signature, six digits by telephone, the certificate. The unit is its own process, the signature OpenSSH's,
the certificate that of `linetap pki`."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from order_forms import SITE, signed_by_ssh_keygen
from playwright.sync_api import Browser
from role_hand import DESKTOP, Hand, Recording
from servesite import ServeSite

from adoption_rig import LIMIT_S, NewUnit
from card_rig import PINS, PRIVATE
from linetap_core.evidence.keys import keys
from linetap_desk.serve.people import accounts

LINES = {1: ("station", "2101"), 2: ("station", "2102"), 3: ("trunk", "01"), 4: ("exempt", "2104")}


class NewHouse:
    def __init__(self, served: ServeSite, unit: NewUnit, folder: Path) -> None:
        self.served, self.unit, self.folder = served, unit, folder


@contextlib.contextmanager
def new_house(folder: Path, _browser: Browser) -> Iterator[NewHouse]:
    for name in ("unit", "downloads"):
        (folder / name).mkdir()
    with NewUnit.of(folder / "unit") as unit:
        unit.card.home.mkdir()
        shutil.copy(PINS, unit.card.home / "pins.toml")  # as the image has it
        key = keys.load_unit_key((unit.card.desk / PRIVATE).read_bytes())
        public = unit.card.desk / "authority.pub"
        public.write_text(keys.public_line(key.public_key()) + " authority\n")
        with ServeSite(folder / "serve", more=f'authority = "{public}"') as served:
            accounts.add_account(served.site.access, "test", "kang", "강수빈 님", ["officer"], None, "provider kang")
            yield NewHouse(served, unit, folder / "downloads")


def administrator(house: NewHouse, browser: Browser, record: Recording) -> None:
    hand = record.hand("administrator", house.served.context(browser, "officer", name="kang"), DESKTOP, narrow=True)
    hand.open(f"{house.served.url}/")
    hand.begin("begins with new units")
    hand.press('nav a[href="/adoption"]')
    hand.begin("goes to what all units share, once for a city")
    hand.press('main a[href="/adoption/site"]')
    _site(house, hand)
    hand.begin("is led to the configuration of a unit, and names it, its place and its lines")
    hand.type("#unit", "floor-03")
    hand.type("#place", "본관 3층 통신실")
    for number, (kind, name) in LINES.items():
        hand.select(f"#kind{number}", kind)
        hand.type(f"#number{number}", name)
    hand.press('form[method="post"]:has(#unit) button[type="submit"]')
    _sign(house, hand)
    process = house.unit.start(house.served.url)
    hand.end()
    _shows(hand, 'form[action$="/choose"]')
    hand.begin("is on the telephone with the closet, and sees which unit asks", 'form[action$="/choose"] p')
    hand.begin("lets it count its digits")
    hand.press('form[action$="/choose"] button')
    hand.begin("types the six digits that are read out at the unit")
    hand.type("input[name=digits]", house.unit.digits(), secret=True)
    hand.press("form:has(input[name=digits]) button")
    hand.begin("says on the telephone: hold the button for three seconds", ".note p")
    hand.end()
    house.unit.press()
    _shows(hand, 'a[href$="/request"]')
    hand.begin("takes the unit's request to the authority of the certificates")
    asked = hand.download('a[href$="/request"]', house.folder)
    hand.command("linetap pki unit floor-03.request --dir pki -o floor-03.pem")
    pem = house.folder / "floor-03.pem"
    assert house.unit.pki.run("unit", str(asked), "-o", str(pem)) == 0
    hand.file("input[id^=pem-]", pem)
    hand.press('form[action$="/certificate"] button')
    assert process.wait(LIMIT_S) == 0
    hand.begin("sees that the unit takes its certificate", ".note p")
    hand.end()
    _shows(hand, '[data-state="adopted"]')
    hand.begin("sees that the unit is adopted, and what is left to do", ".note.success > p")
    hand.end()


def _site(house: NewHouse, hand: Hand) -> None:
    desk = house.unit.card.desk
    hand.begin("fills it in")
    hand.type("#broker_host", SITE["broker_host"])
    hand.file("#ca", house.unit.pki.ca)
    hand.type("#ntp", SITE["ntp"])
    hand.type("#days", SITE["days"])
    hand.file("#key_list", desk / "keylist.json")
    hand.file("#key_list_sig", desk / "keylist.json.sig")
    hand.paste("#custodians", SITE["custodians"])
    hand.type("#custodians_needed", SITE["custodians_needed"])
    hand.press('form[action="/adoption/site"] button')


def _sign(house: NewHouse, hand: Hand) -> None:
    hand.begin("takes the order to the authority, who signs it, and brings the signature")
    order = hand.download('a[href$="/order"]:has-text("linetap.toml")', house.folder)
    hand.command("ssh-keygen -Y sign -n linetap-order -f authority.key floor-03.linetap.toml")
    signature = house.folder / "floor-03.linetap.toml.sig"
    signature.write_bytes(signed_by_ssh_keygen(house.unit.card.desk / PRIVATE, order.read_bytes(), house.folder))
    hand.file("input[id^=sig-]", signature)
    hand.press('form[action$="/signature"] button')


def _shows(hand: Hand, selector: str) -> None:
    """The page goes on by itself, until the unit has come so far."""
    hand.page.locator(selector).first.wait_for(timeout=LIMIT_S * 1000)
