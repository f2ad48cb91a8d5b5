# SPDX-License-Identifier: Apache-2.0
"""Delivery from the outbox to the desk: an event leaves the one only after the other has it, whichever process is
killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import Broker, until
from ingest_rig import Ingesting, rows
from kept_rig import Kept
from linetap_core.evidence.keys import keys
from linetap_desk.ingest import tables

KILLS = 10


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A Mosquitto with its default settings: acknowledged messages are in RAM, and a queue is limited."""
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
        yield ingest


def everything(ingest: Ingesting, floor: Kept) -> None:
    """Asserts that every event is at the desk, once, and confirmed to the unit."""
    wanted = floor.outbox.last_seq
    try:
        until(lambda: floor.confirmed == wanted, 120)
    except AssertionError as error:
        error.add_note(f"{floor.confirmed} of {wanted} confirmed, {ingest.count()} stored")
        error.add_note(f"the ingest said:\n{ingest.said()}\nthe reporter said:\n{floor.said()}")
        raise
    assert sorted(ingest.seqs()) == list(range(1, wanted + 1))
    assert not rows(ingest.engine, tables.set_aside)


def test_confirmed_end_to_end(ingest: Ingesting, floor: Kept) -> None:
    """Also events accepted by a broker before a desk ever connected."""
    floor.events(40)
    floor.reporter(desk_s=3)
    floor.reached(lambda state: state.delivered_seq == 40)
    ingest.start()
    everything(ingest, floor)
    floor.events(1)
    everything(ingest, floor)


def test_the_head_of_the_log(ingest: Ingesting, floor: Kept) -> None:
    """From the unit's disk to the desk's, with its signature."""
    floor.unit_log.publish()
    ingest.start()
    floor.reporter()
    until(lambda: rows(ingest.engine, tables.heads), 120)
    (row,) = rows(ingest.engine, tables.heads)
    assert row["head"] == (floor.config.vault_path / "log" / "head.json").read_bytes()
    assert row["sig"] == (floor.config.vault_path / "log" / "head.json.sig").read_text()
    assert row["size"] == floor.unit_log.size > 0


def test_the_ingest_killed_ten_times_and_the_broker_three(ingest: Ingesting, floor: Kept, broker: Broker) -> None:
    """kill -9: undelivered messages acknowledged by the broker are lost there, and still in the outbox."""
    ingest.start()
    floor.reporter(desk_s=3)
    for n in range(KILLS):
        before = ingest.count()
        floor.events(30)
        until(lambda: ingest.count() > before)  # noqa: B023 - asked before it changes
        ingest.kill()
        floor.events(30)
        if n % 4 == 1:
            until(lambda: (state := floor.state()) and state.queue_length == 0)  # acknowledged, every one
            broker.kill()
            broker.start()
        ingest.start()
    everything(ingest, floor)


def test_weeks_without_a_desk(ingest: Ingesting, floor: Kept, broker: Broker) -> None:
    """A broker acknowledges 1,500 events for an absent desk, keeps 1,000 of them, and then loses those too."""
    ingest.start()
    floor.reporter(desk_s=3)
    floor.events(10)
    everything(ingest, floor)
    ingest.kill()
    floor.events(1500)
    until(lambda: (state := floor.state()) and state.delivered_seq == 1510, 120)
    broker.kill()
    broker.start()
    ingest.start()
    everything(ingest, floor)
    assert any(row["late"] for row in rows(ingest.engine, tables.events))


def test_a_desk_that_the_unit_does_not_know_confirms_nothing(ingest: Ingesting, floor: Kept, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.key"
    stranger.write_bytes(keys.unit_key_file(keys.new_unit_key()))
    ingest.words[-1] = str(stranger)
    ingest.start()
    until(lambda: "session_new" in ingest.said())
    floor.reporter()
    floor.events(20)
    until(lambda: ingest.count() == 20)
    until(lambda: "unit_refuses: floor-03: command_signer" in ingest.said())
    assert floor.confirmed == 0
    ingest.kill()
    ingest.words[-1] = str(floor.desk_key)
    ingest.start()
    everything(ingest, floor)
