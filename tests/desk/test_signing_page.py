# SPDX-License-Identifier: Apache-2.0
"""Approving with a passkey in a real browser: Chromium with its virtual authenticator, the signing page on a separate
host, and the result accepted by the desk, by `linetap unwrap` and by stock ssh-keygen.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from release_house import LEGAL, MANAGER, ReleaseHouse, refusal
from servesite import WCAG

from linetap_core.clock import parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import SIGNING_PAGES
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.signing import namespaces
from linetap_desk.accesslog import roles
from linetap_desk.config import pages
from linetap_desk.release import signingpage
from passkey_rig import SoftPasskey
from release_rig import KIM, PARK, Desk
from sealing_rig import CALL_ID, run

ROOT = Path(__file__).resolve().parents[2]
HOST = "sign.localhost"
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


class Served:
    """A site with one page, which tests may change."""

    def __init__(self) -> None:
        outer, self.page = self, signingpage.page()

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(outer.page)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://{HOST}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def sign() -> Iterator[Served]:
    served = Served()
    yield served
    served.end()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """The page in an approver's browser, with an authenticator that always confirms."""
    with contextlib.closing(browser.new_context(locale="ko-KR", accept_downloads=True)) as context:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        yield page


@pytest.fixture
def house(desk: Desk, sign: Served) -> Iterator[ReleaseHouse]:
    house = ReleaseHouse(desk, more=f'signing = "{sign.url}"')
    with house.served:
        yield house
    house.engine.dispose()


def make_passkey(page: Page, sign: Served, name: str) -> str:
    """The line that the page shows."""
    page.goto(sign.url)
    page.get_by_label("이름").fill(name)
    page.get_by_role("button", name="패스키 만들기").click()
    expect(page.locator("#line")).to_be_visible()
    return page.locator("#line").inner_text()


def open_link(page: Page, house: ReleaseHouse, request_id: str, role: str = MANAGER) -> None:
    korean = house.served.client(role, name=role)
    found = re.search(r'id="signing" href="([^"]+)"', korean.get(f"/release/{request_id}").text)
    assert found
    page.goto("about:blank")  # with only another fragment the page would not reload
    page.goto(found[1])


def sign_here(page: Page, folder: Path) -> bytes:
    page.get_by_role("button", name="패스키로 승인 서명하기").click()
    with page.expect_download() as fetched:
        page.get_by_role("link", name="서명 파일 내려받기").click()
    path = folder / fetched.value.suggested_filename
    fetched.value.save_as(path)
    return path.read_bytes()


def test_from_a_new_passkey_to_the_opened_key(house: ReleaseHouse, page: Page, sign: Served, tmp_path: Path) -> None:
    desk = house.desk
    line = make_passkey(page, sign, KIM)
    told = page.locator("#said").inner_text()
    (tmp_path / "kim.pub").write_text(line + "\n")
    assert run(["ssh-keygen", "-l", "-f", str(tmp_path / "kim.pub")]).stdout.decode().split()[1] in told
    (desk.root / f"{KIM}.pub").write_text(line)
    desk.sign_roles(2)

    request_id = house.keyed()
    request = house.request(request_id)
    open_link(page, house, request_id)
    expect(page.locator("#fields")).to_contain_text("2026-117")
    assert page.url == f"{sign.url}/"  # the browser's history has nothing of the request
    shown = page.locator("#fields").inner_text()
    asked = json.loads(request.read_bytes())
    for value in (*(text for text in asked.values() if isinstance(text, str)), CALL_ID):
        if value not in (asked["created"], asked["expires"]):  # as a date of Korea
            assert value in shown
    assert not Axe().run(page, options={"runOnly": WCAG}).violations_count
    sig = sign_here(page, tmp_path)

    (tmp_path / "signers").write_text(f"kim {line}\n")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "signers"), "-I", "kim", "-n", namespaces.RELEASE]
    (tmp_path / "sig").write_bytes(sig)
    assert run([*command, "-s", str(tmp_path / "sig")], stdin=request.read_bytes()).returncode == 0
    assert run([*command, "-s", str(tmp_path / "sig")], stdin=request.read_bytes() + b" ").returncode != 0

    answer = house.approve(request_id, MANAGER, sig)
    assert answer.status_code == 303, refusal(answer)
    assert house.approve(request_id, LEGAL).status_code == 303  # PARK has a key file
    opened = house.client("vault").get(f"/release/{request_id}/vault")
    assert opened.status_code == 200

    at_vault = tmp_path / "vault"
    at_vault.mkdir()
    (at_vault / "request.json").write_bytes(request.read_bytes())
    (at_vault / "request.json.manager.sig").write_bytes(sig)
    desk.stock_sign(request, PARK, at_vault / "request.json.legal.sig")
    desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
    desk.clock.step_utc(parse_rfc3339(asked["created"]) - desk.clock.utc_ns() + 1_000_000_000)
    assert desk.unwrap(desk.call, at_vault / "request.json").exists()
    assert desk.log()[-1].approvers == sorted([KIM, PARK])


