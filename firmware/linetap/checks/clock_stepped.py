# SPDX-License-Identifier: Apache-2.0
"""clock_stepped: the clock has jumped while calls were recorded. Calls of before and after cannot be compared by it."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.clock import NS_PER_S
from linetap.records import RecorderState

STANDS_S = 3600


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    clock = recorder.clock
    if clock is None or clock.stepped_ns is None or recorder.mono_ns - clock.stepped_ns >= STANDS_S * NS_PER_S:
        return None
    seconds = abs(clock.step_ms) / 1000
    ko, en = ("앞으로", "forward") if clock.step_ms > 0 else ("뒤로", "back")
    return Trouble(
        severity="warning",
        text_ko=f"시계가 {seconds:.1f}초 {ko} 건너뛰었습니다. 녹음은 계속됩니다.",
        text_en=f"The clock has jumped {seconds:.1f} s {en}. Recording goes on.",
        action_ko=(
            "누가 시계를 맞추었는지, 시각 서버가 바뀌었는지 확인하십시오: journalctl -u systemd-timesyncd -u chrony"
        ),
        action_en=(
            "Find out who set it, or whether the time server is another one: journalctl -u systemd-timesyncd -u chrony"
        ),
    )


CHECK = Check(
    id="clock_stepped",
    clears="at the end of an hour without another jump",
    look=look,
)
