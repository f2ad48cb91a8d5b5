# SPDX-License-Identifier: Apache-2.0
"""After a day of use: the desk's disk, and the memory of ingest and pages, searched for what must not be there.

All three are processes or files of their own: a real unit's reports and copies, a real broker, `linetap desk ingest`,
`linetap desk serve`, and somebody who searches, opens calls, and types a telephone number where none is meant.

Not asked here: the field `case`, which stands in the access log as it was typed; and the number in the pages' memory,
to which it came in a URL.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
from servesite import HOST
from sqlalchemy import select

from broker import Broker, until
from ingest_rig import Ingesting
from kept_rig import Kept
from linetap.bench.measure.desk import session
from linetap.desk.ingest import tables
from linetap.desk.serve.people import sessions
from linetap.evidence import keys
from memory import found_in

NUMBER = "01098765432"
SAMPLES = 8000


def files_with(folder: Path, wanted: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and wanted in path.read_bytes()]


def secrets_of(floor: Kept, folder: Path) -> Iterator[tuple[str, bytes]]:
    """What a unit and the two officers have, and the desk must not."""
    yield "PCM", random.Random(1).randbytes(SAMPLES)[1000:1064]
    yield "the unit's private key", keys.load_unit_key(Path(floor.config.key).read_bytes()).private_bytes_raw()
    for name in ("custodian", "epoch"):
        (line,) = [line for line in (folder / f"{name}.txt").read_text().split() if line.startswith("AGE-SECRET-KEY-")]
        yield f"the {name}'s private key", line.encode()


def test_what_must_not_be_at_the_desk_is_not(tmp_path: Path, run_dir: Path, broker: Broker) -> None:
    unit, desk = tmp_path / "unit", tmp_path / "desk"
    unit.mkdir()
    (desk / "copies").mkdir(parents=True)
    with Kept(unit, run_dir, broker.port) as floor, Ingesting(desk, broker.port, floor.signers) as ingest:
        copies = f"file://{desk / 'copies'}"
        ingest.start("--key", str(floor.desk_key), "--copy", copies)
        until(lambda: "session_new" in ingest.said(), 15, ingest.said())
        floor.reporter(desk_s=3)
        record = floor.call(SAMPLES)
        until(lambda: any((desk / "copies").rglob("record.json.sig")), 40, ingest.said())
        until(lambda: bool(_copied(ingest)), 40, ingest.said())
        (desk / "serve.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
        config = desk / "desk.toml"
        config.write_text(
            f'db = "{ingest.db}"\nsigners = "{floor.signers}"\n[broker]\nhost = "{HOST}"\nport = {broker.port}\n'
            f'[copy]\nstore = "{copies}"\n[serve]\nlisten = "{HOST}:0"\n'
        )
        token = session(config, "kim", "officer")
        log = desk / "serve.log"
        command = [sys.executable, "-m", "linetap", "desk", "serve", "--config", str(config)]
        with log.open("wb") as said, subprocess.Popen(command, stderr=said) as serve:
            try:
                until(lambda: "http://" in log.read_text(), 30)
                url = next(word for word in log.read_text().split() if word.startswith("http://"))
                with httpx.Client(base_url=url, cookies={sessions.COOKIE: token}, timeout=30) as officer:
                    found = [
                        officer.get(f"/calls/{record.unit}/{record.call_id}"),
                        officer.get("/calls/found"),
                        officer.get("/fleet"),
                        officer.get("/calls/found", params={"extension": NUMBER, "department": NUMBER}),
                    ]
                assert [answer.status_code for answer in found] == [200, 200, 200, 400]
                assert record.call_id in found[1].text
                call = record.call_id.encode()
                assert found_in(serve.pid, call), "what must be there is not found: this test is blind"
                assert found_in(ingest.pid, call), "what must be there is not found: this test is blind"
                for name, secret in secrets_of(floor, unit):
                    assert not found_in(serve.pid, secret), f"{name} is in the pages' memory"
                    assert not found_in(ingest.pid, secret), f"{name} is in the ingest's memory"
                assert not found_in(ingest.pid, NUMBER.encode())
            finally:
                serve.terminate()
                serve.wait(20)
        assert ingest.end() == 0
        assert files_with(desk, call), "what must be there is not found: this test is blind"
        for name, secret in [*secrets_of(floor, unit), ("the number", NUMBER.encode())]:
            assert not files_with(desk, secret), f"{name} is on the desk's disk"


def _copied(ingest: Ingesting) -> list[str]:
    with ingest.engine.connect() as db:
        return list(db.execute(select(tables.calls.c.call_id).where(tables.calls.c.copied_at.is_not(None))).scalars())
