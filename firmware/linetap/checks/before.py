# SPDX-License-Identifier: Apache-2.0
"""The alerts of a service before its restart, from its own state file only, so that no service can deceive another."""

from __future__ import annotations

from collections.abc import Mapping

from linetap.clock import NS_PER_S, Clock
from linetap.config.schema import Config
from linetap.records import Alert, PanelState, ReporterState
from linetap.service import read_state

RESUME_S = 60  # an older state file is not continued


def told_before(
    config: Config, clock: Clock, service: str, kind: type[PanelState] | type[ReporterState]
) -> Mapping[str, Alert] | None:
    before = read_state(config.run_path, service, kind)
    if before is None or not 0 <= clock.monotonic_ns() - before.mono_ns < RESUME_S * NS_PER_S:
        return None
    return before.told
