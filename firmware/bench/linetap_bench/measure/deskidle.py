# SPDX-License-Identifier: Apache-2.0
"""The desk's pages with 150 units, five of them faulty, whose retained messages never change: a busy fleet would use
processor time and disturb the measurement.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_bench.fleet.schedule import names
from linetap_bench.measure import deskload
from linetap_bench.stage.processes import Processes
from linetap_bench.stage.servers import HOST, READY_S, free_port, start_broker
from linetap_core.clock import SYSTEM, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.wire.topics import Topics

UNITS, LINES, WRONG = 150, 8, 5
_CERTIFICATE = (
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
    f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}", "-keyout", "serve.key", "-out", "serve.pem",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Still:
    """A running desk. `certificate`: its own certificate, which clients must trust."""

    config: Path
    certificate: Path
    url: str
    pid: int


@contextlib.contextmanager
def still(folder: Path, more: str = "") -> Iterator[Still]:
    """Runs such a desk; `more`: lines of [serve]."""
    folder.mkdir(parents=True, exist_ok=True)
    config, https = folder / "desk.toml", free_port()
    subprocess.run(_CERTIFICATE, cwd=folder, check=True, capture_output=True, timeout=READY_S)
    (folder / "serve-log.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    with Processes(folder / "logs", {}) as children:
        _, port = start_broker(children, folder / "mosquitto", queued=UNITS * (LINES + 3))
        deskload.publish_all(port, list(_retained()))
        config.write_text(
            f'[broker]\nhost = "{HOST}"\nport = {port}\n[serve]\nlisten = "{HOST}:{https}"\n'
            f'certificate = "serve.pem"\nkey = "serve.key"\n{more}'
        )
        desk = children.start("desk", [sys.executable, "-m", "linetap", "desk", "serve", "--config", str(config)])
        children.wait_for_text(desk, "fleet_complete", READY_S)
        yield Still(config, folder / "serve.pem", f"https://{HOST}:{https}", desk.process.pid)


def _retained() -> Iterator[tuple[str, bytes]]:
    now = rfc3339(SYSTEM.utc_ns())
    texts = {"text_ko": "5번 회선에 험이 큽니다.", "text_en": "Line 5 hums.", "action_ko": "접지를 확인하십시오."}
    for unit in names(UNITS)[:WRONG]:
        said = {"severity": "warning", "line": 5, "since": now, "action_en": "Look at earth.", **texts}
        yield Topics(unit).named("alert/hum"), _json(**said)
    for unit in names(UNITS):
        topics = Topics(unit)
        for line in range(1, LINES + 1):
            yield topics.named(f"line/{line}"), _json(state="idle", since=now, call_id=None)
        yield topics.named("health"), _json(at=now, services_dead="", storage_days_left=300)
        yield topics.named("status"), _json(state="online", session="a", version="0.1.0", since=now)


def _json(**said: object) -> bytes:
    return msgspec.json.encode(said)
