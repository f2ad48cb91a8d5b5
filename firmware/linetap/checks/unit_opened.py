# SPDX-License-Identifier: Apache-2.0
"""unit_opened: the housing is open, says the line meter's tamper switch."""

from __future__ import annotations

from linetap.checks.cards import of_cards
from linetap.checks.watch import Seen
from linetap.records import CaptureState

CHECK_ID = "unit_opened"


def is_open(capture: Seen[CaptureState]) -> bool:
    """The last word of a capture that has died still counts: a lid does not close so."""
    return capture.state is not None and capture.state.meter is not None and capture.state.meter.tamper


CHECK = of_cards(
    CHECK_ID,
    clears="when the tamper switch is closed again",
    text_ko="기기의 뚜껑이 열려 있습니다 (카드 {cards}).",
    text_en="The housing is open (card {cards}).",
    action_ko="누가 왜 열었는지 확인하고 드라이버로 뚜껑 나사를 모두 조이십시오.",
    action_en="Find out who opened it and why, then close the lid and tighten all its screws with a screwdriver.",
    is_ill=is_open,
)
