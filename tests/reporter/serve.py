# SPDX-License-Identifier: Apache-2.0
"""Runs the reporter as a process, with a configuration in JSON and shorter time limits than on a unit.

The process logs all publications, and its will, to a file next to its configuration, for published.py to check. The
next process removes a row that a kill left incomplete.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

import msgspec
from paho.mqtt.client import MQTTMessageInfo
from paho.mqtt.properties import Properties

from linetap.config import Config
from linetap.reporter.link import Patience
from linetap.reporter.service import run
from linetap_core.broker import connection
from linetap_core.broker.client import Client
from linetap_core.clock import SYSTEM
from linetap_core.errors import LinetapError


class Publishing(Client):
    """paho's client, and a line of JSON before each publication."""

    book: IO[str]

    def publish(
        self, topic: str, payload: Any = None, qos: int = 0, retain: bool = False, properties: Properties | None = None
    ) -> MQTTMessageInfo:
        self._note(topic, payload, qos, retain, properties)
        return super().publish(topic, payload, qos, retain, properties)

    def will_set(
        self, topic: str, payload: Any = None, qos: int = 0, retain: bool = False, properties: Properties | None = None
    ) -> None:
        self._note(topic, payload, qos, retain, properties)
        super().will_set(topic, payload, qos, retain, properties)

    def _note(self, topic: str, payload: bytes, qos: int, retain: bool, properties: Properties | None) -> None:
        named = {} if properties is None else properties.json()  # type: ignore[no-untyped-call]
        text = payload.decode(errors="surrogateescape")  # a block of a call is not text
        row = {"topic": topic, "payload": text, "qos": qos, "retain": retain, "properties": named}
        self.book.write(json.dumps(row) + "\n")
        self.book.flush()


def opened(path: Path) -> IO[str]:
    """The log of publications, opened to append, after removal of an incomplete last row."""
    path.touch()
    os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    return path.open("a")


if __name__ == "__main__":
    config = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)
    Publishing.book = opened(Path(sys.argv[1]).with_suffix(".published"))
    connection.Client = Publishing  # type: ignore[attr-defined]
    try:
        answer_ms, desk_s, repeat_s = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
        patience = Patience(first_ms=100, longest_ms=400, answer_ms=answer_ms, desk_s=desk_s, repeat_s=repeat_s)
        sys.exit(run(config, SYSTEM, patience))
    except LinetapError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_status)
