# SPDX-License-Identifier: Apache-2.0
"""policy_departs: the configuration records what is not recorded by default. Allowed, and never silent."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState

_KO = {
    "record_and_flag": "안내 방송을 하지 못한 통화도 녹음합니다 (on_notice_failure)",
    "record_emergency": "긴급 전화도 녹음합니다 (record_emergency)",
}
_EN = {
    "record_and_flag": "a call is recorded also where its notice could not be played (on_notice_failure)",
    "record_emergency": "emergency calls are recorded (record_emergency)",
}


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    found = [code for code in recorder.departures if code in _EN]
    if not found:
        return None
    return Trouble(
        severity="warning",
        text_ko=f"설정이 기본과 다릅니다: {', '.join(_KO[code] for code in found)}.",
        text_en=f"The configuration departs from the default: {', '.join(_EN[code] for code in found)}.",
        action_ko="의도한 설정인지 책임자에게 확인하십시오. 현장에서 할 일은 없습니다.",
        action_en="Ask whoever is responsible whether this is meant. There is nothing to do in the closet.",
    )


CHECK = Check(id="policy_departs", clears="when the configuration no longer says so", look=look)
