# SPDX-License-Identifier: Apache-2.0
"""The panel's state of a unit at one moment, judged by all checks: its disk has no fault unless a test sets one."""

from __future__ import annotations

from collections.abc import Collection

from linetap import checks
from linetap.checks import Services, Snapshot
from linetap.checks.frame import MB
from linetap.checks.machine import Machine
from linetap.panel import state
from linetap.panel.state import Display
from linetap_core.clock import NS_PER_S

UTC_NS = 1_800_000_000 * NS_PER_S


def snapshot_of(services: Services, machine: Machine = Machine()) -> Snapshot:  # noqa: B008 - frozen
    return Snapshot(services, 1000 * MB, 2000 * MB, 100 * MB, "/vault", UTC_NS, machine)


def shown(
    services: Services,
    now_ns: int = 0,
    also: Collection[str] = (),
    machine: Machine = Machine(),  # noqa: B008
) -> Display:
    judgement = checks.judge().judge(snapshot_of(services, machine), now_ns)
    return state.shown(judgement, services, now_ns, also)
