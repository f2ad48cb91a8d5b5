# SPDX-License-Identifier: Apache-2.0
"""The desk's fleet page before a broker that has 100,000 alerts: what the process takes, and when the page says so."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import httpx
import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from linetap_bench.broker import start_broker
from linetap_bench.fleet.city import HOST
from linetap_bench.fleet.shipped import READY_S, free_port
from linetap_bench.measure.desk import session
from linetap_bench.measure.row import Row
from linetap_bench.measure.usage import resident_mb
from linetap_bench.processes import Processes
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.errors import LinetapError
from linetap_core.evidence.keys import keys
from linetap_core.wire.topics import Topics
from linetap_desk.serve.people import sessions
from linetap_desk.watch.units import MOST_ALERTS_IN_ALL

UNITS, ALERTS = 1000, 100  # of each
QUEUED = 300_000  # as systemd/mosquitto/linetap.conf has it: what a newcomer is told of retained is cut by it
AT_ONCE = 20_000  # paho numbers no more than 65,535
PUBLISH_S = 60.0
_ALERT = msgspec.json.encode(
    {"severity": "warning", "line": 3, "since": "2026-11-24T22:56:00.123Z", "text_ko": "잡음이 큽니다",
     "text_en": "The line hums.", "action_ko": "배선을 확인하십시오.", "action_en": "Look at the wiring."}
)  # fmt: skip
_NOT_SHOWN = re.compile(r'id="not-shown"[^>]*>[^<]*?(\d+)')


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    folder.mkdir(parents=True, exist_ok=True)
    config, https = folder / "desk.toml", free_port()
    (folder / "serve.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    with Processes(folder / "logs", {}) as children:
        _, port = start_broker(children, folder / "mosquitto", queued=QUEUED)
        publish(port, UNITS, ALERTS)
        config.write_text(f'[broker]\nhost = "{HOST}"\nport = {port}\n[serve]\nlisten = "{HOST}:{https}"\n')
        token, began_ns = session(config, "wall", "watch"), SYSTEM.monotonic_ns()
        desk = children.start("desk", [sys.executable, "-m", "linetap", "desk", "serve", "--config", str(config)])
        children.wait_for_text(desk, "fleet_complete", READY_S)
        start_s, began_ns = _since(began_ns), SYSTEM.monotonic_ns()
        page = httpx.get(f"http://{HOST}:{https}/fleet", cookies={sessions.COOKIE: token}, timeout=READY_S).text
        page_s, memory = _since(began_ns), resident_mb(desk.process.pid)
    said = _NOT_SHOWN.search(page)
    if said is None or int(said[1]) != UNITS * ALERTS - MOST_ALERTS_IN_ALL:
        raise LinetapError("the fleet page does not say how many alerts it does not show")
    method = (
        f"{UNITS * ALERTS:,} retained alerts of {UNITS:,} units in a Mosquitto of the shipped limits, without TLS;"
        f" {MOST_ALERTS_IN_ALL:,} are kept, and the page says that {said[1]} are not; {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f}"
    )
    return [
        Row(name="desk-flood: memory of the process", figure=memory, unit="MB", target=150, method=method),
        Row(name="desk-flood: start, until all is read", figure=start_s, unit="s", target=20, method=method),
        Row(name="desk-flood: the page", figure=page_s, unit="s", target=2, method=method),
    ]  # fmt: skip


def publish(port: int, units: int, alerts: int) -> None:
    """So many alerts of each of so many units, retained; returns when the broker has them."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect(HOST, port)
    client.loop_start()
    topics = [Topics(f"flood-{unit:04d}").named(f"alert/a{check}") for check in range(alerts) for unit in range(units)]
    try:
        for first in range(0, len(topics), AT_ONCE):
            *many, last = topics[first : first + AT_ONCE]
            for topic in many:
                client.publish(topic, _ALERT, 0, True)
            client.publish(last, _ALERT, 1, True).wait_for_publish(PUBLISH_S)  # behind the others, so it has them all
    finally:
        client.disconnect()
        client.loop_stop()


def _since(began_ns: int) -> float:
    return (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S
