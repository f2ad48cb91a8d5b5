# SPDX-License-Identifier: Apache-2.0
"""broker_unreachable: the reporter lives and has no connection. As an alert it is heard of when it comes and goes."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Seen
from linetap.records import ReporterState

CHECK_ID = "broker_unreachable"


def is_unreachable(reporter: Seen[ReporterState]) -> bool:
    """A dead reporter has an alert of its own."""
    state = reporter.state
    return reporter.status == "alive" and (state is None or not state.connected or reporter.fault is not None)


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    reporter = snapshot.services.reporter
    if reporter.status == "dead":
        return standing
    if not is_unreachable(reporter):
        return None
    where = reporter.state.broker if reporter.state else ""
    return Trouble(
        severity="warning",
        text_ko=f"서버 {where}에 연결되지 않습니다. 녹음은 계속되고 보고는 기기에 쌓입니다.",
        text_en=f"The broker {where} is unreachable. Recording goes on, and reports wait in the unit.",
        action_ko=(
            "네트워크 케이블과 스위치를 확인하십시오. 이유는 로그에 있습니다: "
            "journalctl --namespace=+linetap -u linetap-reporter"
        ),
        action_en=(
            "Check the network cable and the switch. Why is in the log: "
            "journalctl --namespace=+linetap -u linetap-reporter"
        ),
    )


CHECK = Check(id=CHECK_ID, clears="when the broker has taken us in again", look=look)
