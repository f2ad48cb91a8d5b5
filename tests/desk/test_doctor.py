# SPDX-License-Identifier: Apache-2.0
"""The findings of `linetap desk doctor` on files, certificates and a real broker with the shipped configuration.
tests/deb/test_install.py tests it on a server with faults.
"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from broker import HOST, until
from linetap_core.clock import SYSTEM, ManualClock, from_utc_ns
from linetap_core.wire.mqtt import Broker
from linetap_desk.config.desk import CopyConfig, DeskConfig, ServeConfig
from linetap_desk.doctor import Finding, brokerprobe, keyfiles, serverstate
from linetap_desk.setup import machine
from pki_rig import DAY_NS, Pki
from shipped_broker import ShippedBroker


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def shipped(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShippedBroker]:
    with ShippedBroker(tmp_path_factory.mktemp("broker"), pki=pki, pair=pki.host(HOST)) as served:
        yield served


def as_wall(shipped: ShippedBroker, pki: Pki, ca: Path | None = None) -> Broker:
    """A client name that may read, like the doctor's own."""
    if not (pki.root / "desk-wall.pem").exists():
        pki.desk("wall")
    pair = pki.pair("desk-wall")
    return Broker(
        host=HOST, port=shipped.port, ca=str(ca or pki.ca), certificate=str(pair.certificate), key=str(pair.key)
    )


def said(broker: Broker) -> list[str]:
    return [str(one).partition(";")[0] for one in brokerprobe.probe(broker, SYSTEM)]


def test_the_shipped_broker_has_nothing_wrong(shipped: ShippedBroker, pki: Pki) -> None:
    found = said(as_wall(shipped, pki))
    assert [line[:6] for line in found] == ["ok    "] * 3
    assert found[2] == "ok    acl: nobody speaks as another"


def test_who_may_speak_as_a_unit_is_found(shipped: ShippedBroker, pki: Pki) -> None:
    """An acl with an additional line, for the name of the doctor's unit."""
    acl = shipped.folder / "linetap" / "acl"
    whole = acl.read_text()
    try:
        acl.write_text(f"{whole}\nuser desk:wall\ntopic write linetap/v1/+/status\n")
        shipped.reload()
        wrong = "WRONG acl: whoever has a certificate may speak as any unit"
        until(lambda: said(as_wall(shipped, pki))[2] == wrong)
    finally:
        acl.write_text(whole)
        shipped.reload()


def test_another_authoritys_broker_is_none(shipped: ShippedBroker, pki: Pki, tmp_path: Path) -> None:
    other = Pki(tmp_path / "other")
    (only,) = said(as_wall(shipped, pki, other.ca))
    assert only.startswith(f"WRONG broker: {HOST}:{shipped.port}: TLS: ")


def test_where_nobody_listens(pki: Pki) -> None:
    (only,) = said(Broker(host=HOST, port=1, ca=str(pki.ca)))
    assert only == f"WRONG broker: {HOST}:1: Connection refused"


@pytest.mark.parametrize(("days", "word"), [(-2, "begins on"), (0, "until"), (380, "ends on"), (401, "ended on")])
def test_certificates_by_the_day(pki: Pki, days: int, word: str) -> None:
    name = f"ends{days + 2}"
    pair = pki.desk(name)
    now = from_utc_ns(SYSTEM.utc_ns() + days * DAY_NS)
    found = keyfiles.certificate_and_key(pair.certificate, pair.key, now)
    assert f"{pair.certificate}: {word} " in found.said
    assert bool(found.cure) == (word != "until")


def test_the_authority_may_stay_for_a_week(pki: Pki) -> None:
    made = from_utc_ns((pki.folder / "ca.key").stat().st_mtime_ns)
    assert not keyfiles.authority_here(made + timedelta(days=6), pki.folder).cure
    found = keyfiles.authority_here(made + timedelta(days=8, hours=1), pki.folder)
    assert found.said == f"{pki.folder}/ca.key has lain on this server for 8 days"
    assert "is not on this server" in keyfiles.authority_here(made, pki.root / "none").said


def test_a_port_that_is_open_to_others() -> None:
    """By the kernel's own table: a socket on every address, and one only on the loopback."""
    with socket.create_server(("0.0.0.0", 0)) as wide, socket.create_server((HOST, 0)) as narrow:
        numbers = [wide.getsockname()[1], narrow.getsockname()[1]]
        found = [one for one in serverstate.ports(numbers, ManualClock(0, 10**9)) if "1883" not in one.said]
    assert [bool(one.cure) for one in found] == [False, True]
    assert [one.said for one in found] == [
        f"{numbers[0]} is open to other machines",
        f"{numbers[1]} is not open to other machines",
    ]


def test_a_key_of_another_certificate(pki: Pki) -> None:
    one, other = pki.desk("one"), pki.desk("other")
    found = keyfiles.certificate_and_key(one.certificate, other.key, from_utc_ns(SYSTEM.utc_ns()))
    assert "does not fit its key" in found.said


def test_owners_and_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setattr(machine, "DESK", me)
    monkeypatch.setattr(machine, "PAGES", me)
    for name, mode in (("desk.key", 0o600), ("log.key", 0o640), ("desk.db", 0o660), ("serve.db", 0o640)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    log, gone = str(tmp_path / "log.key"), str(tmp_path / "no")
    serve = ServeConfig(log_key=log, db=f"sqlite:///{tmp_path}/serve.db", key=gone)
    config = DeskConfig(key=str(tmp_path / "desk.key"), db=f"sqlite:///{tmp_path}/desk.db", serve=serve)
    wrong = [str(one) for one in keyfiles.modes(config, broker_here=False) if one.cure]
    assert wrong == [
        f"WRONG file: {tmp_path}/no: No such file or directory; linetap desk setup makes it",
        f"WRONG file: {tmp_path}/log.key is open to others, by 040; chmod 600 {tmp_path}/log.key",
        f"WRONG file: {tmp_path}/serve.db is open to others, by 040; chmod 600 {tmp_path}/serve.db",
    ]
    monkeypatch.setattr(machine, "DESK", "nobody")
    assert Finding("file", f"{tmp_path}/desk.key is {me}'s", f"chown nobody {tmp_path}/desk.key") in list(
        keyfiles.modes(config, broker_here=False)
    )


def test_a_hold_that_the_ingest_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the ingest deletes no copy, and only its journal told so."""
    monkeypatch.setattr(serverstate, "as_user", lambda _user, *words: words)
    folder = tmp_path / "holds"
    config = DeskConfig(copy=CopyConfig(store=f"file://{tmp_path}/copies", holds=str(folder)))

    def said() -> str:
        (found,) = serverstate.holds(config)
        return str(found)

    assert said().startswith(f"WRONG holds: {folder}: No such file or directory; ")
    (folder / "H-1").mkdir(parents=True)
    assert said() == f"ok    holds: {folder}: those of 0 calls are read"
    (folder / "H-1" / "hold.json").write_bytes(b"{")
    assert said().startswith(f"WRONG holds: {folder}/H-1/hold.json: not a hold or a re-wrapping: ")
    assert list(serverstate.holds(DeskConfig())) == []
