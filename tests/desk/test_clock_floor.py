# SPDX-License-Identifier: Apache-2.0
"""A desk machine whose clock is earlier than this software: nothing is decided or signed by it.

The real commands run under libfaketime.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_ingest import CALL, publish, session_stands

from broker import Broker, until
from epoch_rig import Authority
from ingest_rig import Ingesting, Teller, rows
from linetap_core.clock import SYSTEM, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.timekeeping import earliest_ns
from linetap_desk.ingest import tables
from witness_rig import write_key

FIRMWARE = Path(__file__).parents[2] / "firmware"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
SAYS_1970 = {
    "LD_PRELOAD": str(FAKETIME), "FAKETIME": "1970-01-01 00:00:40", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "DONT_FAKE_MONOTONIC": "1", "TZ": "UTC",
}  # fmt: skip
LIMIT_S = 60
TO_1970 = -56 * 365 * 86_400
REFUSES = "this machine's clock is at 1970-01-01T00:00:"
COMMANDS = {
    "ingest": "desk ingest --broker mqtt://127.0.0.1:9 --signers signers --db sqlite:///desk.db",
    "approve": "release approve request.json --key desk/access.key --name kim --desk desk",
    "unwrap": "unwrap call --identity officer.txt -o inner.age --desk desk",
    "open": "open call --identity custodian.txt -o call.wav --desk desk",
    "key list": "keygen epochs --from 2026-12-01 --days 500 --zone Asia/Seoul --all-on-one-medium . -o list.json"
    " --authority key --custodian CUSTODIAN",
    "overdue": "epoch overdue --list keylist.json",
    "unit's key": "keygen custodian -o one.txt",
    "command": "command sign --verb identify --role desk --unit floor-03 --seconds 120 --key key -o out.command",
    "witness": "witness --listen 127.0.0.1:0 --name one.example --key key --state seen --signers signers",
    "authority of certificates": "pki init pki --domain city.example",
}


def bare_clock() -> set[str]:
    found = set()
    for path in [*(FIRMWARE / "desk").rglob("*.py"), FIRMWARE / "unit/linetap/provision/pack.py"]:
        text = path.read_text()
        if re.search(r"from linetap_core\.clock import [^\n]*\bSYSTEM\b|\btime\.time|datetime\.now|utcnow", text):
            found.add(str(path.relative_to(FIRMWARE)))
    return found


def test_nobody_at_the_desk_asks_the_machines_clock_itself() -> None:
    """`timekeeping.KEPT` refuses an impossible time; it is the default of every command."""
    assert bare_clock() == set()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The files read by the commands before they read the time."""
    key = keys.new_unit_key()
    write_key(tmp_path / "key", key)
    (tmp_path / "desk").mkdir()
    write_key(tmp_path / "desk" / "access.key", key)
    (tmp_path / "signers").write_text(
        f'floor-03 namespaces="linetap-checkpoint" {keys.public_line(keys.new_unit_key().public_key())}\n'
    )
    authority = Authority(tmp_path)
    authority.publish(authority.make("2026-11-25", 3))
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_refuses_and_gives_the_reason(desk: Path, name: str) -> None:
    words = COMMANDS[name].split()
    done = subprocess.run(
        [sys.executable, "-m", "linetap", *words], cwd=desk, capture_output=True, text=True, timeout=LIMIT_S,
        check=False, env=os.environ | SAYS_1970,
    )  # fmt: skip
    assert REFUSES in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1, "in one line"
    assert done.returncode == 2
    assert not (desk / "desk.db").exists()


def test_an_ingest_whose_clock_is_set_back_there_counts_on(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new events are not dated 1970, and none is lost."""
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    teller = Teller(tmp_path / "unit")
    teller.call(0)
    signers = tmp_path / "signers"
    signers.write_text(teller.signer)
    for name, text in SAYS_1970.items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("FAKETIME")
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
    monkeypatch.setenv("FAKETIME_CACHE_DURATION", "1")
    began_ns = SYSTEM.utc_ns()
    with Ingesting(tmp_path, broker.port, signers) as ingest:
        ingest.start()
        monkeypatch.delenv("LD_PRELOAD")
        session_stands(ingest)
        first, second, *_ = teller.reports()
        publish(broker, (CALL, first.payload, first.sig))
        until(lambda: ingest.count() == 1, LIMIT_S, ingest.said())
        clock.write_text(f"{TO_1970}\n")
        until(lambda: "clock_early: this machine's clock is at 19" in ingest.said(), LIMIT_S, "it never saw the clock")
        publish(broker, (CALL, second.payload, second.sig))
        until(lambda: ingest.count() == 2, LIMIT_S, ingest.said())
        received = [row["received_at"] for row in rows(ingest.engine, tables.events)]
        assert received == sorted(received)
        assert received[0] >= rfc3339(began_ns)
        assert received[1] <= rfc3339(SYSTEM.utc_ns())
        assert ingest.end() == 0
        assert ingest.said().count("clock_early") == 1


def test_the_floor_is_that_of_the_unit() -> None:
    assert rfc3339(earliest_ns()) >= "2026-01-01"
