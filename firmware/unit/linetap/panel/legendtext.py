# SPDX-License-Identifier: Apache-2.0
"""The legend as plain text, for the lid of the unit and the terminal."""

from __future__ import annotations

from linetap_core.wire.alerts import ALERTS
from linetap_core.wire.legend import (
    ACTIVITIES,
    BUTTON,
    CALM_EN,
    CALM_KO,
    CALM_PATTERN,
    CONDITIONS,
    IDENTIFY,
    IDENTIFY_EN,
    IDENTIFY_KO,
    IDENTIFY_PATTERN,
    LEDS,
    PATTERN_NAMES_KO,
)


def table() -> str:
    """Korean and English. Below a state stand the codes of alert and journal that it shows; those below `ok` are the
    desk's to act on, and no LED's."""
    rows = [f"{led.label}: {led.colour_ko} / {led.colour_en}" for led in LEDS.values()]
    for name, state in CONDITIONS.items():
        rows.append(f"RUN {_both(state.run)}  FAULT {_both(state.fault)}  {name}: {state.ko} / {state.en}")
        shows = (code for code, kind in ALERTS.items() if name in (kind.led, kind.led_of_warning) and code != name)
        if codes := ", ".join(shows):
            rows.append(f"    {codes}")
    for name, activity in ACTIVITIES.items():
        rows.append(f"CALL {_both(activity.call)}  {name}: {activity.ko} / {activity.en}")
    rows.append(f"RUN CALL FAULT {_both(IDENTIFY_PATTERN)}  {IDENTIFY}: {IDENTIFY_KO} / {IDENTIFY_EN}")
    rows.append(f"FAULT {_both(CALM_PATTERN)}: {CALM_KO} / {CALM_EN}")
    rows += [f"{ko} / {en}" for ko, en in BUTTON]
    return "\n".join(rows)


def _both(pattern: str) -> str:
    return f"[{PATTERN_NAMES_KO[pattern]} / {pattern}]"
