# SPDX-License-Identifier: Apache-2.0
"""The desk's pages with signed rules in force, approvers with passkeys, and the signing page on a separate host."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from release_house import LEGAL, MANAGER, ReleaseHouse
from test_signing_page import AUTHENTICATOR, Served, make_passkey

from linetap_desk.accesslog import roles
from release_rig import KIM, NOW, PARK, PEOPLE, Desk
from sealing_rig import UNIT

STAFF, OPERATOR = "Jung Ho", "배수진"
WORKED = {"approvals": [["legal"]], "max_age_days": 3650, "expires_days": 3, "party": "own_line", "purpose": "dispute"}
RULES: list[dict[str, Any]] = [
    WORKED,
    {"approvals": [["privacy"], ["legal"]], "max_age_days": 3650, "party": "court", "purpose": "investigation"},
    {"approvals": [["privacy"]], "max_age_days": 3650, "may": "listen", "party": "citizen", "purpose": "citizen"},
]
PURPOSES = [
    {"basis": "지침 제12조", "id": "dispute", "text_en": "A complaint", "text_ko": "민원 답변"},
    {"basis": "형사소송법 제199조", "id": "investigation", "text_en": "An investigation", "text_ko": "재판·수사"},
    {"basis": "개인정보 보호법 제35조", "id": "citizen", "text_en": "Access to own data", "text_ko": "정보주체의 열람"},
]  # fmt: skip


@contextlib.contextmanager
def ruled_house(browser: Browser, folder: Path, *, ruled: bool = True) -> Iterator[tuple[ReleaseHouse, dict[str, Any]]]:
    """The house before it is served, and each approver's passkeys. Without `ruled`: two approvals for every purpose."""
    sign = Served()
    with contextlib.ExitStack() as held:
        held.callback(sign.end)
        desk = Desk.make(folder)
        passkeys = {}
        for role, name in ((LEGAL, PARK), (MANAGER, KIM)):
            line, passkeys[role] = _passkey(browser, sign, name)
            (desk.root / f"{name}.pub").write_text(line)
        more: dict[str, Any] = {}
        if ruled:
            staff = {
                "line": 3,
                "name": STAFF,
                "recipient": desk.requester.recipient,
                "since": NOW,
                "supervisors": [PARK],
            }
            more = {"rules": RULES, "lines": [staff | {"unit": UNIT}]}
        desk.ssh_key(OPERATOR)
        desk.sign_roles(2, PEOPLE | {OPERATOR: "operator"}, purposes=PURPOSES, **more)
        desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
        house = ReleaseHouse(desk, more=f'signing = "{sign.url}"', top='outgoing = "outgoing"\n')
        held.callback(house.engine.dispose)
        yield house, passkeys


def give_passkeys(page: Page, credentials: list[Any]) -> None:
    """Gives this page's virtual authenticator the existing passkeys; it always confirms."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})["authenticatorId"]
    for one in credentials:
        session.send("WebAuthn.addCredential", {"authenticatorId": made, "credential": one})


def _passkey(browser: Browser, sign: Served, name: str) -> tuple[str, list[Any]]:
    with contextlib.closing(browser.new_context(locale="ko-KR")) as context:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        made = session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})["authenticatorId"]
        line = make_passkey(page, sign, name)
        return line, session.send("WebAuthn.getCredentials", {"authenticatorId": made})["credentials"]
