# SPDX-License-Identifier: Apache-2.0
"""100,000 retained alerts of 1,000 units in a real broker, with the fleet page: limited, counted, and reported there.

`./build.sh bench desk-flood` measures memory and time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet_rig import Speaking, fleet_site
from servesite import ServeSite

from broker import Broker, until
from linetap_bench.measure import deskload
from linetap_desk.serve.live.hub import DeskConnection
from linetap_desk.serve.live.journal import Reader
from linetap_desk.watch import units

NOT_SHOWN = deskload.UNITS * deskload.ALERTS - units.MOST_ALERTS_IN_ALL
ALL = Reader(calls=False, language="en")
READ_S = 240  # seconds on an idle machine

pytestmark = pytest.mark.timeout(900)


def desk(served: ServeSite) -> DeskConnection:
    return served.site.fleet.state(ALL)[1]


def alerts(served: ServeSite) -> int:
    return sum(len(unit["alerts"]) + unit["more"] for unit in served.site.fleet.state(ALL)[2])


def test_a_hundred_thousand_alerts_in_the_broker(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker", saves=False) as broker:
        floor = Speaking(broker.port)
        deskload.publish(broker.port, deskload.UNITS, deskload.ALERTS)
        floor.is_well("main-01")
        with fleet_site(tmp_path / "site", broker.port, '["본관"]\nmain-01 = 1\n') as served:
            until(lambda: desk(served).link == "live" and desk(served).not_shown == NOT_SHOWN, READ_S)
            assert alerts(served) == units.MOST_ALERTS_IN_ALL
            page = served.client("watch").get("/fleet")
            assert page.status_code == 200
            assert f"표시하지 않은 메시지: {NOT_SHOWN}건" in page.text
            floor.is_well("main-01")  # on a slow machine the reading takes longer than a unit may be silent
            until(lambda: _standing(served, "main-01") == "fine", READ_S)
            shown = [str(unit["unit"]) for unit in served.site.fleet.state(ALL)[2]]
            floor.alerts("main-01")  # it is beyond the limit as well, and counted
            until(lambda: desk(served).not_shown == NOT_SHOWN + 1, READ_S)
            some = next(name for name in shown if name.startswith("flood-"))
            for check in range(deskload.ALERTS):  # whichever of them are kept: room for others
                floor.say(some, f"alert/a{check}", b"")
            floor.alerts("main-01", "gain")
            until(lambda: _standing(served, "main-01") == "warning", READ_S)
            floor.close()
            broker.stop()
            until(lambda: desk(served).link == "away", READ_S)
            broker.start()
            until(lambda: desk(served).link == "live", READ_S)
            left = deskload.UNITS * deskload.ALERTS - deskload.ALERTS + 2
            until(lambda: desk(served).not_shown == left - units.MOST_ALERTS_IN_ALL, READ_S)  # now, and not twice
            assert alerts(served) == units.MOST_ALERTS_IN_ALL


def _standing(served: ServeSite, name: str) -> str:
    return next(str(unit["standing"]) for unit in served.site.fleet.state(ALL)[2] if unit["unit"] == name)
