# SPDX-License-Identifier: Apache-2.0
"""A line as a walk test sees it, from what the recorder knows of it anyway."""

from __future__ import annotations

from linetap.recorder.calls.line import LineCalls
from linetap.recorder.signals.health.linehealth import Reading
from linetap.recorder.walk.turn import Sight


def sight_of(line: LineCalls, reading: Reading | None, troubles: list[str], mono_s: float) -> Sight:
    """`reading`: the line's last half second, where there was one."""
    memory = line.memory
    call = memory.call
    return Sight(
        mono_s,
        idle=memory.state == "idle",
        call_id=call.call_id if call else None,
        outgoing=call is not None and call.direction == "out",
        dialled=len(call.dialled) if call else 0,
        announced=call is not None and bool(call.notices),
        heard=call is not None and (memory.state == "tone_end" or any(each.proof != "none" for each in call.notices)),
        passing=memory.state in ("passing", "carrier"),
        on_hook=reading.on_hook if reading else None,
        volts=reading.volts if reading else None,
        level_dbm0=reading.level_dbm0 if reading else None,
        troubles=troubles,
    )
