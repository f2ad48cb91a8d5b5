# SPDX-License-Identifier: Apache-2.0
"""codec_mismatch: the codec does not give the channels, rate or format that the configuration says. Capture refuses it:
a channel that moved would put a call under another line's name."""

from __future__ import annotations

from linetap.checks.cards import of_cards
from linetap.checks.watch import Seen
from linetap.records import CaptureState

CHECK_ID = "codec_mismatch"


def is_another(capture: Seen[CaptureState]) -> bool:
    """Also the panel's word for it, dead or alive."""
    return capture.fault == CHECK_ID


CHECK = of_cards(
    CHECK_ID,
    clears="when the codec is what the configuration says",
    text_ko="카드 {cards}의 코덱이 설정과 다릅니다 (채널 수, 속도, 형식). 그 카드의 통화는 녹음되지 않습니다.",
    text_en=(
        "Card {cards}: the codec is not what the configuration says (channels, rate, format). The calls of that card "
        "are not recorded."
    ),
    action_ko=(
        "코덱을 바꾸었는지 확인하십시오. 무엇이 다른지는 journalctl --namespace=+linetap -u {units} "
        "명령으로 보고, 원래 코덱을 꽂거나 unit.toml의 [[card]]를 고치십시오."
    ),
    action_en=(
        "Find out whether the codec was changed. journalctl --namespace=+linetap -u {units} says what differs: plug "
        "in the right one, or set [[card]] in unit.toml."
    ),
    is_ill=is_another,
)
