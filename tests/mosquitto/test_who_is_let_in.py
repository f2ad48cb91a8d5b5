# SPDX-License-Identifier: Apache-2.0
"""The shipped Mosquitto configuration: who may connect."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import until
from pki_rig import Pki
from shipped_broker import Client, ShippedBroker, ask, context, is_let_in, is_let_in_plain

HEARD = ("Success", "No matching subscribers")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory, edition: str) -> Pki:
    return Pki(tmp_path_factory.mktemp(f"authority-{edition}"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, pki: Pki, edition: str) -> Iterator[ShippedBroker]:
    place = tmp_path_factory.mktemp("broker")
    with ShippedBroker(place, pki=pki, pair=pki.host("127.0.0.1"), edition=edition) as running:
        yield running


def test_what_was_issued(broker: ShippedBroker, pki: Pki) -> None:
    for pair in (pki.unit("floor-03"), pki.desk("seoul"), pki.host("127.0.0.2", name="site")):
        assert is_let_in(broker.port, context(pki, pair))


def test_nobody_without_tls_or_with_an_old_one(broker: ShippedBroker, pki: Pki) -> None:
    assert not is_let_in_plain(broker.port)
    old = context(pki, pki.unit("floor-12"))
    assert is_let_in(broker.port, old)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert not is_let_in(broker.port, old)


def test_nobody_without_a_certificate(broker: ShippedBroker, pki: Pki) -> None:
    assert not is_let_in(broker.port, context(pki, None))


def test_nobody_of_another_authority(broker: ShippedBroker, pki: Pki, tmp_path: Path) -> None:
    stranger = Pki(tmp_path / "stranger", "--network", "127.0.0.0/8", "--name", "linetap")
    assert not is_let_in(broker.port, context(pki, stranger.unit("floor-03")))


@pytest.mark.parametrize("days", [-500, 10])
def test_nobody_before_or_after_the_time(broker: ShippedBroker, pki: Pki, days: int) -> None:
    assert not is_let_in(
        broker.port, context(pki, pki.unit(f"at{days}".replace("-", "m"), clock=pki.days_from_now(days)))
    )


def test_nobody_who_was_revoked(tmp_path: Path, edition: str) -> None:
    """OpenSSL accepts a TLS session ticket without checking the revocation list; a reload discards all tickets."""
    pki = Pki(tmp_path / "authority")
    pair = pki.unit("floor-03")
    lost, other = context(pki, pair), context(pki, pki.unit("floor-04"))
    with ShippedBroker(tmp_path / "broker", pki=pki, pair=pki.host("127.0.0.1"), edition=edition) as broker:
        ticket = ask(broker.port, lost).ticket
        assert ask(broker.port, lost, ticket).by_ticket
        ticket = ask(broker.port, lost).ticket
        with Client(broker.port, pki, pair) as connected:
            pki.run("revoke", "floor-03")
            broker.reload()
            until(lambda: "Reloading config" in broker.said())  # the broker reloads before it reads further packets
            assert connected.publish("linetap/v1/floor-03/log") in HEARD  # an open connection stays until the restart
            assert not is_let_in(broker.port, lost)
            assert not ask(broker.port, lost, ticket).let_in
            assert is_let_in(broker.port, other)
            assert not connected.cut_off
            broker.stop()
            broker.start()
            connected.until(lambda: connected.cut_off)
        assert not is_let_in(broker.port, lost)


def test_a_session_is_its_owners(broker: ShippedBroker, pki: Pki) -> None:
    """Another unit uses the same client id: plain MQTT would end the first session, and hand over its queue."""
    with (
        Client(broker.port, pki, pki.unit("floor-05"), client_id="linetap-floor-05") as first,
        Client(broker.port, pki, pki.unit("floor-06"), client_id="linetap-floor-05") as second,
    ):
        assert second.publish("linetap/v1/floor-06/status") in HEARD
        assert first.publish("linetap/v1/floor-05/status") in HEARD
        assert not first.cut_off
