# SPDX-License-Identifier: Apache-2.0
"""The two forms of an order, filled in: the common settings of a site's units, and a unit of two line cards."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

from adoption_officer import Officer

from card_rig import CUSTODIAN, Card
from linetap_core.evidence.signing import namespaces

SITE = {
    "broker_host": "mqtt.city.example", "broker_port": "8883", "broker_authority": "own", "broker_network": "",
    "ntp": "ntp.city.example 10.1.2.9", "days": "60", "custodians": CUSTODIAN, "custodians_needed": "1",
}  # fmt: skip
UNIT = {
    "unit": "floor-03", "place": "시청 본관 3층 통신실", "cards": "2", "port1": "1-1.1", "port2": "1-1.3",
    "kind1": "station", "number1": "2101", "kind2": "trunk", "number2": "01", "kind3": "exempt", "number3": "2103",
    "kind9": "station", "number9": "2109", "broker_network": "203.0.113.7",
}  # fmt: skip
WRONG = re.compile(r'<p class="wrong" id="(\w+)-wrong">([^<]*)</p>')


def files(card: Card, ca: bytes) -> dict[str, bytes]:
    """The files uploaded on the site's form."""
    data = {"key_list": "keylist.json", "key_list_sig": "keylist.json.sig"}
    return {"ca": ca} | {name: (card.desk / path).read_bytes() for name, path in data.items()}


def mistakes(page: str) -> dict[str, str]:
    """Field -> its error message."""
    return {name: html.unescape(text) for name, text in WRONG.findall(page)}


def download(desk: Officer) -> tuple[str, bytes]:
    """The path of the one unsigned order, without its last part; and its bytes."""
    (path,) = set(re.findall(r'href="(/adoption/[^"/]+)/order"', desk.page()))
    answer = desk.client.get(f"{path}/order")
    assert answer.status_code == 200
    return path, answer.content


def signed_by_ssh_keygen(key: Path, data: bytes, folder: Path) -> bytes:
    """A signature by OpenSSH's program, as described on the page."""
    file = folder / "floor-03.linetap.toml"
    file.write_bytes(data)
    file.with_suffix(".toml.sig").unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespaces.ORDER, "-f", str(key), str(file)]
    subprocess.run(words, check=True, timeout=60, stdin=subprocess.DEVNULL, capture_output=True)
    return file.with_suffix(".toml.sig").read_bytes()
