# SPDX-License-Identifier: Apache-2.0
"""ring_overtaken: the recorder was slower than the ring is long, and audio went before it was read."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.clock import NS_PER_S
from linetap.records import RecorderState

STANDS_S = 3600


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    last_ns = recorder.overtaken_ns
    if last_ns is None or recorder.mono_ns - last_ns >= STANDS_S * NS_PER_S:
        return None
    return Trouble(
        severity="critical",
        text_ko="녹음 처리가 늦어 읽기 전에 덮어쓴 소리가 있습니다. 그 자리는 녹음에 빈 구간으로 남습니다.",
        text_en="The recorder fell so far behind that audio was lost unread. The recordings have gaps there.",
        action_ko=(
            "디스크와 프로세서가 바쁜 이유를 찾으십시오: linetap check, "
            "journalctl --namespace=+linetap -u linetap-recorder"
        ),
        action_en=(
            "Find out what kept disk or processor busy: linetap check, "
            "journalctl --namespace=+linetap -u linetap-recorder"
        ),
    )


CHECK = Check(
    id="ring_overtaken",
    clears="at the end of an hour in which nothing was lost so",
    look=look,
)
