# SPDX-License-Identifier: Apache-2.0
"""data_lost: the data partition could not be mounted, and the unit keeps its calls in RAM until somebody comes."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble

CHECK_ID = "data_lost"


def look(snapshot: Snapshot, _standing: Trouble | None) -> Trouble | None:
    if snapshot.mount is None or not snapshot.mount.lost:
        return None
    return Trouble(
        severity="critical",
        text_ko="데이터 파티션을 쓸 수 없어 통화를 메모리에 보관하고 있습니다. 전원을 끄면 사라집니다.",
        text_en="The data partition cannot be mounted. Calls are kept in RAM, and are gone when the power is.",
        action_ko="전원을 끄지 마십시오. 상황실이 사본을 받은 뒤 카드를 교체하고, 쓰던 카드는 지우지 마십시오.",
        action_en="Leave the power on until the desk has its copies; then replace the card. Keep the old one, unwiped.",
    )


CHECK = Check(
    id=CHECK_ID,
    clears="when the unit starts with a data partition that can be mounted",
    look=look,
    is_here=lambda snapshot: snapshot.mount is not None,
)
