# SPDX-License-Identifier: Apache-2.0
"""Certificates between both clients and a Mosquitto with the shipped configuration.

A wrong certificate prevents the connection, and the reason is logged. Once it is corrected, the client reconnects by
itself. A certificate of another time has the same effect as a wrong clock.
"""

from __future__ import annotations

import queue
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ends import UNIT, End, IngestEnd, ReporterEnd

from broker import HOST, MuteServer
from broker import until as wait
from linetap_bench.stage.servers import free_port
from linetap_core.broker.client import tls_context
from linetap_core.broker.connection import Connection, Ended, Happening, Terms
from linetap_core.errors import BadInput
from linetap_core.wire.mqtt import Broker as BrokerConfig
from pki_rig import Asking, Pair, Pki
from shipped_broker import Client, ShippedBroker

WRONG_DAYS = {"has expired": -500, "is not yet valid": 365}
DESKS = {"": "seoul", "has expired": "busan", "is not yet valid": "daegu"}
REFUSED = ("TLS alert from the broker", "reset by peer", "Broken pipe", "EOF occurred")


@dataclass
class Meeting:
    """A client whose TLS files lie in `place`, and its broker."""

    kind: str
    end: End
    place: Path
    ca: Path
    right: Pair
    broker: ShippedBroker

    def put(self, ca: Path, pair: Pair) -> None:
        shutil.copy(ca, self.place / "ca.pem")
        shutil.copy(pair.certificate, self.place / "tls.pem")
        shutil.copy(pair.key, self.place / "tls.key")

    def again(self, pair: Pair) -> None:
        """Restarts the broker with this certificate."""
        self.broker.stop()
        self.broker.pair = pair
        self.broker.start()


@dataclass(frozen=True)
class Authorities:
    """The authority, and a stranger with the same name. Certificates of another time are keyed by their fault."""

    pki: Pki
    stranger: Pki
    brokers: dict[str, Pair]
    own: dict[tuple[str, str], Pair]  # keyed by client and fault; "" for none


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory, edition: str) -> Authorities:
    root = tmp_path_factory.mktemp(f"authorities-{edition}")
    pki, stranger = Pki(root / "ours"), Pki(root / "stranger", "--network", "127.0.0.0/8", "--name", "linetap")
    asking, revoked = Asking.new(UNIT), pki.crl.read_bytes()
    brokers, own = {}, {}
    for wrong, days in (("", 0), *WRONG_DAYS.items()):
        clock = pki.days_from_now(days)
        brokers[wrong] = pki.host(HOST, name=f"broker{days}", clock=clock)
        own["reporter", wrong] = pki.unit(UNIT, "renew" if wrong else "unit", clock, asking)
        own["ingest", wrong] = pki.desk(DESKS[wrong], clock)
    pki.crl.write_bytes(revoked)  # the other clocks have changed the revocation list as well
    own["reporter", "a stranger's"], own["ingest", "a stranger's"] = stranger.unit(UNIT), stranger.desk("seoul")
    return Authorities(pki, stranger, brokers, own)


@pytest.fixture(scope="module", params=["reporter", "ingest"])
def meeting(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    authorities: Authorities,
    edition: str,
) -> Iterator[Meeting]:
    pki = authorities.pki
    place = tmp_path_factory.mktemp(request.param)
    run_dir = Path(tempfile.mkdtemp(prefix="linetap-test-", dir="/dev/shm"))
    files = [str(place / name) for name in ("ca.pem", "tls.pem", "tls.key")]
    to = BrokerConfig(host=HOST, port=free_port(), keepalive_s=5, ca=files[0], certificate=files[1], key=files[2])
    broker = ShippedBroker(place / "broker", port=to.port, pki=pki, pair=authorities.brokers[""], edition=edition)

    def publish(topic: str, payload: bytes, sig: str) -> None:
        with Client(broker.port, pki, authorities.own["reporter", ""]) as unit:
            unit.publish(topic, payload, sig=sig)

    right = authorities.own[request.param, ""]
    for name, source in zip(files, (pki.ca, right.certificate, right.key), strict=True):
        shutil.copy(source, name)
    end = ReporterEnd(place, run_dir, to) if request.param == "reporter" else IngestEnd(run_dir / "desk", to, publish)
    with broker, end:
        end.works()
        yield Meeting(request.param, end, place, pki.ca, right, broker)
    shutil.rmtree(run_dir)


