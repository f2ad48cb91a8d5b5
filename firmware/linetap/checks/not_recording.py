# SPDX-License-Identifier: Apache-2.0
"""not_recording: a service lives and says that it cannot record, for another reason than a full disk or the codec."""

from __future__ import annotations

from linetap.checks import disk_full
from linetap.checks.capture_dead import OF_THE_CODEC
from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Seen
from linetap.records import CaptureState, RecorderState

CHECK_ID = "not_recording"


def refuses(recorder: Seen[RecorderState]) -> str | None:
    """The code of the reason why it records nothing; None: it records, or its state is unknown."""
    state = recorder.word
    return None if state is None else state.recording_refused or recorder.fault


def has_fault(capture: Seen[CaptureState]) -> bool:
    return capture.status == "alive" and capture.fault is not None and capture.fault not in OF_THE_CODEC


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    services = snapshot.services
    code = refuses(services.recorder)
    found = [] if code in (None, disk_full.CHECK_ID) else [f"recorder: {code}"]
    found += [f"capture@{card}: {seen.fault}" for card, seen in services.capture.items() if has_fault(seen)]
    if not found:
        return standing if services.recorder.word is None else None
    codes = ", ".join(found)
    return Trouble(
        severity="critical",
        text_ko=f"장애로 통화를 녹음하지 못합니다 ({codes}).",
        text_en=f"Calls are not recorded for a fault ({codes}).",
        action_ko=(
            "디스크와 카드의 연결을 확인하십시오. 이유는 로그에 있습니다: "
            "journalctl --namespace=+linetap -u 'linetap-*' -p err"
        ),
        action_en=(
            "Check that disk and cards are connected. Why is in the log: "
            "journalctl --namespace=+linetap -u 'linetap-*' -p err"
        ),
    )


CHECK = Check(id=CHECK_ID, clears="when the service says that it records again", look=look)
