# SPDX-License-Identifier: Apache-2.0
"""The reporter with a certificate of the authority, at a Mosquitto with the shipped configuration."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import HOST
from linetap_bench.stage.servers import free_port
from linetap_core.evidence.keys import keys
from linetap_core.wire.mqtt import Broker as BrokerConfig
from pki_rig import Asking, Pair, Pki
from reporter_rig import Floor, end
from shipped_broker import Client, ShippedBroker

UNIT = "linetap/v1/floor-03"


class Enrolled:
    """A unit with its TLS files in a separate folder, as on a real unit, and the configured broker."""

    def __init__(self, root: Path, run_dir: Path, broker_address: str = HOST) -> None:
        self.pki = Pki(root / "authority")
        port = free_port()
        self.place = Pair(root / "tls.pem", root / "tls.key")
        config = BrokerConfig(
            host=HOST,
            port=port,
            keepalive_s=5,
            ca=str(self.pki.ca),
            certificate=str(self.place.certificate),
            key=str(self.place.key),
        )
        self.floor = Floor(root, run_dir, port, broker=config)
        self.signer = keys.load_unit_key(Path(self.floor.config.key).read_bytes())
        self.broker = ShippedBroker(root / "broker", port=port, pki=self.pki, pair=self.pki.host(broker_address))

    def enrol(self) -> None:
        """Enrols with a new TLS key; replaces the certificate, then the key."""
        made = self.pki.unit("floor-03", asking=Asking("floor-03", Asking.new("x").tls, self.signer))
        shutil.copy(made.certificate, self.place.certificate)
        shutil.copy(made.key, self.place.key)

    def desk(self) -> Client:
        desk = Client(self.broker.port, self.pki, self.pki.desk("seoul"))
        desk.subscribe("linetap/v1/#")
        return desk


@pytest.fixture
def enrolled(tmp_path: Path, run_dir: Path) -> Iterator[Enrolled]:
    made = Enrolled(tmp_path, run_dir)
    made.enrol()
    with made.broker, made.floor:
        yield made


def test_the_reporter_publishes_all_within_the_brokers_rules(enrolled: Enrolled) -> None:
    """The rules permit every real message of a unit: the broker refuses none."""
    floor = enrolled.floor
    floor.events(40)
    with enrolled.desk() as desk:
        process = floor.reporter()
        floor.reached(lambda state: state.delivered_seq == 40)
        for topic in ("status", "health", "line/1", "call"):
            desk.hears(f"{UNIT}/{topic}")
        desk.until(lambda: desk.topics.count(f"{UNIT}/call") >= 40)
        assert [one.user["sig"][:4] for one in desk.heard if one.topic == f"{UNIT}/call"] == ["U1NI"] * 40
        assert end(process) == 0
    assert "Not authorized" not in floor.said()
    assert "as floor-03 (p5, c1, k5, u'floor-03')" in enrolled.broker.said()


def test_a_revoked_unit_stays_out_until_it_has_new_keys_and_then_comes_by_itself(enrolled: Enrolled) -> None:
    floor, broker = enrolled.floor, enrolled.broker
    floor.events(5)
    process = floor.reporter()
    floor.reached(lambda state: state.delivered_seq == 5)
    broker.stop()
    enrolled.pki.run("revoke", "floor-03", "--keep-signer")
    broker.start()
    floor.events(5)
    floor.until(lambda: "certificate verify failed" in broker.said())  # OpenSSL's message about a client's certificate
    before = floor.reached(lambda state: not state.connected)
    after = floor.reached(lambda state: state.progress > before.progress + 5)
    assert (after.connected, after.delivered_seq) == (False, 5)

    enrolled.place.certificate.write_text("half a cert")  # an incomplete copy
    floor.until(lambda: "cannot be used: PEM expected" in floor.said())
    enrolled.enrol()
    floor.reached(lambda state: state.connected and state.delivered_seq == 10)
    assert process.poll() is None
    assert end(process) == 0


def test_a_new_unit_waits_for_its_certificate(tmp_path: Path, run_dir: Path) -> None:
    """The reporter reports the missing certificate, keeps running, and connects once the file arrives."""
    made = Enrolled(tmp_path, run_dir)
    with made.broker, made.floor as floor:
        floor.events(5)
        process = floor.reporter()
        floor.until(lambda: "broker.certificate and broker.key cannot be used: No such file" in floor.said())
        assert process.poll() is None
        made.enrol()
        floor.reached(lambda state: state.connected and state.delivered_seq == 5)
        assert end(process) == 0


def test_the_reporter_gives_the_reason_of_a_refusal(tmp_path: Path, run_dir: Path) -> None:
    """Mosquitto may close the connection before the reporter reads the TLS alert; the broker of this test waits."""
    made = Enrolled(tmp_path, run_dir)
    made.enrol()
    made.pki.run("revoke", "floor-03")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.broker.pair.certificate, made.broker.pair.key)
    server.load_verify_locations(made.pki.ca)
    server.load_verify_locations(made.pki.crl)
    server.verify_mode, server.verify_flags = ssl.CERT_REQUIRED, ssl.VERIFY_CRL_CHECK_LEAF
    with socket.create_server((HOST, made.floor.config.broker.port)) as listening, made.floor as floor:
        process = floor.reporter()
        peer, _ = listening.accept()
        with server.wrap_socket(peer, server_side=True, do_handshake_on_connect=False) as link:
            with pytest.raises(ssl.SSLError):
                link.do_handshake()
            floor.until(lambda: "TLS alert from the broker: certificate revoked" in floor.said())
        assert end(process) == 0


def test_a_broker_of_another_address(tmp_path: Path, run_dir: Path) -> None:
    made = Enrolled(tmp_path, run_dir, "127.0.0.9")
    made.enrol()
    with made.broker, made.floor as floor:
        process = floor.reporter()
        floor.until(lambda: "IP address mismatch" in floor.said())
        assert end(process) == 0


def test_its_name_as_a_client_is_that_of_the_key_in_its_certificate(tmp_path: Path, run_dir: Path) -> None:
    """This broker does not replace the client id by the certificate's user; a cluster compares the two."""
    made = Enrolled(tmp_path, run_dir)
    made.broker.names = (("use_username_as_clientid true", "use_username_as_clientid false"),)
    made.enrol()
    with made.broker, made.floor:
        made.floor.reporter()
        made.floor.reached(lambda state: state.connected)
        assert f" as linetap-signer:{keys.fingerprint(made.signer.public_key())} " in made.broker.said()
