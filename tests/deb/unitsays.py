# SPDX-License-Identifier: Apache-2.0
"""Publishes a retained message at a broker over TLS, with a unit's certificate, and ends when it is acknowledged:
`unitsays.py TOPIC PAYLOAD FOLDER`; FOLDER has ca.pem, tls.pem and tls.key. Run in the broker's network.
"""

from __future__ import annotations

import sys
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

LIMIT_S = 60


def main(topic: str, payload: str, folder: str) -> int:
    at = Path(folder)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.tls_set(str(at / "ca.pem"), str(at / "tls.pem"), str(at / "tls.key"))
    client.connect("127.0.0.1", 8883, LIMIT_S)
    client.loop_start()
    said = client.publish(topic, payload, qos=1, retain=True)
    said.wait_for_publish(LIMIT_S)
    client.disconnect()
    client.loop_stop()
    return 0 if said.is_published() else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
