# SPDX-License-Identifier: Apache-2.0
"""The panel's state file: what it shows, in words too, and the judgement that it shows."""

from __future__ import annotations

import os
from collections.abc import Mapping

from linetap.panel.state import Shown
from linetap_core import __version__
from linetap_core.records import Alert, Fault, PanelState

_NONE: Mapping[str, Alert] = {}


def state_of(
    now: Shown,
    leds: dict[str, bool],
    ticks: int,
    started_ns: int,
    fault: Fault | None = None,
    told: Mapping[str, Alert] = _NONE,
) -> PanelState:
    """`ticks` of this panel, which began at `started_ns` (monotonic)."""
    return PanelState(
        service="panel",
        version=__version__,
        pid=os.getpid(),
        started_ns=started_ns,
        mono_ns=0,
        progress=ticks,
        fault=fault,
        unit_state=now.unit_state,
        leds=leds,
        patterns=now.patterns,
        meaning_ko=now.meaning_ko,
        meaning_en=now.meaning_en,
        told=dict(told),
    )
