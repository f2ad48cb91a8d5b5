# SPDX-License-Identifier: Apache-2.0
"""clock_unsynced: nobody keeps the clock. Calls are recorded, and their times are as good as the unit's crystal.

clock_distrusted is another matter: a clock that says what cannot be.
"""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.clock import NS_PER_S

PATIENCE_S = 900  # a time server that is asked for the first time takes minutes


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    recorder = snapshot.services.recorder.word
    if recorder is None:
        return standing
    clock = recorder.clock
    if clock is None or clock.synced:
        return None
    since_ns = recorder.started_ns if clock.synced_ns is None else clock.synced_ns
    if standing is None and recorder.mono_ns - since_ns < PATIENCE_S * NS_PER_S:
        return None
    return Trouble(
        severity="warning",
        text_ko="시계가 시각 서버와 맞춰지지 않습니다. 녹음은 계속됩니다.",
        text_en="The clock is not synchronised with a time server. Recording goes on.",
        action_ko="네트워크와 시각 서버를 확인하십시오: timedatectl timesync-status 또는 chronyc sources",
        action_en="Check the network and the time server: timedatectl timesync-status, or chronyc sources",
    )


CHECK = Check(
    id="clock_unsynced",
    clears="when the kernel says that its clock is synchronised",
    look=look,
)
