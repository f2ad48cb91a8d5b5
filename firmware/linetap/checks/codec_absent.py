# SPDX-License-Identifier: Apache-2.0
"""codec_absent: capture finds no codec under the name that the configuration gives. It goes on trying."""

from __future__ import annotations

from linetap.checks.cards import of_cards
from linetap.checks.watch import Seen
from linetap.records import CaptureState

CHECK_ID = "codec_absent"


def is_absent(capture: Seen[CaptureState]) -> bool:
    """Dead or alive: between two attempts it is no more there than in them."""
    return capture.fault == CHECK_ID


CHECK = of_cards(
    CHECK_ID,
    clears="when capture has opened the codec and writes audio",
    text_ko="카드 {cards}의 코덱이 없습니다. 그 카드의 통화는 녹음되지 않습니다.",
    text_en="Card {cards}: the codec is not there. The calls of that card are not recorded.",
    action_ko=(
        "코덱의 케이블을 다시 꽂으십시오. 그대로면 카드를 교체하십시오. 있는 코덱은 arecord -l, 이유는 "
        "journalctl --namespace=+linetap -u {units} 명령으로 봅니다."
    ),
    action_en=(
        "Plug the codec's cable in again. If it stays, replace the card. arecord -l shows the codecs that are there, "
        "journalctl --namespace=+linetap -u {units} why."
    ),
    is_ill=is_absent,
)
