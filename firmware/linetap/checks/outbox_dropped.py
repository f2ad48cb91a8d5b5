# SPDX-License-Identifier: Apache-2.0
"""outbox_dropped: events have gone from the unit before anybody confirmed them. The recordings are not touched."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    recorder, reporter = snapshot.services.recorder.word, snapshot.services.reporter.word
    if recorder is None:
        return standing
    dropped_to, delivery = recorder.outbox_dropped_to, recorder.delivery
    if dropped_to == 0:
        return None
    if delivery.desk:
        through = delivery.confirmed
    elif reporter is not None:
        through = reporter.delivered_seq
    else:
        return standing
    if through >= dropped_to:
        return None
    return Trouble(
        severity="critical",
        text_ko=f"보고가 확인되기 전에 기기에서 밀려났습니다 ({dropped_to}번까지). 녹음은 그대로 있습니다.",
        text_en=f"Reports up to {dropped_to} have gone from the unit unconfirmed. The recordings are all there.",
        action_ko="상황실과의 연결을 되살리고, 빠진 통화는 기기의 봉인된 기록으로 대조하십시오.",
        action_en="Bring the way to the desk back, and compare what it lacks with the unit's sealed records.",
    )


CHECK = Check(
    id="outbox_dropped",
    clears="when the desk has confirmed the word about them",
    look=look,
)
