# SPDX-License-Identifier: Apache-2.0
"""Units at a real broker, and the desk's pages before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from servesite import ServeSite
from watch_rig import ALERT, HEALTH, LINE, ONLINE

from broker import HOST
from linetap_bench.stage.servers import end_client

END_S = 120
PLACES = '["본관"]\nmain-01 = 1\nmain-02 = 2\nmain-b1 = "B1"\n["별관"]\nwest-01 = 1\n'


class Speaking:
    """Sends units' messages, retained as in reality; `say` returns when the broker has stored the message."""

    def __init__(self, port: int) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.max_inflight_messages_set(1000)
        self._client.connect(HOST, port)
        self._client.loop_start()

    def tell(self, unit: str, topic: str, of: object) -> mqtt.MQTTMessageInfo:
        payload = of if isinstance(of, bytes) else json.dumps(of, ensure_ascii=False).encode()
        return self._client.publish(f"linetap/v1/{unit}/{topic}", payload, 1, True)

    def say(self, unit: str, topic: str, of: object) -> None:
        self.tell(unit, topic, of).wait_for_publish(END_S)

    def is_well(self, unit: str, lines: int = 8, **health: Any) -> None:
        for n in range(1, lines + 1):
            self.tell(unit, f"line/{n}", LINE)
        self.tell(unit, "health", {**HEALTH, **health})
        self.say(unit, "status", ONLINE)

    def alerts(self, unit: str, check: str = "hum", **more: Any) -> None:
        self.say(unit, f"alert/{check}", {**ALERT, **more})

    def close(self) -> None:
        end_client(self._client)


def fleet_site(folder: Path, port: int, places: str = PLACES) -> ServeSite:
    folder.mkdir(exist_ok=True)
    (folder / "places.toml").write_text(places)
    return ServeSite(
        folder, tables=f'[broker]\nhost = "{HOST}"\nport = {port}\n[watch]\nplaces = "places.toml"\n'
    )  # fmt: skip
