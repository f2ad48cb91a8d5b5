# SPDX-License-Identifier: Apache-2.0
"""`linetap command send` at the shipped broker, with its own certificate: the ingest keeps its session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import HOST
from linetap_core import cli
from linetap_core.evidence.keys import keys
from pki_rig import Pki
from shipped_broker import Client, ShippedBroker


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, edition: str) -> Iterator[tuple[ShippedBroker, Pki]]:
    pki = Pki(tmp_path_factory.mktemp("authority"))
    place = tmp_path_factory.mktemp("broker")
    with ShippedBroker(place, pki=pki, pair=pki.host("127.0.0.1"), edition=edition) as broker:
        pki.unit("floor-03")
        pki.desk("seoul")
        pki.desk("send")
        yield broker, pki


def config(running: tuple[ShippedBroker, Pki], folder: Path, name: str | None) -> Path:
    """desk.toml of a desk whose ingest is desk:seoul, with [send] of this name."""
    broker, pki = running
    path = folder / "desk.toml"
    own = (
        ""
        if name is None
        else f'[send]\ncertificate = "{pki.root}/desk-{name}.pem"\nkey = "{pki.root}/desk-send.key"\n'
    )
    path.write_text(
        f'[broker]\nhost = "{HOST}"\nport = {broker.port}\nca = "{pki.ca}"\n'
        f'certificate = "{pki.root}/desk-seoul.pem"\nkey = "{pki.root}/desk-seoul.key"\n{own}'
    )
    return path


@pytest.fixture
def command(tmp_path: Path) -> Path:
    (tmp_path / "desk.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    (tmp_path / "desk.key").chmod(0o600)
    made = tmp_path / "identify.command"
    words = ["--verb", "identify", "--seconds", "5", "--role", "desk", "--unit", "floor-03"]
    assert cli.main(["command", "sign", *words, "--key", str(tmp_path / "desk.key"), "-o", str(made)]) == 0
    return made


def test_the_command_arrives_and_the_ingest_stays(
    running: tuple[ShippedBroker, Pki], command: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The broker permits the subscription and the command; this unit does not answer."""
    broker, pki = running
    with (
        Client(broker.port, pki, pki.pair("floor-03-0")) as unit,
        Client(broker.port, pki, pki.pair("desk-seoul"), clean=False) as ingest,
    ):
        unit.subscribe("linetap/v1/floor-03/cmd/+")
        ingest.subscribe("linetap/v1/#")
        words = ["command", "send", str(command), "--config", str(config(running, tmp_path, "send")), "--wait", "3"]
        assert cli.main(words) == 1
        assert "the broker has the command; the unit is away, or does not answer" in capsys.readouterr().err
        unit.hears("linetap/v1/floor-03/cmd/identify")
        assert not ingest.cut_off


@pytest.mark.parametrize(("name", "said"), [
    (None, "[send] certificate and key are missing: with the ingest's own the broker would end its session"),
    ("seoul", "desk-seoul.pem: it has the ingest's name, 'desk:seoul', by which the broker knows it"),
])  # fmt: skip
def test_the_ingests_certificate_is_refused(
    running: tuple[ShippedBroker, Pki], command: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    name: str | None, said: str,
) -> None:  # fmt: skip
    assert cli.main(["command", "send", str(command), "--config", str(config(running, tmp_path, name))]) == 2
    assert said in capsys.readouterr().err
