# SPDX-License-Identifier: Apache-2.0
"""The configuration of nginx in docs/update.md serves a bundle to a unit of the authority, and to nobody else."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import until
from https_server import HOST
from linetap.update.fetch import fetch
from linetap.update.state import UpdateFault, UpdateRequest
from linetap_bench.stage.servers import free_port, listens
from linetap_core.broker.client import tls_context
from linetap_core.broker.link import Patience
from linetap_core.clock import ManualClock
from linetap_core.wire.mqtt import Broker
from pki_rig import Pair, Pki

PAGE = Path(__file__).parents[2] / "docs/update.md"
BUNDLE = bytes(range(256)) * 4096
AGAIN = Patience(first_ms=1000, longest_ms=4000)
_MAIN = "daemon off;\nerror_log {0}/error.log;\npid {0}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{1}}}\n"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki") / "ours")
    made.unit("floor-03")
    made.unit("floor-04")
    assert made.run("revoke", "floor-04") == 0
    made.host(HOST, name="updates")
    return made


@pytest.fixture(scope="module")
def port(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """nginx with the page's server; only paths and the port are others."""
    folder, found = tmp_path_factory.mktemp("nginx"), free_port()
    (folder / "linetap-0.2.0.raucb").write_bytes(BUNDLE)
    (text,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    pair = pki.pair("updates")
    files = {"broker.pem": pair.certificate, "broker.key": pair.key, "ca.pem": pki.ca, "crl.pem": pki.crl}
    for name, path in files.items():
        assert f"/etc/mosquitto/linetap/{name};" in text
        text = text.replace(f"/etc/mosquitto/linetap/{name}", str(path))
    text = text.replace("listen 443 ", f"listen {HOST}:{found} ").replace("/srv/linetap-updates/", f"{folder}/")
    user = "user root;\n" if os.geteuid() == 0 else ""  # the folder of a test is closed to others
    (folder / "nginx.conf").write_text(user + _MAIN.format(folder, text))
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert program, "./build.sh setup brings nginx"
    running = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf"])
    try:
        until(lambda: listens(found), 30)
        yield found
    finally:
        running.terminate()
        running.wait(30)


def fetched(port: int, pki: Pki, pair: Pair, into: Path) -> bytes:
    context = tls_context(Broker(ca=str(pki.ca), certificate=str(pair.certificate), key=str(pair.key)))
    assert context is not None
    url = f"https://{HOST}:{port}/linetap/linetap-0.2.0.raucb"
    wanted = UpdateRequest(version="0.2.0", sha256=hashlib.sha256(BUNDLE).hexdigest(), size=len(BUNDLE), url=url)
    fetch(wanted, into, context, ManualClock(), lambda *_: None, 10, AGAIN)
    return into.read_bytes()


def test_a_unit_gets_the_bundle(port: int, pki: Pki, tmp_path: Path) -> None:
    assert fetched(port, pki, pki.pair("floor-03-0"), tmp_path / "fetched") == BUNDLE


def test_it_continues_an_interrupted_one(port: int, pki: Pki, tmp_path: Path) -> None:
    part = tmp_path / f"fetched.{hashlib.sha256(BUNDLE).hexdigest()[:16]}.part"
    part.write_bytes(BUNDLE[:300_000])
    assert fetched(port, pki, pki.pair("floor-03-0"), tmp_path / "fetched") == BUNDLE


def test_nobody_without_a_certificate_of_the_authority(port: int, pki: Pki, tmp_path: Path) -> None:
    other = Pki(tmp_path / "other")
    other.unit("floor-03")
    with pytest.raises(UpdateFault):
        fetched(port, pki, other.pair("floor-03-0"), tmp_path / "fetched")
    context = ssl.create_default_context(cafile=str(pki.ca))
    with socket.create_connection((HOST, port), 10) as plain, context.wrap_socket(plain, server_hostname=HOST) as tls:
        tls.sendall(b"GET /linetap/linetap-0.2.0.raucb HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert tls.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_no_revoked_unit(port: int, pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(UpdateFault):
        fetched(port, pki, pki.pair("floor-04-0"), tmp_path / "fetched")
