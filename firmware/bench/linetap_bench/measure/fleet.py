# SPDX-License-Identifier: Apache-2.0
"""A thousand units in a busy hour at one broker, while broker, ingest and network fail; and the cost of an event."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from linetap.recorder.vault.outbox.outbox import Outbox
from linetap_bench.figures import Row
from linetap_bench.fleet.schedule import STEPS, Call
from linetap_bench.fleet.trial import Outcome, Plan, Trial
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig

APPENDS = 2000
PARTITION_S = int(os.environ.get("LINETAP_PARTITION_S", "60"))  # 600 in the full bench
UNITS = int(os.environ.get("LINETAP_FLEET_UNITS", "1000"))


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="linetap-fleet-", dir="/dev/shm") as disks:
        plan = Plan(units=UNITS, partition_s=(135, PARTITION_S), for_s=145 + PARTITION_S)
        return [*rows(plan, Trial(folder, Path(disks), plan).run()), _append(Path(disks))]


def rows(plan: Plan, out: Outcome) -> list[Row]:
    cpu = ", ".join(f"{name} {percent:.0f} %" for name, percent in out.cpu_percent.items())
    load = os.getloadavg()[0]
    method = (
        f"{plan.units} units of {plan.lines} lines, TLS, shipped Mosquitto, on each line a call in {plan.every_s:g} s:"
        f" {len(out.way_ms)} changes in {plan.calm_s[1] - plan.calm_s[0]:g} s, from the moment in the payload to a"
        f" subscriber; of a core: {cpu}; {os.cpu_count()} cores, load {load:.1f} at the end"
    )
    way = sorted(out.way_ms) or [float("inf")]
    back = out.all_back_s(out.broker_killed_ns)
    died = (
        f"broker killed -9 and started again, {plan.ingest_kills} kills of the ingest, {plan.partition_units} units cut"
        f" off for {plan.partition_s[1]} s; {out.events} events of the outboxes against the database, byte for byte"
    )
    last = out.standings[-1]
    return [
        Row(name="fleet: a state's change to a subscriber, p99", figure=way[len(way) * 99 // 100], unit="ms",
            target=150, method=method, beside={"p50": statistics.median(way)}),
        Row(name="fleet: all back after the broker's death", figure=float("inf") if back is None else back, unit="s",
            target=60, method="by the fleet's own count, once a second"),
        Row(name="fleet: events lost", figure=out.lost, unit="", target=0, method=died),
        Row(name="fleet: events doubled, changed or set aside", figure=out.changed + out.set_aside, unit="", target=0,
            method=died),
        Row(name="fleet: events that the desk had not confirmed at the end", figure=last.events - last.confirmed,
            unit="", target=0, method=f"the rest had at most {plan.settle_s:g} s"),
    ]  # fmt: skip


def _append(disks: Path) -> Row:
    key, call = keys.new_unit_key(), Call(1, SYSTEM.utc_ns())
    outbox = Outbox(
        disks / "outbox", "bench-01", lambda data: sshsig.sign(data, key, namespaces.EVENT),
        keys.fingerprint(key.public_key()), 1 << 26,
    )  # fmt: skip
    took_ms = []
    for n in range(APPENDS):
        event = call.event(STEPS[n % len(STEPS)], SYSTEM.utc_ns() + n * NS_PER_S)
        began = time.process_time_ns()
        outbox.append(event)
        took_ms.append((time.process_time_ns() - began) / 1e6)
    outbox.close()
    return Row(
        name="outbox: append, besides the fsync", figure=statistics.median(took_ms), unit="ms", target=1,
        method=f"CPU time of {APPENDS} appends in RAM, signed; median, p99 {sorted(took_ms)[APPENDS * 99 // 100]:.2f}",
    )  # fmt: skip
