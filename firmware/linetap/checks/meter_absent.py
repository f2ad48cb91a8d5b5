# SPDX-License-Identifier: Apache-2.0
"""meter_absent: a card's line meter says nothing, and the HOOK pins alone decide."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Seen
from linetap.records import CaptureState

CHECK_ID = "meter_absent"


def is_absent(capture: Seen[CaptureState]) -> bool:
    """A dead capture has an alert of its own."""
    state = capture.word
    return state is not None and state.meter is not None and not state.meter.connected


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    captures = snapshot.services.capture
    silent = [card for card, seen in captures.items() if is_absent(seen)]
    if not silent:
        return standing if all(seen.status != "alive" for seen in captures.values()) else None
    cards = ", ".join(str(card) for card in silent)
    return Trouble(
        severity="warning",
        text_ko=(
            f"카드 {cards}의 회선 계측기가 응답하지 않습니다. 녹음은 계속되나 펄스 다이얼과 회선 점검이 되지 않습니다."
        ),
        text_en=f"Card {cards}: the line meter is silent. Recording goes on without pulse dialling and line health.",
        action_ko=(
            f"카드 {cards}의 계측기 케이블을 다시 꽂고 드라이버로 커넥터 나사를 조이십시오. 계속되면 카드를 "
            "교체하십시오."
        ),
        action_en=f"Plug the meter's cable of card {cards} in again and tighten its screws with a screwdriver; "
        "if it goes on, replace the card.",
    )


CHECK = Check(id=CHECK_ID, clears="when the meter's frames come again", look=look)
