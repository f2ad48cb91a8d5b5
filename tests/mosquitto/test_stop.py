# SPDX-License-Identifier: Apache-2.0
"""The tests' broker ends even if it is stopped just after it begins to listen."""

from __future__ import annotations

from pathlib import Path

from broker import Broker
from linetap_bench.stage.servers import free_port

BRIDGES = 8  # while Mosquitto 2.0 started so many, it lost 50 of 60 SIGTERMs
TIMES = 10


def test_a_broker_that_still_starts_its_bridges_can_be_stopped(tmp_path: Path) -> None:
    for number in range(TIMES):
        bridges = [f"connection c{n}\naddress 127.0.0.1:{free_port()}\ntopic x{n} out 1" for n in range(BRIDGES)]
        broker = Broker(tmp_path / str(number), options=tuple(bridges)).start()
        process = broker.process
        broker.stop()
        assert process is not None
        assert process.returncode is not None
