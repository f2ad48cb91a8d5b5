# SPDX-License-Identifier: Apache-2.0
"""An order from the forms of the desk to a unit that has adopted it, without a linetap command on any machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from adoption_officer import Officer
from order_forms import SITE, UNIT, download, files, mistakes, signed_by_ssh_keygen
from playwright.sync_api import Browser
from servesite import ServeSite, chromium, require_accessible
from sqlalchemy import select

from adoption_rig import LIMIT_S, NewUnit
from card_rig import PINS, PRIVATE
from linetap.config import load_config
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.serve.database.tables import access, adoptions


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[NewUnit]:
    (tmp_path / "unit").mkdir()
    with NewUnit.of(tmp_path / "unit") as made:
        made.card.home.mkdir()
        shutil.copy(PINS, made.card.home / "pins.toml")  # as the image has it
        yield made


@pytest.fixture
def desk(tmp_path: Path, unit: NewUnit) -> Iterator[Officer]:
    key = keys.load_unit_key((unit.card.desk / PRIVATE).read_bytes())
    public = unit.card.desk / "authority.pub"
    public.write_text(keys.public_line(key.public_key()) + " authority\n")
    with ServeSite(tmp_path / "serve", more=f'authority = "{public}"') as served:
        yield Officer(served)


def filled(desk: Officer, unit: NewUnit) -> None:
    assert desk.post("/adoption/site", files(unit.card, unit.pki.ca.read_bytes()), **SITE).status_code == 303


def log(desk: Officer) -> list[tuple[str, str]]:
    with desk.served.site.own.connect() as db:
        rows = db.execute(select(access.c.act, access.c.outcome).order_by(access.c.seq)).all()
    return [(row.act, row.outcome) for row in rows if row.act.startswith("order_")]


def test_from_the_forms_to_a_unit_that_records(desk: Officer, unit: NewUnit, tmp_path: Path) -> None:
    filled(desk, unit)
    assert desk.post("/adoption/order", None, **UNIT).status_code == 303
    assert desk.state() == ["unsigned"]
    assert "시청 본관 3층 통신실" in desk.page()
    path, data = download(desk)
    (card,) = re.findall(rf'href="({path}/order[^"]+)"', desk.page())
    for_card = desk.client.get(card)
    assert (for_card.content, for_card.headers["content-disposition"]) == (data, 'attachment; filename="linetap.toml"')
    signature = signed_by_ssh_keygen(unit.card.desk / PRIVATE, data, tmp_path)
    assert desk.post(f"{path}/signature", {"file": signature}).status_code == 303
    assert desk.state() == ["prepared"]
    process = unit.start(desk.served.url)
    desk.chooses()
    assert desk.compare(unit.digits()).status_code == 303
    unit.press()
    desk.certify(unit, tmp_path)
    assert process.wait(LIMIT_S) == 0
    config = load_config(unit.card.home / "unit.toml")
    assert [(one.number, one.extension, one.trunk, one.exempt) for one in config.line] == [
        (1, "2101", None, False), (2, None, "01", False), (3, "2103", None, True), (9, "2109", None, False)
    ]  # fmt: skip
    assert (config.broker.host, config.broker.ca) == ("mqtt.city.example", str(unit.card.home / "ca.pem"))
    assert config.meter_port(2) == "/dev/linetap/card2/meter"
    rules = (unit.card.etc / "udev/rules.d/69-linetap.rules").read_text()
    assert 'KERNELS=="1-1.3", ENV{LINETAP_CARD}="2"' in rules
    assert log(desk) == [("order_site", "done"), ("order_make", "done"), ("order_sign", "done")]
    assert desk.state() == ["adopted"]
    with desk.served.site.own.connect() as db:
        row = db.execute(select(adoptions)).mappings().one()
    assert [row[name] for name in ("draft", "order", "signature")] == [None] * 3


def test_an_order_that_nobody_has_signed_is_given_to_no_unit(desk: Officer, unit: NewUnit, tmp_path: Path) -> None:
    filled(desk, unit)
    assert desk.post("/adoption/order", None, **UNIT).status_code == 303
    unit.start(desk.served.url)
    run = desk.chooses()
    path, data = download(desk)
    assert "<option" not in desk.page(), "it cannot be chosen"
    assert desk.compare(unit.digits(), run, path.rpartition("/")[2]).status_code == 409
    stranger = tmp_path / "stranger.key"
    stranger.write_bytes(keys.unit_key_file(keys.new_unit_key()))
    stranger.chmod(0o600)
    for signature in (signed_by_ssh_keygen(stranger, data, tmp_path), b"", b"no signature"):
        assert desk.post(f"{path}/signature", {"file": signature}).status_code == 409
    own = keys.load_unit_key((unit.card.desk / PRIVATE).read_bytes())
    for other in (data + b"\n", data.replace(b"2101", b"2102")):
        signature = sshsig.sign(other, own, namespaces.ORDER).encode()
        assert desk.post(f"{path}/signature", {"file": signature}).status_code == 409, "of other bytes"
    assert desk.state() == ["unsigned"]
    assert log(desk).count(("order_sign", "refused")) == 5


def test_a_signed_order_goes_on_waiting_while_another_is_made(desk: Officer, unit: NewUnit, tmp_path: Path) -> None:
    filled(desk, unit)
    assert desk.post("/adoption/order", None, **UNIT).status_code == 303
    path, data = download(desk)
    signature = signed_by_ssh_keygen(unit.card.desk / PRIVATE, data, tmp_path)
    assert desk.post(f"{path}/signature", {"file": signature}).status_code == 303
    assert desk.post("/adoption/order", None, **(UNIT | {"number1": "2199"})).status_code == 303
    assert desk.state() == ["prepared"]
    with desk.served.site.own.connect() as db:
        assert bytes(db.execute(select(adoptions.c.order)).scalar_one()) == data
    again, new = download(desk)
    assert again == path
    assert b"2199" in new
    assert desk.post(f"{path}/signature", {"file": signature}).status_code == 409, "of the one before"


def test_each_mistake_stands_beside_its_field(desk: Officer, unit: NewUnit) -> None:
    empty = desk.post("/adoption/site", {}, broker_host="localhost", broker_authority="own", broker_port="0", days="x")
    assert empty.status_code == 409
    assert mistakes(empty.text).keys() == {"broker_host", "broker_port", "days", "ca", "key_list", "key_list_sig"}
    filled(desk, unit)
    wrong = UNIT | {
        "unit": "Floor 3", "port2": "1-1.1", "number2": "01 02", "number9": "2101", "number4": "2104",
        "address": "10.1.2.3", "dns": "name", "vlan": "5000", "broker_network": "0.0.0.0/0",
    }  # fmt: skip
    answer = desk.post("/adoption/order", None, **wrong)
    assert answer.status_code == 409
    assert mistakes(answer.text).keys() == {
        "unit", "port2", "number2", "number9", "number4", "address", "gateway", "dns", "vlan", "broker_network"
    }  # fmt: skip
    assert 'value="2109"' not in answer.text
    assert 'value="2101"' in answer.text, "what was typed is there again"
    assert "<li><a" in answer.text
    assert desk.state() == []
    assert log(desk) == [("order_site", "refused"), ("order_site", "done"), ("order_make", "refused")]


def test_a_private_key_is_not_kept_and_not_shown_again(desk: Officer, unit: NewUnit) -> None:
    secret = keys.new_identity().secret
    answer = desk.post("/adoption/site", files(unit.card, unit.pki.ca.read_bytes()), **(SITE | {"custodians": secret}))
    assert answer.status_code == 409
    assert "custodians" in mistakes(answer.text)
    assert secret not in answer.text
    key = next(unit.pki.folder.glob("*.key")).read_bytes()
    answer = desk.post("/adoption/site", files(unit.card, key), **SITE)
    assert mistakes(answer.text).keys() == {"ca"}


def test_a_passphrase_is_in_the_order_alone(desk: Officer, unit: NewUnit, capfd: pytest.CaptureFixture[str]) -> None:
    """Not on a page, not in the access log, not in the journal; and in the database only until the order is
    completed.
    """
    filled(desk, unit)
    wifi = {"wifi_ssid": "city-3", "wifi_passphrase": (secret := "p4ss phrase of 3")}
    answer = desk.post("/adoption/order", None, **(UNIT | wifi | {"vlan": "12", "smdr_format": "columns"}))
    assert mistakes(answer.text).keys() == {"vlan", "smdr_baud", "smdr_time_is", "smdr_columns", "smdr_date"} | {
        "smdr_time", "smdr_duration", "smdr_kinds"
    }  # fmt: skip
    assert "city-3" in answer.text
    assert secret not in answer.text
    assert desk.post("/adoption/order", None, **(UNIT | wifi)).status_code == 303
    path, data = download(desk)
    assert secret.encode() in data
    pages = [desk.page(), *(desk.client.get(each).text for each in (f"{path}/paper", "/adoption/order"))]
    assert secret not in "".join(pages)
    with desk.served.site.own.connect() as db:
        rows = db.execute(select(access)).mappings().all()
        assert [row["act"] for row in rows] == ["order_site", "order_make", "order_make"]
        assert secret not in str(rows)
    assert desk.post(f"{path}/end").status_code == 303
    with desk.served.site.own.connect() as db:
        assert secret.encode() not in b"".join(
            each for each in db.execute(select(adoptions)).mappings().one().values() if isinstance(each, bytes)
        )
    assert secret not in "".join(capfd.readouterr())


def test_a_certificate_that_is_no_authoritys_is_none(desk: Officer, unit: NewUnit) -> None:
    """Made by openssl, independently of us."""
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"]
    words += ["/dev/null", "-subj", "/CN=mqtt.city.example", "-days", "10", "-addext", "basicConstraints=CA:"]
    for ca, status in (("FALSE", 409), ("TRUE", 303)):
        made = subprocess.run([*words[:-1], f"{words[-1]}{ca}"], check=True, capture_output=True, timeout=60).stdout
        assert desk.post("/adoption/site", files(unit.card, made), **SITE).status_code == status


def test_without_an_authority_the_page_states_it(tmp_path: Path) -> None:
    with ServeSite(tmp_path / "serve") as served:
        desk = Officer(served)
        page = desk.client.get("/adoption/site")
        assert "serve.authority" in page.text
        assert desk.client.get("/adoption/order").headers["location"] == "/adoption/site"
        assert desk.post("/adoption/order", None, **UNIT).status_code == 303
        assert desk.post("/adoption/site", {}, **SITE).headers["location"] == "/adoption/site"
        assert log(desk) == []


def test_the_forms_are_accessible(desk: Officer, unit: NewUnit) -> None:
    """Also with errors in them."""
    with chromium() as browser:
        assert isinstance(browser, Browser)
        page = desk.served.page(browser, "/adoption/site", "officer")
        require_accessible(page)
        with page.expect_navigation():
            page.get_by_role("button", name="저장").click()
        assert page.locator('[aria-invalid="true"]').count() == 4
        require_accessible(page)
        filled(desk, unit)
        page.goto(f"{desk.served.url}/adoption/order?cards=2")
        require_accessible(page)
        page.get_by_label("기기 이름").fill("Floor 3")
        with page.expect_navigation():
            page.get_by_role("button", name="설정 파일 만들기").click()
        assert page.locator("#unit-wrong").count() == 1
        require_accessible(page)
        assert desk.post("/adoption/order", None, **UNIT).status_code == 303
        page.goto(f"{desk.served.url}/adoption")
        require_accessible(page)
