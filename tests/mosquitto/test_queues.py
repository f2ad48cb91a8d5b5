# SPDX-License-Identifier: Apache-2.0
"""The shipped limits: more than Mosquitto's own 1,000 wait for a desk that is away, and a newcomer gets all states."""

from __future__ import annotations

from pathlib import Path

from pki_rig import Pki
from shipped_broker import Client, ShippedBroker

MANY = 1100
LINE = "linetap/v1/floor-03/line/{}"
ALL = {LINE.format(n) for n in range(MANY)}


def test_nothing_is_cut(tmp_path: Path, edition: str) -> None:
    pki = Pki(tmp_path / "authority")
    with ShippedBroker(tmp_path / "broker", pki=pki, pair=pki.host("127.0.0.1"), edition=edition) as broker:
        away, newcomer = pki.desk("seoul"), pki.unit("floor-03")
        with Client(broker.port, pki, away, clean=False) as desk:
            desk.subscribe("linetap/v1/#")
        with Client(broker.port, pki, newcomer) as unit:
            assert unit.publish_all(sorted(ALL), retain=True) == {"Success"}
        broker.stop()  # in good order: what waits is on disk
        broker.start()
        with Client(broker.port, pki, away, clean=False) as desk:
            desk.until(lambda: len(set(desk.topics)) == MANY)
            assert not any(one.retained for one in desk.heard)  # they waited
        with Client(broker.port, pki, away) as desk:
            desk.subscribe("linetap/v1/#")
            desk.until(lambda: len(set(desk.topics)) == MANY)
            assert all(one.retained for one in desk.heard)


def test_the_citys_broker_does_not_save_with_every_change(tmp_path: Path, edition: str) -> None:
    """Its file has to be read behind the common one, which says otherwise: Mosquitto reads conf.d by name."""
    pki = Pki(tmp_path / "authority")
    with ShippedBroker(tmp_path / "broker", pki=pki, pair=pki.host("127.0.0.1"), edition=edition) as broker:
        with Client(broker.port, pki, pki.unit("floor-03")) as unit:
            for n in range(100):
                assert unit.publish(LINE.format(n), retain=True) == "No matching subscribers"
        assert broker.said().count("Saving in-memory database") < 50
