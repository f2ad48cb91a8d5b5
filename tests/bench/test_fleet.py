# SPDX-License-Identifier: Apache-2.0
"""The fleet at a small scale: a broker and an ingest that die, disconnected units, and every event exactly once."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from broker import HOST, MuteServer, until
from linetap_bench.fleet.pool import Pool, PooledConnection
from linetap_bench.fleet.schedule import STEPS, Call, Happening, parse, steps_ns
from linetap_bench.fleet.trial import Plan, Trial
from linetap_bench.measure.fleet import rows
from linetap_core import cli
from linetap_core.broker.connection import Terms
from linetap_core.clock import SYSTEM
from linetap_core.errors import BadInput
from linetap_core.wire.mqtt import Broker

UNITS = 50
PLAN = Plan(
    units=UNITS, lines=2, every_s=8, calm_s=(0, 2), broker_killed_s=2, ingest_killed_s=4, ingest_kills=1,
    partition_s=(3, 2), partition_units=20, for_s=6, settle_s=60,
)  # fmt: skip


def test_nothing_is_lost_or_doubled_and_all_come_back(tmp_path: Path, run_dir: Path) -> None:
    out = Trial(tmp_path, run_dir, PLAN).run()
    assert out.events > UNITS
    assert (out.lost, out.changed, out.set_aside) == (0, 0, 0)
    last = out.standings[-1]
    assert last.connected == UNITS
    assert last.confirmed == last.events == out.events
    assert last.refused == 0
    assert out.all_back_s(out.broker_killed_ns) is not None
    assert {row.name for row in rows(PLAN, out)}


@pytest.mark.parametrize("adopted", [True, False])
def test_a_closed_pool_leaves_no_socket_open(adopted: bool) -> None:
    """Also of a connection that was made and not yet read."""
    with MuteServer() as server:
        pool, broker = Pool(SYSTEM), Broker(host=HOST, port=server.port)
        one = PooledConnection(pool, "floor-03", broker, Terms("floor-03", (), 1, 1000), None, queue.SimpleQueue())
        until(lambda: one.fd() >= 0)
        if adopted:
            pool.turn(0)
        pool.close()
        assert one.fd() == -1


def test_a_call_has_eight_events_and_ends_idle() -> None:
    assert len(STEPS) == 8
    call = Call(3, 1_795_560_961_000_000_000)
    reports = [report for step in STEPS if (report := call.report(step, call.began_ns)) is not None]
    assert [report.state for report in reports] == ["ringing", "notice", "recording", "idle"]
    assert reports[-1].call_id is None
    assert call.event(STEPS[0], call.began_ns).call_id == call.call_id
    assert [ns for ns, _ in steps_ns(240)] == sorted(ns for ns, _ in steps_ns(240))


@pytest.mark.parametrize(
    ("text", "happening"),
    [
        ("storm@30", Happening("storm", 30)),
        ("outage@60+10", Happening("outage", 60, 10)),
        ("partition@90+600:200", Happening("partition", 90, 600, 200)),
    ],
)
def test_what_happens_is_read(text: str, happening: Happening) -> None:
    assert parse(text) == happening


@pytest.mark.parametrize("text", ["", "storm", "storm@x", "outage@5", "partition@5+5", "storm@30+1", "flood@1"])
def test_what_does_not_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected"):
        parse(text)


@pytest.mark.parametrize("broker", ["mqtt://10.0.0.1:1883", "http://127.0.0.1", "mqtts://broker.example:8883"])
def test_a_simulation_stays_on_the_loopback(broker: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fleet", "--broker", broker]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
