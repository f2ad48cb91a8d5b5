# SPDX-License-Identifier: Apache-2.0
"""nothing_runs: capture, recorder and reporter are all dead. Panel and `linetap check` show it; the desk shows the
unit as offline."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Seen
from linetap.records import ServiceState

CHECK_ID = "nothing_runs"


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    services = snapshot.services
    everyone: list[Seen[ServiceState]] = [*services.capture.values(), services.recorder, services.reporter]
    if any(seen.status != "dead" or seen.unwritten is not None for seen in everyone):
        return None
    return Trouble(
        severity="critical",
        text_ko="세 서비스가 모두 멈췄습니다. 통화는 녹음되지 않습니다.",
        text_en="None of the three services runs. Calls are not recorded.",
        action_ko=(
            "sudo systemctl start linetap.target 명령으로 시작하고, 원인은 systemctl status 'linetap-*' 명령으로 "
            "확인하십시오."
        ),
        action_en="Start them: sudo systemctl start linetap.target. For the reason: systemctl status 'linetap-*'",
    )


CHECK = Check(id=CHECK_ID, clears="when one of them works again", look=look)
