# SPDX-License-Identifier: Apache-2.0
"""The panel's own state file: what it shows, and what that means."""

from __future__ import annotations

import os

from linetap import __version__
from linetap.panel.state import Shown
from linetap.records import Fault, PanelState


def state_of(now: Shown, leds: dict[str, bool], ticks: int, started_ns: int, fault: Fault | None = None) -> PanelState:
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
    )
