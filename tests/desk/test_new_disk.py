# SPDX-License-Identifier: Apache-2.0
"""A unit that loses its disk and keeps its key, with a real broker, reporter and ingest; and one whose
outbox decays.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker import Broker, until
from ingest_rig import Ingesting, rows
from kept_rig import Kept
from linetap_core.evidence.signing import signers
from linetap_core.vaultformat import outboxfiles, vaultname
from linetap_desk.ingest import database, tables, vaults
from linetap_desk.vaultproofs.verifyvault import verify_vault

CALLS = 50


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", saves=False) as running:
        yield running


@pytest.fixture
def floor(tmp_path: Path, run_dir: Path, broker: Broker) -> Iterator[Kept]:
    with Kept(tmp_path, run_dir, broker.port) as floor:
        yield floor


@pytest.fixture
def ingest(tmp_path: Path, broker: Broker, floor: Kept) -> Iterator[Ingesting]:
    with Ingesting(tmp_path, broker.port, floor.signers) as ingest:
        ingest.words += ["--key", str(floor.desk_key)]
        yield ingest.start()


def confirmed(ingest: Ingesting, floor: Kept) -> None:
    try:
        until(lambda: floor.confirmed == floor.outbox.last_seq, 120)
    except AssertionError as error:
        error.add_note(f"{floor.confirmed} of {floor.outbox.last_seq}; the ingest said:\n{ingest.said()}")
        raise


def test_every_call_of_three_disks_is_known(ingest: Ingesting, floor: Kept) -> None:
    """A vault of an earlier version, then two new disks: the desk knows all 150 calls, and the disk of each."""
    floor.start_again()
    for disk in range(3):
        reporter = floor.reporter(desk_s=3)
        floor.events(CALLS)
        confirmed(ingest, floor)
        floor.unit_log.publish()
        reporter.terminate()
        reporter.wait(120)
        if disk < 2:
            floor.lose_disk()
    assert len(rows(ingest.engine, tables.calls)) == 3 * CALLS
    assert rows(ingest.engine, tables.set_aside) == []
    its = sorted(rows(ingest.engine, tables.vaults), key=lambda row: row["number"])
    assert [(row["number"], row["over_at"] is None) for row in its] == [(1, False), (2, False), (3, True)]
    assert its[2]["before"] == its[1]["origin"]
    assert its[1]["before"] == its[0]["origin"] == vaults.origin_of(its[1]["origin"])
    alerts = [row["code"] for row in rows(ingest.engine, tables.alerts)]
    assert alerts.count("vault_new") == 2
    assert "events_lost" not in alerts


def test_the_order_is_signed_by_the_unit(ingest: Ingesting, floor: Kept) -> None:
    """The desk reports the vault; the unit signs that in document, log and event, and the desk stops asking."""
    floor.lose_disk()
    floor.reporter(desk_s=3)
    floor.events(3)
    until(lambda: floor.incarnation.is_ordered, 120)
    confirmed(ingest, floor)
    until(lambda: [row for row in rows(ingest.engine, tables.vaults) if row["signed"] == 1], 120)
    vault = floor.config.vault_path
    data = (vault / "vault.json").read_bytes()
    found = vaultname.check(data, (vault / "vault.json.sig").read_bytes())
    assert (found.vault, found.number, found.before) == (floor.incarnation.name, 1, "")
    events = [msgspec.json.decode(row["payload"]) for row in rows(ingest.engine, tables.events)]
    assert [event["event"] for event in events].count("vault") == 2
    assert {event["vault"] for event in events} == {found.vault}
    floor.unit_log.publish()
    verdicts = list(verify_vault(vault, signers.parse(floor.signers.read_text())))
    problems = [problem for verdict in verdicts for problem in verdict.problems if "vault" in problem.text]
    assert problems == []


def test_an_outbox_that_rots_at_its_end(ingest: Ingesting, floor: Kept) -> None:
    floor.lose_disk()
    reporter = floor.reporter(desk_s=3)
    floor.events(20)
    confirmed(ingest, floor)
    reporter.terminate()
    reporter.wait(120)
    newest = sorted((floor.config.vault_path / "outbox").glob("*.events"))[-1]
    frames = list(outboxfiles.read(newest))
    data = bytearray(newest.read_bytes())
    for frame in frames[-5:]:
        data[frame.start + 40] ^= 1
    newest.write_bytes(data)
    floor.start_again()
    floor.events(20)
    floor.reporter(desk_s=3)
    confirmed(ingest, floor)
    assert rows(ingest.engine, tables.set_aside) == []
    assert len(rows(ingest.engine, tables.calls)) == 40
    assert not [row for row in rows(ingest.engine, tables.alerts) if row["code"] != "log_begun"]


@pytest.mark.soak  # it waits for two healths of a unit, a minute
def test_the_index_is_made_again_of_a_unit_with_its_second_disk(
    ingest: Ingesting, floor: Kept, broker: Broker, tmp_path: Path
) -> None:
    """The desk requests everything, and cannot know of which vault. Its own observations stay: order and alert."""
    floor.start_again()
    floor.reporter(desk_s=3)
    floor.events(5)
    confirmed(ingest, floor)
    floor.lose_disk()
    floor.events(7)
    confirmed(ingest, floor)
    until(lambda: floor.incarnation.is_ordered, 120)
    assert ingest.end() == 0
    before = rows(ingest.engine, tables.vaults)
    ingest.engine.dispose()
    (tmp_path / "desk.toml").write_text(
        f'signers = "{floor.signers}"\nkey = "{floor.desk_key}"\ndb = "{ingest.db}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    )
    command = [sys.executable, "-m", "linetap", "desk", "rebuild", "--config", str(tmp_path / "desk.toml")]
    found = subprocess.run([*command, "--for", "40"], capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    engine = database.open_writer(ingest.db)
    name = vaults.chain_name(floor.outbox.origin, floor.incarnation.name)
    told = [row["seq"] for row in rows(engine, tables.events) if row["origin"] == name]
    assert told == list(range(floor.outbox.first_seq, floor.outbox.last_seq + 1))
    assert rows(engine, tables.vaults) == before
    assert {row["code"] for row in rows(engine, tables.alerts)} <= {"vault_new", "log_begun"}
    engine.dispose()
