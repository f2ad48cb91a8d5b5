# SPDX-License-Identifier: Apache-2.0
"""The shipped limits: the broker queues more than Mosquitto's default of 1,000 messages for an absent desk, and a new
desk gets all retained states.
"""

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
        broker.stop()  # an orderly stop, which saves the queue
        broker.start()
        with Client(broker.port, pki, away, clean=False) as desk:
            desk.until(lambda: len(set(desk.topics)) == MANY)
            assert not any(one.retained for one in desk.heard)  # they come from the queue
        with Client(broker.port, pki, away) as desk:
            desk.subscribe("linetap/v1/#")
            desk.until(lambda: len(set(desk.topics)) == MANY)
            assert all(one.retained for one in desk.heard)


def test_the_citys_broker_does_not_save_with_every_change(tmp_path: Path, edition: str) -> None:
    """The city's file overrides the common one, because Mosquitto reads conf.d in the order of names."""
    pki = Pki(tmp_path / "authority")
    with ShippedBroker(tmp_path / "broker", pki=pki, pair=pki.host("127.0.0.1"), edition=edition) as broker:
        with Client(broker.port, pki, pki.unit("floor-03")) as unit:
            for n in range(100):
                assert unit.publish(LINE.format(n), retain=True) == "No matching subscribers"
        assert broker.said().count("Saving in-memory database") < 50