def test_a_request_for_another_page_is_not_signed(house: ReleaseHouse, page: Page, sign: Served) -> None:
    (house.desk.root / f"{KIM}.pub").write_text(make_passkey(page, sign, KIM))
    house.desk.sign_roles(2)
    request_id = house.keyed()
    sign.page = sign.page.replace(b"</html>", b"<!-- a later version --></html>")
    open_link(page, house, request_id)
    expect(page.locator("#said")).to_contain_text("다른 버전의 서명 페이지")
    expect(page.locator("#fields")).to_contain_text("2026-117")
    expect(page.locator("#act")).to_be_hidden()


def test_a_field_that_the_page_does_not_know_is_shown(page: Page, sign: Served) -> None:
    data = json.dumps({"id": "2026-0042", "also": {"give": "<b>everything</b>"}, "signing_page": signingpage.sha256()})
    soft = SoftPasskey(HOST)
    page.goto(signingpage.link(sign.url, data.encode(), [Person("Kim", "privacy", soft.line)], "ko"))
    expect(page.locator("#fields")).to_contain_text("알 수 없는 항목: also")
    expect(page.locator("#fields")).to_contain_text('{"give":"<b>everything</b>"}')
    page.get_by_role("button", name="패스키로 승인 서명하기").click()  # of a passkey that this device does not have
    expect(page.locator("#said")).to_contain_text("서명하지 않았습니다")


@pytest.mark.parametrize("fragment", ["x", "e30", "%00", "bm90IGpzb24", "eyJyZXF1ZXN0IjoiISEhIiwicGVvcGxlIjpbXX0"])
def test_a_fragment_that_is_no_request(page: Page, sign: Served, fragment: str) -> None:
    page.goto(f"{sign.url}/#{fragment}")
    expect(page.locator("#said")).to_contain_text("신청 내용을 읽을 수 없습니다")


def test_a_script_put_into_the_page_does_not_run(page: Page, sign: Served) -> None:
    """The page's own policy names its script by hash: additions to the file are not executed."""
    sign.page = sign.page.replace(b"</body>", b"<script>document.title = 'taken over'</script></body>")
    page.goto(sign.url)
    expect(page.get_by_label("이름")).to_be_visible()
    assert page.title() == "패스키 만들기"


def test_without_a_signing_page_no_request_names_one(desk: Desk) -> None:
    house = ReleaseHouse(desk)
    with house.served:
        request_id = house.keyed()
        assert b"signing_page" not in house.request(request_id).read_bytes()
        assert 'id="signing"' not in house.client(MANAGER).get(f"/release/{request_id}").text
    house.engine.dispose()


def test_the_hashes_are_those_of_the_file(desk: Desk, tmp_path: Path) -> None:
    tool = runpy.run_path(str(ROOT / "tools/signingpage.py"))
    text = signingpage.page().decode()
    assert tool["with_hashes"](text) == text, "tools/signingpage.py writes them"
    assert SIGNING_PAGES[-1] == hashlib.sha256(signingpage.page()).hexdigest(), "tools/signingpage.py writes it"
    told = desk.release("page", "-o", tmp_path / "index.html")
    assert run(["sha256sum", str(tmp_path / "index.html")]).stdout.decode().split()[0] == told.split()[0]


def test_whose_passkeys_the_page_is_given() -> None:
    here, elsewhere, nameless = SoftPasskey(HOST), SoftPasskey("desk.localhost"), SoftPasskey(HOST, credential="")
    people = [Person("A", "legal", here.line), Person("B", "privacy", elsewhere.line), Person("C", "x", nameless.line)]
    assert [one.name for one in signingpage.approvers(Roles(1, people, []), HOST)] == ["A"]


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("https://desk.city.example", "could use its passkeys"),
        ("https://city.example", "could use its passkeys"),
        ("http://sign.city.example", "https://sign.city.example"),
        ("https://sign.city.example/page", "https://sign.city.example"),
        ("https://192.0.2.7", "a host name expected"),
    ],
)
def test_an_address_that_cannot_be_the_signing_pages(tmp_path: Path, address: str, word: str) -> None:
    config = tmp_path / "desk.toml"
    config.write_text(f'[serve]\nurl = "https://desk.city.example:8443"\nsigning = "{address}"\n')
    with pytest.raises(BadInput, match=word):
        pages.read_settings(config)