def apart_until_put_right(
    meeting: Meeting,
    *said: str,
    ca: Path | None = None,
    own: Pair | None = None,
    brokers: Pair | None = None,
    alert: str = "",
) -> None:
    """Checks that the client does not connect, for one of the reasons `said` and with `alert`; then corrects the files
    and checks that it connects.
    """
    right, before = meeting.broker.pair, len(meeting.end.said())
    meeting.put(ca or meeting.ca, own or meeting.right)
    meeting.again(brokers or right)
    wait(lambda: any(one in meeting.end.said()[before:] for one in said), why=meeting.end.said()[before:])
    wait(lambda: alert in meeting.end.said()[before:], why=alert)
    meeting.put(meeting.ca, meeting.right)
    meeting.again(right)
    meeting.end.works()
    assert "Traceback" not in meeting.end.said()


def test_an_authority_of_the_same_name(meeting: Meeting, authorities: Authorities) -> None:
    apart_until_put_right(meeting, "certificate verify failed", ca=authorities.stranger.ca)


@pytest.mark.parametrize("wrong", WRONG_DAYS)
def test_the_brokers_certificate_of_another_time(meeting: Meeting, authorities: Authorities, wrong: str) -> None:
    apart_until_put_right(meeting, f"certificate {wrong}", brokers=authorities.brokers[wrong])


@pytest.mark.parametrize("wrong", [*WRONG_DAYS, "a stranger's"])
def test_ones_own_certificate(meeting: Meeting, authorities: Authorities, wrong: str) -> None:
    """Mosquitto may close the connection before the client reads the TLS alert; then only its log has the reason."""
    before = meeting.broker.said().count("certificate verify failed")
    ended = (meeting.kind, wrong) == ("reporter", "has expired")
    alert = "certificate_end: critical: " if ended else ""
    apart_until_put_right(meeting, *REFUSED, own=authorities.own[meeting.kind, wrong], alert=alert)
    assert meeting.broker.said().count("certificate verify failed") > before


def test_another_units_certificate(meeting: Meeting, authorities: Authorities) -> None:
    """The client is connected, but cannot publish on another unit's topics. Mosquitto grants forbidden subscriptions,
    but never delivers on them.
    """
    apart_until_put_right(
        meeting,
        "publication_refused: the broker does not take linetap/v1/floor-03/",
        own=authorities.pki.unit(f"of-{meeting.kind}"),
    )


def test_unusable_files_are_reported_at_once(tmp_path: Path, authorities: Authorities) -> None:
    pki = authorities.pki
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("not a certificate")
    one, other, ca = pki.unit("floor-08"), pki.unit("floor-09"), str(pki.ca)
    for broken, at in (
        (BrokerConfig(ca=str(tmp_path / "none.pem")), "broker.ca"),
        (BrokerConfig(ca=str(rubbish)), "broker.ca"),
        (BrokerConfig(ca=ca, certificate=str(rubbish)), "broker.certificate"),
        (BrokerConfig(ca=ca, certificate=str(tmp_path / "none.pem"), key=str(one.key)), "broker.certificate"),
        (BrokerConfig(ca=ca, certificate=str(one.certificate), key=str(other.key)), "broker.key"),
    ):
        with pytest.raises(BadInput, match=at):
            tls_context(broken)


def test_a_handshake_that_fails_closes_its_socket(authorities: Authorities) -> None:
    """Otherwise the socket stays open as long as anything refers to the error."""
    happenings: queue.SimpleQueue[tuple[Connection, Happening]] = queue.SimpleQueue()
    with MuteServer(b"220 this is another service\r\n") as server, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        to = BrokerConfig(host=HOST, port=server.port, ca=str(authorities.pki.ca))
        Connection(to, Terms("floor-03", (), 1, 1000), tls_context(to), happenings)
        _, ended = happenings.get(timeout=120)
    assert isinstance(ended, Ended)
    assert "wrong version number" in ended.why.lower()
    assert [str(each.message) for each in told] == []
