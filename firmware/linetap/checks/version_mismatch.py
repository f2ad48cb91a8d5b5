# SPDX-License-Identifier: Apache-2.0
"""version_mismatch: services of different versions run side by side, as after an update that has not started all anew.

Allowed, since no call ends for an update; but it must not be forgotten.
"""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    services = snapshot.services
    everyone = (*services.capture.values(), services.recorder, services.reporter, services.panel)
    running = {state.service: state.version for seen in everyone if (state := seen.word) is not None}
    if len(set(running.values())) <= 1:
        return None
    told = ", ".join(f"{service} {version}" for service, version in running.items())
    return Trouble(
        severity="warning",
        text_ko=f"서비스들의 버전이 서로 다릅니다: {told}.",
        text_en=f"The services are of different versions: {told}.",
        action_ko="통화가 없을 때 systemctl restart linetap.target 명령으로 모두 다시 시작하십시오.",
        action_en="Start all anew while no line is in use: systemctl restart linetap.target",
    )


CHECK = Check(id="version_mismatch", clears="when all run in one version", look=look)
