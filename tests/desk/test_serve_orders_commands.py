# SPDX-License-Identifier: Apache-2.0
"""Every command shown on the page of new units is run unchanged in a shell, until the unit is adopted."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from adoption_officer import Officer
from order_forms import SITE, UNIT, download, files
from servesite import ServeSite

from adoption_rig import LIMIT_S, NewUnit
from broker import until
from card_rig import PINS, PRIVATE
from linetap.config import load_config
from linetap.provision.applyorder import SECRET
from linetap_core.evidence.authorization.command import Command, Envelope
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import sshsig

NAME = UNIT["unit"]


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[NewUnit]:
    (tmp_path / "unit").mkdir()
    with NewUnit.of(tmp_path / "unit") as made:
        made.card.home.mkdir()
        shutil.copy(PINS, made.card.home / "pins.toml")
        yield made


@pytest.fixture
def desk(tmp_path: Path, unit: NewUnit) -> Iterator[Officer]:
    key = keys.load_unit_key((unit.card.desk / PRIVATE).read_bytes())
    (public := unit.card.desk / "authority.pub").write_text(keys.public_line(key.public_key()) + " authority\n")
    with ServeSite(tmp_path / "serve", more=f'authority = "{public}"') as served:
        yield Officer(served)


@pytest.fixture
def folder(tmp_path: Path, unit: NewUnit) -> Path:
    """The folder of the keys' owner, with the names used on the page."""
    made = tmp_path / "authority"
    made.mkdir()
    shutil.copy(unit.card.desk / PRIVATE, made / "authority.key")
    (made / "pki").symlink_to(unit.pki.folder)
    return made


def run(command: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True, timeout=LIMIT_S, env=os.environ | {"PATH": path})


def shown(desk: Officer) -> list[str]:
    return [html.unescape(text) for text in re.findall(r"<pre>(.*?)</pre>", desk.page(), re.DOTALL)]


def test_the_commands_of_the_page_lead_to_a_unit_that_is_adopted(desk: Officer, unit: NewUnit, folder: Path) -> None:
    assert desk.post("/adoption/site", files(unit.card, unit.pki.ca.read_bytes()), **SITE).status_code == 303
    assert desk.post("/adoption/order", None, **UNIT).status_code == 303
    path, data = download(desk)
    (folder / f"{NAME}.linetap.toml").write_bytes(data)
    sign = shown(desk)[0]
    run(sign, folder)
    signature = (folder / f"{NAME}.linetap.toml.sig").read_bytes()
    assert desk.post(f"{path}/signature", {"file": signature}).status_code == 303
    process = unit.start(desk.served.url)
    desk.chooses()
    assert desk.compare(unit.digits()).status_code == 303
    unit.press()
    until(lambda: "requested" in desk.state(), LIMIT_S)
    (folder / f"{NAME}.request").write_bytes(desk.client.get(f"{path}/request").content)
    certify, signers = shown(desk)
    run(certify, folder)
    run(signers, folder)
    assert f"\n{NAME} " in (folder / "allowed_signers").read_text()
    pem = (folder / f"{NAME}.pem").read_bytes()
    assert desk.post(f"{path}/certificate", {"file": pem}).status_code == 303
    assert process.wait(LIMIT_S) == 0
    until(lambda: desk.state() == ["adopted"], LIMIT_S)
    (roles,) = shown(desk)
    made, send = roles.splitlines()
    (folder / "roles.json").write_text("{}\n")
    run("ssh-keygen -q -Y sign -f authority.key -n linetap-roles roles.json", folder)
    run(made, folder)
    envelope = msgspec.json.decode((folder / f"{NAME}.roles.command").read_bytes(), type=Envelope)
    command = msgspec.json.decode(envelope.command, type=Command)
    assert (command.verb, command.role, command.unit) == ("roles", "authority", NAME)
    assert send == f"linetap command send {NAME}.roles.command --config desk.toml"
    assert sshsig.check_all(envelope.command.encode(), envelope.sig.encode(), "linetap-command")


def test_the_commands_of_the_page_lead_to_a_unit_that_a_card_has_commissioned(
    desk: Officer, unit: NewUnit, folder: Path
) -> None:
    """The order of a unit with a fixed address, which no desk can reach before it has it."""
    assert desk.post("/adoption/site", files(unit.card, unit.pki.ca.read_bytes()), **SITE).status_code == 303
    fixed = {"address": "10.1.2.3/24", "gateway": "10.1.2.1", "wifi_ssid": "city-3", "wifi_passphrase": "p4ss phrase"}
    assert desk.post("/adoption/order", None, **(UNIT | fixed)).status_code == 303
    path, data = download(desk)
    (folder / f"{NAME}.linetap.toml").write_bytes(data)
    certify, signers = shown(desk)[1:]
    (for_card,) = re.findall(rf'href="({path}/order[^"]+)"', desk.page())
    shutil.copy(folder / f"{NAME}.linetap.toml", unit.card.boot)
    assert unit.card.start() == 2, "under the name of the file for the authority"
    (unit.card.boot / f"{NAME}.linetap.toml").unlink()
    answer = desk.client.get(for_card)
    (name,) = re.findall(r'filename="([^"]+)"', answer.headers["content-disposition"])
    (unit.card.boot / name).write_bytes(answer.content)
    assert unit.card.start() == 0
    assert load_config(unit.card.home / "unit.toml").unit == NAME
    assert "Address=10.1.2.3/24" in (unit.card.etc / "systemd/network/10-linetap.network").read_text()
    assert 'psk="p4ss phrase"' in (unit.card.etc / SECRET).read_text()
    shutil.move(unit.card.boot / f"{NAME}.request", folder)
    run(certify, folder)
    run(signers, folder)
    shutil.copy(folder / f"{NAME}.pem", unit.card.boot)
    assert unit.card.start() == 0
    assert (unit.card.home / "tls.pem").read_bytes() == (folder / f"{NAME}.pem").read_bytes()
    assert desk.post(f"{path}/end").status_code == 303
    assert desk.state() == ["ended"]
