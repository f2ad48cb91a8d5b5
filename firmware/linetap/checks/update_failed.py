# SPDX-License-Identifier: Apache-2.0
"""update_failed: another version was wanted, and the unit has stayed with the one it had. Calls are recorded."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.records import RecorderState

_KO = {
    "update_fetch": "파일을 내려받지 못했습니다",
    "update_size": "파일 크기가 명령과 다릅니다",
    "update_sha256": "파일 내용이 명령과 다릅니다",
    "update_no_room": "저장 공간이 모자랍니다",
    "update_signature": "파일이 손상되었거나 서명을 믿을 수 없습니다",
    "update_other_product": "다른 제품의 파일입니다",
    "update_other_version": "파일의 버전이 명령과 다릅니다",
    "update_older": "지금 버전보다 오래된 버전입니다",
    "update_stick": "USB 메모리를 쓸 수 없습니다",
    "update_busy": "통화가 없는 때를 기다리지 못했습니다",
    "update_fell_back": "새 버전이 시작되지 않아 이전 버전으로 돌아왔습니다",
    "update_self_test": "새 버전의 자가 점검이 실패하여 이전 버전으로 돌아왔습니다",
}
_EN = {
    "update_fetch": "it could not be fetched",
    "update_size": "it has another size than was signed",
    "update_sha256": "it is not what was signed",
    "update_no_room": "there is no room for it",
    "update_signature": "the file is damaged, or its signature is not to be trusted",
    "update_other_product": "it is for another product",
    "update_other_version": "it has another version than was signed",
    "update_older": "it is older than the version that runs",
    "update_stick": "the USB stick cannot be used",
    "update_busy": "there was no moment without a call",
    "update_fell_back": "the new version did not come up, and the old one runs again",
    "update_self_test": "the new version was not well, and the old one runs again",
}


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    found = recorder.update
    if found is None or found.step != "failed":
        return None
    # A version that nobody could read is "?": a stick's that is none.
    return Trouble(
        severity="warning",
        text_ko=f"업데이트 {found.version} 실패: {_KO.get(found.code, '설치하지 못했습니다')} ({found.code}).",
        text_en=f"Update {found.version} failed: {_EN.get(found.code, 'it could not be installed')} ({found.code}).",
        action_ko="녹음은 이전 버전으로 계속됩니다. 이유: linetap update show. USB 메모리가 꽂혀 있으면 뽑으십시오.",
        action_en="The old version goes on recording. Why: linetap update show. Take out a USB stick that is still in.",
    )


CHECK = Check(id="update_failed", clears="when another update begins", look=look)
