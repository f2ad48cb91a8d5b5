# SPDX-License-Identifier: Apache-2.0
"""A fleet at three RabbitMQ nodes behind one address with two ingests, while nodes, network and an ingest fail."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from linetap_bench.cluster.rabbit import required
from linetap_bench.cluster.trial import INGESTS, NODES, SHARES, Outcome, Plan, Trial
from linetap_bench.figures import Row

FAILURES = 3  # a node, a network, an ingest
UNITS = int(os.environ.get("LINETAP_FLEET_UNITS", "1000"))


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    required()
    with tempfile.TemporaryDirectory(prefix="linetap-cluster-", dir="/dev/shm") as disks:
        return rows(Trial(folder, Path(disks), Plan(units=UNITS)).run())


def rows(out: Outcome) -> list[Row]:
    plan, verdict, last = out.plan, out.verdict, out.standings[-1]
    cpu = ", ".join(f"{name} {percent:.0f} %" for name, percent in out.cpu_percent.items())
    memory = ", ".join(f"{name} {mb:.0f} MB" for name, mb in out.memory_mb.items())
    method = (
        f"{plan.units} units of {plan.lines} lines over TLS, {NODES} nodes behind haproxy, {len(INGESTS)} ingests,"
        f" {SHARES} shares, PostgreSQL; node 1 killed -9, node 3 cut off from its peers for {plan.parted_s:g} s,"
        f" an ingest killed -9; {verdict.events} events of the outboxes against the database, byte for byte"
    )
    told = [
        f"{each.moment}: {each.fewest} connected at the worst, all after {each.back_s:.0f} s" for each in out.failures()
    ]
    return [
        Row(name="cluster: events lost", figure=verdict.lost, unit="", target=0, method=method),
        Row(name="cluster: events doubled, changed or set aside", figure=verdict.changed + verdict.set_aside, unit="",
            target=0, method=method),
        Row(name="cluster: events that the desk had not confirmed at the end", figure=last.events - last.confirmed,
            unit="", target=0, method=f"the rest had at most {plan.settle_s:g} s"),
        Row(name="cluster: rights that somebody has and should not", figure=len(out.permission_faults), unit="",
            target=0,
            method="; ".join(out.permission_faults) or "unit, screen, revoked certificate and none, each tried"),
        Row(name="cluster: failures after which all units were back", figure=len(told), unit="", target=FAILURES,
            at_most=False, method="; ".join(told)),
        Row(name="cluster: processor of all three nodes, in the calm", unit="%", target=200, method=f"of a core: {cpu};"
            f" {memory}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end",
            figure=sum(percent for name, percent in out.cpu_percent.items() if name.startswith("node"))),
    ]  # fmt: skip
